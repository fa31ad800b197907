"""The files of one level as they are, and the steps that can be read of them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.part_files import PAGE

from .files import FileExaminer, Found, Layout, Place
from .leftovers import DOCUMENTS

MAX_LOOKED_INTO_BYTES = 512 * 2**20
"""Parts that are larger are not read to see whether they were written."""

Run = tuple[int, int]
"""Steps along the first axis: first, and the one after the last."""


class Level:
    """The files of one level.

    Parameters
    ----------
    folder : Path
    level : int
    layout : Layout
    prefix : str
        Of chunk keys below the folder.
    """

    def __init__(self, folder: Path, level: int, layout: Layout, prefix: str) -> None:
        self.folder = folder
        self.level = level
        self.layout = layout
        self.plan = layout.plan
        self.strays: list[Path] = []
        self.files: dict[Place, Found] = {}
        """By their place, after `look`."""
        self._paths = list(self._scan(prefix))

    def __len__(self) -> int:
        return len(self._paths)

    def look(self, examiner: FileExaminer, tick: Callable[[], None]) -> None:
        """Look into all files; `tick` is called after each."""
        for path, place in self._paths:
            self.files[place] = examiner.look(path, place)
            tick()

    def _scan(self, prefix: str) -> Iterator[tuple[Path, Place]]:
        grid = self.plan.chunk_grid(self.level)
        limits = tuple(
            None if size is None else -(-size // per_file)
            for size, per_file in zip(grid, self.plan.shard_grid, strict=True)
        )
        top = self.folder / prefix
        if self.folder.is_symlink() or top.is_symlink():
            self.strays.append(top)
            return
        for path, place in self._walk(top, (), len(limits)):
            if any(
                size is not None and at >= size
                for at, size in zip(place, limits, strict=True)
            ):
                self.strays.append(path)
            else:
                yield path, place

    def _walk(
        self, folder: Path, place: Place, depth: int
    ) -> Iterator[tuple[Path, Place]]:
        """Files by their place; links are not followed."""
        try:
            entries = system.entries(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            name, path = entry.name, folder / entry.name
            if name in DOCUMENTS - {".zgroup"} and not place:
                continue
            is_number = name == "0" or (
                name.isascii() and name.isdecimal() and name[0] != "0"
            )
            if not is_number or len(name) > 18:
                self.strays.append(path)
            elif depth > 1 and entry.is_dir(follow_symlinks=False):
                yield from self._walk(path, (*place, int(name)), depth - 1)
            elif depth == 1 and entry.is_file(follow_symlinks=False):
                yield path, (*place, int(name))
            else:
                self.strays.append(path)

    # --------------------------------------------------------------------- steps

    def first_step_of(self, found: Found) -> int:
        """The first step of a file."""
        first = found.place[0] if self.layout.has_steps else 0
        return first * self.layout.steps_per_file

    def runs(self) -> list[Run]:
        """Steps along the first axis that can be read whole: starts and ends."""
        grid = self.plan.chunk_grid(self.level)[1 if self.layout.has_steps else 0 :]
        whole = 1  # chunks of a chunk layer
        for size in grid:
            assert size is not None
            whole *= size
        runs: list[Run] = []
        for start, files in itertools.groupby(
            sorted(self.files.values(), key=self.first_step_of), self.first_step_of
        ):
            counts = sum(map(self._units_of, files), np.zeros(1, np.int64))
            good = np.concatenate([[False], counts == whole, [False]])
            edges = np.flatnonzero(good[1:] != good[:-1]) * self.layout.steps_per_unit
            runs += [(start + a, start + b) for a, b in edges.reshape(-1, 2).tolist()]
        return joined(runs)

    def _units_of(self, found: Found) -> npt.NDArray[np.int64]:
        """How many parts can be read, for each unit of a file."""
        numbers = np.flatnonzero(found.there)
        if self.plan.shard_shape:
            within = np.unravel_index(numbers, self.plan.shard_grid)
            inside = np.ones(len(numbers), bool)
            grid = self.plan.chunk_grid(self.level)
            for axis, (at, shard, size) in enumerate(
                zip(found.place, self.plan.shard_grid, grid, strict=True)
            ):
                if size is not None:
                    inside &= within[axis] + at * shard < size
            first = within[0] if self.layout.has_steps else np.zeros_like(numbers)
            numbers = first[inside]
        return np.bincount(numbers, minlength=self.layout.units_per_file)

    # -------------------------------------------------------- what was never written

    def doubt_beyond(self, steps: int) -> None:
        """Take raw parts from step number `steps` on for there only if they must be.

        A chunk without codec has its full length from the start, and where nothing was
        written it reads as zeros. A program that was killed has written the first
        pages of a part, or none, or all: so each page must hold something but zeros.
        """
        if self.plan.shard_shape or self.layout.blocks_per_part:
            return
        if self.layout.parts == 1:
            return
        per_unit = self.layout.steps_per_unit
        for found in self.files.values():
            begin = max(0, -(-(steps - self.first_step_of(found)) // per_unit))
            for number in range(begin, self.layout.parts):
                if not found.there[number] or not self._is_written(found, number):
                    found.there[number:] = False
                    break

    def _is_written(self, found: Found, number: int) -> bool:
        part_bytes = self.layout.part_bytes
        start = number * part_bytes
        if part_bytes > MAX_LOOKED_INTO_BYTES:
            return False
        with system.closing(system.open_to_read(found.path)) as descriptor:
            data = np.frombuffer(
                system.read_at(descriptor, part_bytes, start), np.uint8
            )
        if len(data) < part_bytes:
            return False
        shape = (self.layout.steps_per_unit, *self.plan.chunk_shape[1:])
        pixels = np.zeros(shape, bool)
        pixels[self._inside(found.place)] = True  # beyond the plane's edge are zeros
        cuts = np.unique([0, *range(-start % PAGE, part_bytes, PAGE)])
        matter = np.repeat(pixels.reshape(-1), self.plan.dtype.itemsize)
        written = np.logical_or.reduceat(data != 0, cuts)
        return bool(written[np.logical_or.reduceat(matter, cuts)].all())

    def _inside(self, chunk: Place) -> tuple[slice, ...]:
        """The part of a chunk that is not beyond the edge; all along the first axis."""
        sizes = self.plan.level_shapes[self.level]
        cut = []
        for axis, (at, side, size) in enumerate(
            zip(chunk, self.plan.chunk_shape, sizes, strict=True)
        ):
            first = size is None or (axis == 0 and self.layout.has_steps)
            cut.append(slice(None) if first else slice(0, (size or 0) - at * side))
        return tuple(cut)


def gaps(runs: Sequence[Run], start: int, end: int) -> Iterator[Run]:
    """What of `start` to `end` is in no run."""
    for first, last in runs:
        if first >= end:
            break
        if first > start:
            yield start, first
        start = max(start, last)
    if start < end:
        yield start, end


def joined(runs: Sequence[Run]) -> list[Run]:
    """The same steps, in as few runs as can be."""
    few: list[Run] = []
    for start, end in runs:
        if few and few[-1][1] == start:
            few[-1] = few[-1][0], end
        else:
            few.append((start, end))
    return few


def words_for(start: int, end: int) -> str:
    """A run in words."""
    return f"step {start}" if end == start + 1 else f"steps {start} to {end - 1}"
