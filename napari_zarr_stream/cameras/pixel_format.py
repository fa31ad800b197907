"""Pixel formats by their names: what a pixel is, and how a frame of colour is turned.

The names are those of GenICam's Pixel Format Naming Convention (PFNC).
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """A pixel format of the Pixel Format Naming Convention (PFNC).

    Attributes
    ----------
    name : str
        As the camera spells it.
    components : str
        "Mono", "RGB" or "BGR", "RGBa" or "BGRa", or "BayerRG" and its like.
    bit_depth : int
    packed : bool
        Whether pixels share bytes.
    """

    name: str
    components: str
    bit_depth: int
    packed: bool

    @classmethod
    def of(cls, name: str) -> "PixelFormat | None":
        """Return what a name means, None where it is nothing that we record."""
        match = re.fullmatch(
            r"(Mono|Bayer(?:RG|GR|GB|BG)|(?:RGB|BGR)a?)(8|10|12|14|16)(p|packed)?",
            name,
            re.IGNORECASE,
        )
        if match is None:
            return None
        components, bits, packing = match.groups()
        # "RGB8Packed" is an old name of "RGB8": its bytes were never shared.
        packed = packing is not None and int(bits) not in (8, 16)
        return cls(name, components, int(bits), packed)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a pixel once unpacked."""
        return np.dtype(np.uint8 if self.bit_depth == 8 else np.uint16)

    @property
    def is_colour(self) -> bool:
        """Whether a pixel has all colours; one of a Bayer mosaic has one."""
        return self.components[:3].upper() in ("RGB", "BGR")

    @property
    def is_mosaic(self) -> bool:
        """Whether each pixel has one colour, as the sensor sees it."""
        return self.components.startswith("Bayer")

    def sample(self) -> tuple[bytes, npt.NDArray[Any]]:
        """Return the bytes of some pixels, and the components that they stand for.

        An SDK that makes these components of these bytes can unpack the format.
        """
        high = (1 << self.bit_depth) - 1
        # an odd step takes every bit through 0 and 1
        components = (np.arange(480) * (high // 7 | 1) & high).astype(self.dtype)
        return self.bytes_of(components), components

    def bytes_of(self, components: npt.NDArray[Any]) -> bytes:
        """Return what components of pixels are sent as, in whole bytes.

        Parameters
        ----------
        components : array of `dtype`
        """
        if not self.packed:
            return components.astype(components.dtype.newbyteorder("<")).tobytes()
        bits = self.bit_depth
        if self.name.lower().endswith("packed"):  # GigE Vision: two pixels, three bytes
            low, mask = bits - 8, (1 << bits - 8) - 1
            first, second = components[::2], components[1::2]
            middle = first & mask | (second & mask) << 4
            parts = first >> low, middle, second >> low
            return np.stack(parts, 1).astype(np.uint8).tobytes()
        stream = sum(int(each) << bits * at for at, each in enumerate(components))
        return stream.to_bytes(components.size * bits // 8, "little")

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Return the shape of a frame; red, green and blue come first."""
        return (3, height, width) if self.is_colour else (height, width)

    def planes(self, frame: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a view of a frame as it came, `(h, w)` or `(h, w, 3 or 4)`.

        Of colour it is red, green and blue, `(3, h, w)`, without alpha.
        """
        if frame.ndim != 3:
            return frame
        colours = frame.transpose(2, 0, 1)[:3]
        return colours[::-1] if self.components.upper().startswith("BGR") else colours
