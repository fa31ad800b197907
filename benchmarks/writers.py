"""Our writer, three others, and the least work there is, behind one `append`.

All make the same Zarr v3 array of the same layout. Each of the others is used as its
documentation recommends for speed; what that came to is said where it is done.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Frames = npt.NDArray[np.uint16]

FILE_BYTES = 16 * 2**20
"""Of one chunk, or of one shard of 1-frame chunks: 32 frames of a 512 x 512 tile."""


@dataclass(frozen=True)
class Run:
    """One measurement, done in a process of its own."""

    writer: str
    codec: str
    multiscale: bool
    sharded: bool
    side: int
    tile: int
    frames: int
    batch: int
    directory: str
    source: str
    verify: bool = False

    @property
    def per_file(self) -> int:
        """Frames of a file."""
        return min(self.frames, FILE_BYTES // (2 * self.tile**2))

    @property
    def chunk(self) -> tuple[int, int, int]:
        """Shape of a chunk."""
        return (1 if self.sharded else self.per_file, self.tile, self.tile)

    @property
    def sides(self) -> list[int]:
        """Sides of the levels."""
        sides = [self.side]
        while self.multiscale and sides[-1] > self.tile:
            sides.append(sides[-1] // 2)
        return sides


class Writer(Protocol):
    """What is common to all of them."""

    def append(self, frames: Frames) -> None:
        """Take frames, (n, side, side)."""

    def close(self) -> None:
        """Return when everything is written."""


def open_ours(run: Run, path: Path) -> Writer:
    """Ours: one call with the properties a user would give."""
    from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream

    kinds = {
        "none": DeviceKind.ZARR_V3,
        "lz4": DeviceKind.ZARR_V3_LZ4,
        "zstd": DeviceKind.ZARR_V3_ZSTD,
    }
    properties = StorageProperties(
        path,
        device_kind=kinds[run.codec],
        tile_width=run.tile,
        tile_height=run.tile,
        max_bytes_per_chunk=FILE_BYTES,
        frames_per_chunk=run.chunk[0],
        sharded=run.sharded,
        enable_multiscale=run.multiscale,
    )
    shape = (None, run.side, run.side)
    return ZarrStream(properties, axes="tyx", shape=shape, dtype="uint16")


def open_acquire_zarr(run: Run, path: Path) -> Writer:
    """acquire-zarr: frames as they come, its own threads (as many as there are cores).

    It always shards: "unsharded" is a shard of one chunk.
    """
    import acquire_zarr as aqz

    aqz.set_log_level(aqz.LogLevel.ERROR)
    names: list[tuple[str, Any, int]] = [
        ("t", aqz.DimensionType.TIME, 0),
        ("y", aqz.DimensionType.SPACE, run.side),
        ("x", aqz.DimensionType.SPACE, run.side),
    ]
    shard = (run.per_file // run.chunk[0], 1, 1)
    dimensions = [
        aqz.Dimension(
            name=name,
            kind=kind,
            array_size_px=size,
            chunk_size_px=chunk,
            shard_size_chunks=chunks,
        )
        for (name, kind, size), chunk, chunks in zip(
            names, run.chunk, shard, strict=True
        )
    ]
    array = aqz.ArraySettings(dimensions=dimensions, data_type=aqz.DataType.UINT16)
    if run.codec != "none":
        codec = getattr(aqz.CompressionCodec, f"BLOSC_{run.codec.upper()}")
        array.compression = aqz.CompressionSettings(
            compressor=aqz.Compressor.BLOSC1, codec=codec, level=1, shuffle=1
        )
    if run.multiscale:
        array.downsampling_method = aqz.DownsamplingMethod.MEAN
    settings = aqz.StreamSettings(store_path=str(path), arrays=[array])
    return aqz.ZarrStream(settings)


class _WholeFiles:
    """Gathers frames for libraries that write fastest in whole chunks and shards.

    Both advise to write regions aligned with chunks (shards), since a part of one makes
    them read it back. One buffer is filled while the other is written.
    """

    def __init__(self, run: Run, write: Callable[[int, Frames], Any]) -> None:
        shape = (run.per_file, run.side, run.side)
        self._buffers = [np.empty(shape, np.uint16) for _ in range(2)]
        self._write = write
        self._pending: Any = None
        self._first = self._filled = 0

    def append(self, frames: Frames) -> None:
        while len(frames):
            room = self._buffers[0][self._filled : self._filled + len(frames)]
            room[...] = frames[: len(room)]
            self._filled += len(room)
            frames = frames[len(room) :]
            if self._filled == len(self._buffers[0]):
                self._flush()

    def _flush(self) -> None:
        if self._pending is not None:
            self._pending.result()  # its buffer is the next to be filled
        whole = self._buffers[0][: self._filled]
        self._pending = self._write(self._first, whole)
        self._first, self._filled = self._first + self._filled, 0
        self._buffers.reverse()

    def close(self) -> None:
        if self._filled:
            self._flush()
        self._pending.result()


def open_tensorstore(run: Run, path: Path) -> Writer:
    """Open tensorstore: asynchronous writes of whole files that copy nothing."""
    import tensorstore as ts

    little: dict[str, Any] = {"name": "bytes", "configuration": {"endian": "little"}}
    codecs = [little]
    if run.codec != "none":
        blosc = {"cname": run.codec, "clevel": 1, "shuffle": "shuffle", "typesize": 2}
        codecs.append({"name": "blosc", "configuration": blosc})
    if run.sharded:
        inner = {
            "chunk_shape": run.chunk,
            "codecs": codecs,
            "index_codecs": [little, {"name": "crc32c"}],
        }
        codecs = [{"name": "sharding_indexed", "configuration": inner}]
    file_shape = (run.per_file, run.tile, run.tile)
    grid = {"name": "regular", "configuration": {"chunk_shape": file_shape}}
    store = ts.open(
        {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": str(path)},
            "metadata": {
                "data_type": "uint16",
                "shape": (run.frames, run.side, run.side),
                "chunk_grid": grid,
                "codecs": codecs,
            },
            "create": True,
            # No look for zeros, and no fsync of every file: nobody else does one.
            "store_data_equal_to_fill_value": True,
            "context": {"file_io_sync": False},
        }
    ).result()

    def write(first: int, frames: Frames) -> Any:
        return store[first : first + len(frames)].write(
            frames, can_reference_source_data_indefinitely=True
        )

    return _WholeFiles(run, write)


def open_zarr_python(run: Run, path: Path) -> Writer:
    """zarr-python: whole files from a thread beside the caller's, no look for zeros."""
    import zarr

    codec = None
    if run.codec != "none":
        codec = zarr.codecs.BloscCodec(cname=run.codec, clevel=1, shuffle="shuffle")
    array = zarr.create_array(
        store=str(path),
        shape=(run.frames, run.side, run.side),
        chunks=run.chunk,
        shards=(run.per_file, run.tile, run.tile) if run.sharded else None,
        dtype="uint16",
        compressors=codec,
        config={"write_empty_chunks": True},
    )
    pool = ThreadPoolExecutor(1)

    def write(first: int, frames: Frames) -> Any:
        where = slice(first, first + len(frames))
        return pool.submit(array.__setitem__, where, frames)

    return _WholeFiles(run, write)


