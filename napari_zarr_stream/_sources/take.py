"""What is wanted of a camera's frames, and known of them by others than the camera."""

import math
from dataclasses import dataclass

from napari_zarr_stream._writer.colours import NAMED, hex_of
from napari_zarr_stream._writer.errors import InvalidProperties

REST_FROM_S = 0.2
"""From this interval on a camera that can take single frames rests between them: for
less, opening a shutter each time would wear it out."""


@dataclass(frozen=True, slots=True)
class Take:
    """How frames are taken from a camera.

    Attributes
    ----------
    interval_s : float
        From the beginning of one frame to that of the next; 0: as fast as they come.
    duration_s : float
        How long frames are taken; 0: no end.
    pixel_size_um : float or None
        Of the sample, in micrometres; None leaves it to the camera.
    z_step_um : float
        From one frame to the next, where frames are the planes of a stack and not
        moments in time; 0 where they are not.
    channel_name, channel_color : str
        How a grey image is called, and the colour that it is shown in: one of napari's
        names, or six hexadecimal digits. Empty: as its store, and white.

    Raises
    ------
    InvalidProperties
        Naming the field and what it may be.
    """

    interval_s: float = 0.0
    duration_s: float = 0.0
    pixel_size_um: float | None = None
    z_step_um: float = 0.0
    channel_name: str = ""
    channel_color: str = ""

    def __post_init__(self) -> None:
        for field in ("interval_s", "duration_s", "pixel_size_um", "z_step_um"):
            value = getattr(self, field)
            if value is not None and not 0 <= value < math.inf:
                raise InvalidProperties(f"{field} must be 0 or more, not {value!r}")
        if self.channel_color and not self.color:
            raise InvalidProperties(
                f"channel_color {self.channel_color!r} is not one of "
                f"{', '.join(NAMED)}, and not six hexadecimal digits"
            )

    @property
    def color(self) -> str | None:
        """`channel_color` as six digits; None where it is none."""
        return hex_of(NAMED.get(self.channel_color.lower(), self.channel_color))

    def frames(self, frame_count: int) -> int | None:
        """How many there will be, of at most `frame_count` (0: any); None if unknown.

        One is due at the start and one after each interval, the last before the end.
        """
        known = [frame_count] if frame_count else []
        if self.interval_s and self.duration_s:
            # 0.3 / 0.1 is not quite 3
            known.append(math.ceil(round(self.duration_s / self.interval_s, 6)))
        return max(1, min(known)) if known else None
