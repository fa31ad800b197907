"""What was written is read back and compared with what was sent, by checksum.

Files are found and decoded by the rules of the Zarr specifications; nothing is taken
from the memory of the stream that wrote them.
"""

import itertools
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import blosc
import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import EMPTY, parse_shard_index
from napari_zarr_stream._writer.errors import WriteFailed
from napari_zarr_stream._writer.grid import ceil_div
from napari_zarr_stream._writer.memory import WORKERS
from napari_zarr_stream._writer.ngff import CHUNK_PREFIX
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import DeviceKind
from napari_zarr_stream._writer.refusals import writing
from napari_zarr_stream._writer.store import read_json

from .course import Course

FILES_AHEAD = 2 * WORKERS
"""Given to the workers: none waits for the others, and a stop waits for few."""

Pixels = npt.NDArray[np.generic]
Chunk = tuple[int, ...]


class Sent:
    """Checksums of the planes that are sent, one for each tile of each plane.

    Parameters
    ----------
    plan : Plan
        Of an array with an end.
    """

    def __init__(self, plan: Plan) -> None:
        from napari_zarr_stream._writer.kernels import sums_of_tiles

        assert plan.planes is not None
        self.plan = plan
        self.sums = np.zeros((plan.planes, *plan.tile_grid(0)), np.uint64)
        self._sum = sums_of_tiles
        self._bits = np.dtype(f"u{plan.dtype.itemsize}")
        self._no_pixel = np.array((np.iinfo(self._bits).max, 0), self._bits)
        longer = max(plan.tile_shape[1:])
        random = np.random.default_rng(plan.planes)
        self._keys = random.integers(0, 2**32, (2, longer), np.uint32) | np.uint32(1)

    def see(self, planes: Pixels, first: int) -> Pixels:
        """Take (n, height, width), the first of which is plane number `first`.

        Returns what their contrast can be found from as well: the smallest and the
        largest pixel of each, (n, 2); or the planes, where their bits have another
        order than their values.
        """
        ends = [
            self._add(plane, self.sums[number], self._keys)
            for number, plane in enumerate(planes, first)
        ]
        return np.stack(ends) if ends and planes.dtype.kind in "bu" else planes

    def see_rows(self, rows: Pixels, plane: int, first: int) -> None:
        """Take rows, (n, width), of a plane; the first of them is row `first`."""
        tile_height = self.plan.tile_shape[1]
        while len(rows):
            down, y = divmod(first, tile_height)
            some, rows = rows[: tile_height - y], rows[tile_height - y :]
            keys = self._keys.copy()
            keys[0, : len(some)] = self._keys[0, y : y + len(some)]
            self._add(some, self.sums[plane, down : down + 1], keys)
            first += len(some)

    def sum_of(self, tile: Pixels) -> int:
        """Of a tile, (height, width), with zeros beyond the edge of its plane."""
        total = np.zeros((1, 1), np.uint64)
        self._add(tile, total, self._keys)
        return int(total[0, 0])

    def _add(
        self,
        plane: Pixels,
        sums: npt.NDArray[np.uint64],
        keys: npt.NDArray[np.uint32],
    ) -> Pixels:
        bits, ends = np.ascontiguousarray(plane).view(self._bits), self._no_pixel.copy()
        self._sum(bits, *self.plan.tile_shape[1:], keys, sums, ends)
        return ends


