"""What a piece takes, wherever it is done: read it, write its files, read them back."""

import itertools
import platform
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._reading.zarr_array import ZarrArray
from napari_zarr_stream._saving.contrast import ContrastFinder
from napari_zarr_stream._saving.course import Stopped
from napari_zarr_stream._saving.image import LevelsOfStore
from napari_zarr_stream._sources.boxes import Boxes
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import EMPTY, parse_shard_index
from napari_zarr_stream._writer.dataset import Dataset
from napari_zarr_stream._writer.downsample import TileHalver, halve
from napari_zarr_stream._writer.errors import InvalidStore, WriteFailed
from napari_zarr_stream._writer.grid import ceil_div
from napari_zarr_stream._writer.local_store import LocalFolder
from napari_zarr_stream._writer.ngff import serializer_of
from napari_zarr_stream._writer.ngff_image import Image
from napari_zarr_stream._writer.properties import StorageProperties

from .cut import READ_BYTES, Piece, Place, boxes
from .note import STOP_KEY, Note, note_key, sum_of_file

PATIENCE_S = 90.0
"""A folder of a server may show a new file so late: NFS keeps what it knew for 60 s."""

Pixels = npt.NDArray[Any]
Box = tuple[Place, Place]


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of an image that are made one of another.

    Attributes
    ----------
    first : int
        The level that they begin with, which is read from the source.
    properties : StorageProperties
    image : Image
        As one of its own: its level 0 is level `first` of the whole.
    boxes : Boxes
        Its pixels.
    """

    first: int
    properties: StorageProperties
    image: Image
    boxes: Boxes


@dataclass(frozen=True, slots=True)
class Work:
    """What has to be known for the pieces of one image; travels to other processes.

    Attributes
    ----------
    root : Path
        Of the store on its way.
    path : str
        Of the image below it.
    levels : tuple of Levels
    description : SourceDescription
    verify : bool
    has_holes : bool
        As of the store.
    version : str
        Of this package, where it was made.
    """

    root: Path
    path: str
    levels: tuple[Levels, ...]
    description: SourceDescription
    verify: bool
    has_holes: bool
    version: str

    @property
    def prefix(self) -> str:
        """Of the image's keys."""
        return f"{self.path}/" if self.path else ""

    def levels_of(self, level: int) -> Levels:
        """The levels that a level is one of."""
        return [each for each in self.levels if each.first <= level][-1]


def do_piece(work: Work, piece: Piece) -> Note:
    """Have a piece done: once, whoever else does it or has done it.

    Raises
    ------
    ZarrStreamError
    Stopped
        Nobody waits for it any more.
    """
    here = version("napari-zarr-stream")
    if here != work.version:
        raise WriteFailed(
            f"napari-zarr-stream is {here} on {platform.node()}, and {work.version} "
            "where the export was started: install the same on all computers"
        )
    return _PieceAtWork(work, piece).done()


def first_sum(work: Work, piece: Piece) -> int:
    """Checksum of what is read first for a piece of a level that the source has."""
    return _PieceAtWork(work, piece).first_sum()


