"""The frames of a run: their size, their type, of how many cameras and colours."""

from dataclasses import dataclass

import numpy as np

from napari_zarr_stream.cameras.protocol import value_range_of

USUAL_BITS = (8, 10, 12, 14)
"""Of cameras whose driver says that all bits of its pixels carry signal."""


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
    bit_depth : int
        Bits of a pixel that carry signal; 0 where nothing says it.
    """

    height: int
    width: int
    dtype: str
    pixel_size_um: float = 0.0
    cameras: tuple[str, ...] = ("",)
    colors: int = 1
    bit_depth: int = 0

    @property
    def value_range(self) -> tuple[float, float] | None:
        """Smallest and largest value of a pixel; None of floats."""
        dtype = np.dtype(self.dtype)
        whole = 8 * dtype.itemsize
        is_known = 0 < self.bit_depth <= whole
        return value_range_of(dtype, self.bit_depth if is_known else whole)

    def range_around(self, brightest: float) -> tuple[float, float] | None:
        """The values to choose contrast from, where pixels are as bright as that.

        Of those of 16 bits of which few are used, a slider would show nothing.
        """
        dtype = np.dtype(self.dtype)
        if dtype.kind == "u" and not 0 < self.bit_depth < 8 * dtype.itemsize:
            for bits in USUAL_BITS:
                if brightest < 2**bits:
                    return value_range_of(dtype, bits)
        return self.value_range

    @property
    def planes(self) -> int:
        """Of each event."""
        return len(self.cameras) * self.colors