OPENERS: dict[str, Callable[[Run, Path], Writer]] = {
    "napari-zarr-stream": open_ours,
    "acquire-zarr": open_acquire_zarr,
    "tensorstore": open_tensorstore,
    "zarr-python": open_zarr_python,
}
OURS, ACQUIRE = list(OPENERS)[:2]
ROOFLINE = "roofline"


def can(writer: str, *, multiscale: bool) -> bool:
    """Whether a writer makes pyramids, where they are wanted."""
    return not multiscale or writer not in ("tensorstore", "zarr-python")


def roofline(run: Run, pieces: Sequence[Frames], folder: Path) -> Callable[[], None]:
    """Prepare the least work there is; calling the result does it.

    As many threads as the writer has workers (two on two cores) do nothing but: copy a
    frame into tiles, halve it from tiles into tiles with the writer's own kernel,
    encode with its own block size, write. No queue, no metadata, one file and one set
    of buffers a thread.
    """
    from napari_zarr_stream._writer.codecs import Blosc, Raw, blosc_block
    from napari_zarr_stream._writer.downsample import TileHalver
    from napari_zarr_stream._writer.memory import WORKERS

    block_bytes = blosc_block(2 * run.tile**2, 2, run.codec)
    codec = Raw() if run.codec == "none" else Blosc(run.codec, block_bytes)
    halve = TileHalver(np.dtype(np.uint16))
    frames = [frame for piece in pieces for frame in piece]
    tile = run.tile

    # Shared: a thread that the system holds up leaves its frames to the others.
    numbers = iter(range(run.frames))

    def work(file: int, levels: list[Any]) -> None:
        rows, columns = run.side // tile, run.side // tile
        for number in numbers:
            frame = frames[number % len(frames)]
            grid = frame.reshape(rows, tile, columns, tile)
            levels[0][:, :, 0, 0] = grid.transpose(0, 2, 1, 3)
            for side, tiles, below in zip(run.sides, levels, levels[1:], strict=False):
                halve(tiles, below, 0, 0, (side, side))
            # Tile by tile, while it is in the cache: faster than all of them at once.
            for tiles in levels:
                for pixels in tiles.reshape(-1, tile, tile):
                    encoded = codec.encode(pixels)
                    if os.write(file, encoded) != len(encoded):
                        raise OSError("the disk is full")

    threads = []
    for i in range(WORKERS):
        grids = [max(1, side // tile) for side in run.sides]
        levels = [np.ones((n, n, 1, 1, tile, tile), np.uint16) for n in grids]
        file = os.open(
            folder / str(i), os.O_CREAT | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        )
        threads.append(threading.Thread(target=work, args=(file, levels)))

    def do() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return do