class _PieceAtWork:
    def __init__(self, work: Work, piece: Piece) -> None:
        self._work = work
        self._piece = piece
        self._levels = levels = work.levels_of(piece.level)
        self._plan = levels.image.plan
        self._here = piece.level - levels.first
        self._store = LocalFolder(work.root, work.has_holes)
        serializer = serializer_of(levels.properties.ngff)
        self._folder = work.root / work.path / str(piece.level)
        self._chunk_prefix = serializer.chunk_prefix

    def done(self) -> Note:
        root, key = self._work.root, note_key(self._piece)
        self._check_wanted()
        note = Note.read(root / key)
        if (
            note is None
            or (self._work.verify and not note.verified)
            or not note.is_true(root)
        ):
            note = self._found() or self._written()
        self._store.write_json(key, note.as_json())
        return note

    def first_sum(self) -> int:
        start, stop = next(self._boxes())
        return _sum_of(self._pixels(start, stop))

    def _check_wanted(self) -> None:
        if (self._work.root / STOP_KEY).exists():
            raise Stopped

    # ------------------------------------------------------------------------ pixels

    def _boxes(self) -> Iterator[Box]:
        """What is read at once, in the order of chunks."""
        most = READ_BYTES // self._plan.dtype.itemsize
        if self._here:
            most //= int(np.prod(self._factors()))
        piece = self._piece
        return boxes(piece.start, piece.stop, self._plan.part_shape, most)

    def _pixels(self, start: Sequence[int], stop: Sequence[int]) -> Pixels:
        if not self._here:
            return self._levels.boxes.read(start, stop)
        above = self._plan.level_shapes[self._here - 1]
        factors = self._factors()
        first = [a * n for a, n in zip(start, factors, strict=True)]
        last = [
            min(b * n, size or 1)
            for b, n, size in zip(stop, factors, above, strict=True)
        ]
        folder = self._folder.with_name(str(self._piece.level - 1))
        self._wait_for_files(folder, first, last)
        span = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
        shape = [b - a for a, b in zip(start, stop, strict=True)]
        return self._halved(ZarrArray(folder)[span], shape)

    def _factors(self) -> list[int]:
        """How many pixels of the level above, along each axis, are one."""
        above, here = (self._plan.level_shapes[self._here - i] for i in (1, 0))
        factors = [1] * len(here)
        if above[-2:] != here[-2:] or here[-2:] == (1, 1):
            factors[-2:] = 2, 2
        if self._plan.halves_z_below(self._here - 1):
            factors[-3] = 2
        return factors

    def _halved(self, above: Pixels, shape: Sequence[int]) -> Pixels:
        plan, method = self._plan, self._levels.properties.method
        below = np.empty(shape, plan.dtype)
        halver = TileHalver(plan.dtype) if plan.halves_in_tiles else None
        steps = self._factors()[:-2]
        for at in np.ndindex(*shape[:-2]):
            first = [i * n for i, n in zip(at, steps, strict=True)]
            if halver is not None:
                # As one tile. Compiled code is made for what can be written to.
                rows = np.require(above[tuple(first)], requirements=("C", "W"))
                one = (np.newaxis,) * 4
                halver(rows[one], below[at][one], 0, 0, rows.shape)
                continue
            planes = [above[tuple(first)]]
            if steps[-1:] == [2] and first[-1] + 1 < above.shape[-3]:
                planes.append(above[(*first[:-1], first[-1] + 1)])
            halve(planes, below[at], method)
        return below

    def _wait_for_files(
        self, folder: Path, start: Sequence[int], stop: Sequence[int]
    ) -> None:
        """Return when files can be seen from here; what is not there would be zeros."""
        until = time.perf_counter() + PATIENCE_S
        for path in self._files(folder, start, stop):
            while not path.is_file():
                self._check_wanted()
                if time.perf_counter() > until:
                    raise WriteFailed(f"{path} was written, but cannot be seen here")
                time.sleep(0.2)

    # ------------------------------------------------------------------------- files

    def _files(
        self, folder: Path, start: Sequence[int], stop: Sequence[int]
    ) -> Iterator[Path]:
        sides = self._plan.shard_shape or self._plan.chunk_shape
        spans = (
            range(a // n, ceil_div(b, n))
            for a, b, n in zip(start, stop, sides, strict=True)
        )
        for place in itertools.product(*spans):
            yield folder / (self._chunk_prefix + "/".join(map(str, place)))

    def _own_files(self) -> Iterator[Path]:
        return self._files(self._folder, self._piece.start, self._piece.stop)

    def _written(self) -> Note:
        """Write it, and read it back where that is asked for."""
        levels = self._levels
        part = LevelsOfStore(
            self._store, self._work.prefix, levels.first, is_in_view=True
        )
        dataset = Dataset(part, levels.properties, levels.image, in_turn=True)
        array = dataset.levels[self._here]
        contrast = ContrastFinder(self._work.description)
        sums = []
        for start, stop in self._boxes():
            self._check_wanted()
            pixels = self._pixels(start, stop)
            array.write_box(start, pixels)
            sums.append(_sum_of(pixels))
            self._see(contrast, start, pixels)
        array.finish()
        if self._work.verify and sums != self._sums_on_disk():
            raise WriteFailed(
                f"level {self._piece.level} of {self._work.description.name!r} did not "
                f"come back from the disk as it was sent, between pixels "
                f"{self._piece.start} and {self._piece.stop}. Save it again, on "
                "another disk if it happens again"
            )
        return self._noted(sums, contrast)

    def _noted(self, sums: list[int], contrast: ContrastFinder) -> Note:
        root = self._work.root
        files = {
            path.relative_to(root).as_posix(): sum_of_file(path)
            for path in self._own_files()
        }
        return Note(files, sums, contrast.limits, self._work.verify)

    def _see(self, contrast: ContrastFinder, start: Place, pixels: Pixels) -> None:
        if self._piece.level:
            return
        outer = [size or 1 for size in self._plan.outer]
        for at in np.ndindex(*pixels.shape[:-2]):
            place = [a + b for a, b in zip(start, at, strict=False)]
            number = int(np.ravel_multi_index(place, outer)) if outer else 0
            contrast.see(pixels[at][np.newaxis], number)

    def _sums_on_disk(self) -> list[int]:
        array = ZarrArray(self._folder)
        return [
            _sum_of(array[tuple(map(slice, start, stop))])
            for start, stop in self._boxes()
        ]

    def _found(self) -> Note | None:
        """The note of files that an export left that made none; None unless all right.

        They hold the pixels that are read from the source now.
        """
        try:
            if not all(map(self._is_whole, self._own_files())):
                return None
            on_disk = self._sums_on_disk()
        except (InvalidStore, OSError):
            return None
        contrast, sums = ContrastFinder(self._work.description), []
        for start, stop in self._boxes():
            self._check_wanted()
            pixels = self._pixels(start, stop)
            sums.append(_sum_of(pixels))
            self._see(contrast, start, pixels)
        if sums != on_disk:
            return None
        return replace(self._noted(sums, contrast), verified=True, kept=True)

    def _is_whole(self, path: Path) -> bool:
        """Whether a file is there, and nothing is in it that comes from its filling."""
        if not path.is_file():
            return False
        plan = self._plan
        if not plan.shard_shape:
            return True
        place = tuple(
            map(int, path.relative_to(self._folder).parts[-len(plan.shape) :])
        )
        room, size = plan.chunks_per_shard, 16 * plan.chunks_per_shard + 4
        with system.closing(system.open_to_read(path)) as file:
            bytes_there = system.size_of(file)
            start = max(0, bytes_there - size)
            index = parse_shard_index(system.read_at(file, size, start), room)
        if index is None:
            return False
        end = 0
        for _, number in plan.chunks_of_shard(self._here, place):
            if index[number, 0] == EMPTY or int(index[number, 0]) != end:
                return False
            end += int(index[number, 1])
        return bytes_there == end + size


def _sum_of(pixels: Pixels) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data)
