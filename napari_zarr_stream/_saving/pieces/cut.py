"""How an export is cut: boxes of whole files, and of what is read at once for them."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from napari_zarr_stream._writer.grid import Grid, ceil_div

PIECE_BYTES = 128 * 2**20
"""Of pixels, where files are not larger: a task of a second or two, and what is lost
with a worker that is killed."""

READ_BYTES = 128 * 2**20
"""Of pixels that are read at once for a piece, where its files are larger."""

Place = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A box of one level of an image, whose files nobody else writes.

    Attributes
    ----------
    image : str
        Its path below the root.
    level, number : int
        Which of its pieces it is.
    start, stop : tuple of int
        Pixels along each axis.
    """

    image: str
    level: int
    number: int
    start: Place
    stop: Place

    @property
    def pixels(self) -> int:
        """How many there are."""
        return math.prod(b - a for a, b in zip(self.start, self.stop, strict=True))


def pieces_of(image: str, level: int, plan: Grid, here: int) -> Iterator[Piece]:
    """Pieces of a level of an image, which is level `here` of a plan with an end."""
    shape = tuple(size or 1 for size in plan.level_shapes[here])
    unit = plan.shard_shape or plan.chunk_shape
    most = PIECE_BYTES // plan.dtype.itemsize
    cut = boxes((0,) * len(shape), shape, unit, most)
    for number, (start, stop) in enumerate(cut):
        yield Piece(image, level, number, start, stop)


def boxes(
    start: Sequence[int], stop: Sequence[int], unit: Sequence[int], most: int
) -> Iterator[tuple[Place, Place]]:
    """A box as boxes of whole units, of at most `most` pixels where a unit has less.

    In C order, as their units are: each is as long as possible along the last axes.

    >>> list(boxes((0, 0), (4, 10), (2, 3), 12))
    [((0, 0), (2, 6)), ((0, 6), (2, 10)), ((2, 0), (4, 6)), ((2, 6), (4, 10))]
    >>> list(boxes((0, 0), (4, 10), (2, 3), 40))
    [((0, 0), (4, 10))]
    """
    sizes = [b - a for a, b in zip(start, stop, strict=True)]
    sides = [min(n, size) for n, size in zip(unit, sizes, strict=True)]
    for axis in reversed(range(len(sides))):
        units = ceil_div(sizes[axis], unit[axis])
        there = min(units, most // math.prod(sides))
        if there < 1:
            break
        sides[axis] = min(there * unit[axis], sizes[axis])
        if there < units:
            break
    steps = (range(a, b, n) for a, b, n in zip(start, stop, sides, strict=True))
    for at in itertools.product(*steps):
        ends = zip(at, sides, stop, strict=True)
        yield at, tuple(min(a + n, b) for a, n, b in ends)
