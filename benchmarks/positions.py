"""Planes of a multi-dimensional acquisition, and of one stream, as writers to measure.

Both store 24 positions x 2 channels x 5 planes along z for as many time points as there
are frames, in the order t, p, c, z, one plane a chunk: one as so many images, the other
as one image without end.
"""

from collections.abc import Callable
from pathlib import Path

from napari_zarr_stream import (
    DeviceKind,
    ImageDescription,
    ImageSet,
    StorageProperties,
    ZarrStream,
)

from .writers import FILE_BYTES, Frames, Run, Writer

POSITIONS, CHANNELS, DEPTH = 24, 2, 5
IN_ONE, IN_POSITIONS = "one stream", f"{POSITIONS} positions"


class _Positions:
    """An `ImageSet` behind one `append`."""

    def __init__(self, run: Run, path: Path) -> None:
        shape = (None, CHANNELS, DEPTH, run.side, run.side)
        self._images = ImageSet(
            _properties(run, path),
            [
                ImageDescription(str(number), str(number), "tczyx", shape, "uint16")
                for number in range(POSITIONS)
            ],
        )
        self._planes = 0

    def append(self, frames: Frames) -> None:
        """Put planes at the places that come next."""
        for plane in frames:
            rest, z = divmod(self._planes, DEPTH)
            rest, c = divmod(rest, CHANNELS)
            t, position = divmod(rest, POSITIONS)
            self._images.put(position, (t, c, z), plane)
            self._planes += 1

    def close(self) -> None:
        """Return when everything is written."""
        self._images.close()


def _one(run: Run, path: Path) -> ZarrStream:
    shape = (None, run.side, run.side)
    return ZarrStream(_properties(run, path), axes="tyx", shape=shape, dtype="uint16")


def _properties(run: Run, path: Path) -> StorageProperties:
    return StorageProperties(
        path,
        device_kind=DeviceKind.ZARR_V3_LZ4,
        tile_width=run.tile,
        tile_height=run.tile,
        max_bytes_per_chunk=FILE_BYTES,
        frames_per_chunk=1,
        sharded=run.sharded,
        enable_multiscale=run.multiscale,
    )


OPENERS: dict[str, Callable[[Run, Path], Writer]] = {
    IN_ONE: _one,
    IN_POSITIONS: _Positions,
}
"""By name, as those of `writers`."""
