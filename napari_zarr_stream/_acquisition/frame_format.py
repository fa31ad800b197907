"""The frames of a run: their size, their type, of how many cameras and colours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """The frames of a run.

    Attributes
    ----------
    height, width : int
    dtype : str
    pixel_size_um : float
        0 where it is not known.
    cameras : tuple of str
        Labels, several where one device stands for them.
    colors : int
        3 of a colour camera, else 1.
    """

    height: int
    width: int
    dtype: str
    pixel_size_um: float = 0.0
    cameras: tuple[str, ...] = ("",)
    colors: int = 1

    @property
    def planes(self) -> int:
        """Of each event."""
        return len(self.cameras) * self.colors