class ReadBack:
    """Level 0 of an image as it lies on the disk.

    Parameters
    ----------
    folder : Path
        Of the image.
    kind : DeviceKind
    sent : Sent
    name : str
        Of the image, for messages.
    """

    def __init__(self, folder: Path, kind: DeviceKind, sent: Sent, name: str) -> None:
        self._array = folder / "0"
        self._kind = kind
        self._sent = sent
        self._plan = sent.plan
        self._name = name

    def compare(self, course: Course) -> None:
        """Read every plane.

        Raises
        ------
        WriteFailed
            One is not what was sent; says which.
        Stopped
        """
        key = "zarr.json" if self._kind.zarr_format == 3 else ".zarray"
        said = (read_json(self._array / key) or {}).get("shape")
        if said != list(self._plan.shape):
            raise WriteFailed(
                f"{self._name}: {self._plan.shape} was sent, but {self._array / key} "
                f"says {said}. Nothing was saved."
            )
        with ThreadPoolExecutor(WORKERS, "verify") as pool:
            files, ahead = iter(self._files()), deque[Future[int]]()
            try:
                while True:
                    for place in itertools.islice(files, FILES_AHEAD - len(ahead)):
                        ahead.append(pool.submit(self._compare_file, place))
                    if not ahead:
                        return
                    tiles = ahead.popleft().result()
                    course.verified(tiles / self._plan.tiles_per_plane)
            finally:
                for asked in ahead:
                    asked.cancel()

    def _files(self) -> Iterator[tuple[int, ...]]:
        """The places of the files: those of shards, or of chunks."""
        file_shape = self._plan.shard_shape or self._plan.chunk_shape
        return np.ndindex(
            *(
                ceil_div(size or 1, per_file)
                for size, per_file in zip(self._plan.shape, file_shape, strict=True)
            )
        )

    def _compare_file(self, place: tuple[int, ...]) -> int:
        """Thread "verify"; returns how many tiles of planes were in the file."""
        prefix = CHUNK_PREFIX[self._kind.zarr_format]
        path = self._array / (prefix + "/".join(map(str, place)))
        with writing(path), system.closing(system.open_to_read(path)) as file:
            if not self._plan.shard_shape:
                data = system.read_at(file, system.size_of(file), 0)
                return self._compare_chunk(path, place, data)
            size = 16 * self._plan.chunks_per_shard + 4
            end = system.size_of(file)
            index = parse_shard_index(
                system.read_at(file, size, max(0, end - size)),
                self._plan.chunks_per_shard,
            )
            if index is None:
                raise self._differs(path, place, "its index is damaged")
            tiles = 0
            for chunk, number in self._plan.chunks_of_shard(0, place):
                if index[number, 0] == EMPTY:
                    raise self._differs(path, chunk, "a chunk is missing")
                offset, length = index[number].tolist()
                data = system.read_at(file, length, offset)
                tiles += self._compare_chunk(path, chunk, data)
            return tiles

    def _compare_chunk(self, path: Path, chunk: tuple[int, ...], data: bytes) -> int:
        plan = self._plan
        if self._kind.compressor:
            try:
                data = blosc.decompress(data)
            except blosc.blosc_extension.error as error:
                raise self._differs(path, chunk, str(error)) from error
        if len(data) != plan.bytes_per_chunk:
            raise self._differs(path, chunk, f"{len(data)} bytes came back")
        pixels = np.frombuffer(data, plan.dtype).reshape(plan.chunk_shape)
        *outer, down, across = chunk
        tiles = 0
        for within in itertools.product(*map(range, plan.chunk_shape[:-2])):
            place = [
                at * side + here
                for at, side, here in zip(outer, plan.chunk_shape, within, strict=False)
            ]
            if any(p >= (s or 1) for p, s in zip(place, plan.outer, strict=True)):
                continue
            number = 0
            for at, size in zip(place, plan.outer, strict=True):
                number = number * (size or 1) + at
            tiles += 1
            if (
                self._sent.sum_of(pixels[within])
                != self._sent.sums[number, down, across]
            ):
                raise self._differs(path, chunk, f"in plane {number}")
        return tiles

    def _differs(self, path: Path, chunk: tuple[int, ...], why: str) -> WriteFailed:
        return WriteFailed(
            f"{self._name} did not come back from the disk as it was sent: chunk "
            f"{chunk} in {path.name} of {path.parent} differs ({why}). Nothing was "
            "saved. Save it again, on another disk if it happens again"
        )


def verify_bytes(plan: Plan, at_once: int) -> int:
    """Memory that both take: checksums, what is seen, chunks being decoded.

    Pixels are seen `at_once` bytes at a time.
    """
    sums = 8 * plan.tiles_per_plane * (plan.planes or 0)
    return sums + at_once + 2 * WORKERS * plan.bytes_per_chunk
