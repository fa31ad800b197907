"""Volumes halved along z as their planes come: two planes of each level are kept.

A plane waits for its neighbour; both make a plane of the next level, which is laid into
a block there. Blocks that are full go with the slot whose planes completed them.
Starts no threads: planes are put in order, by one caller at a time.
"""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .array import Cell, LevelArray
from .downsample import halve
from .plan import Plan
from .properties import DownsamplingMethod
from .tiles import lay_tiles

Pixels = npt.NDArray[np.generic]


class Piece(NamedTuple):
    """Chunks to be written: `cells` of the first `blocks` blocks of a buffer."""

    level: int
    cells: list[Cell]
    buffer: Pixels
    first_block: int
    blocks: int


class Cascade:
    """The levels below the first, where `Plan.cascades`.

    Parameters
    ----------
    plan : Plan
    arrays : sequence of LevelArray
        Full size first.
    method : DownsamplingMethod
    """

    def __init__(
        self, plan: Plan, arrays: Sequence[LevelArray], method: DownsamplingMethod
    ) -> None:
        self._plan = plan
        self._arrays = arrays
        self._method = method
        self._waiting: dict[int, Pixels] = {}  # by level: the first plane of a pair
        self._open: dict[int, Piece] = {}  # by level: the block being filled
        self._free: dict[int, deque[Pixels]] = {
            array.level: deque() for array in arrays[1:]
        }

    def put(self, level: int, number: int, plane: Pixels) -> list[Piece]:
        """Take plane `number` of `level`; returns the blocks that it completes.

        `plane` is kept, where it waits for another.
        """
        plan, below = self._plan, level + 1
        if below == len(self._arrays):
            return []
        volume, z = divmod(number, plan.depth(level))
        step = 2 if plan.halves_z_below(level) else 1
        if step == 2 and z % 2 == 0 and z + 1 < plan.depth(level):
            self._waiting[level] = plane
            return []
        pair = [plane]
        if z % step:
            pair.insert(0, self._waiting.pop(level))
        return self._halve(below, volume * plan.depth(below) + z // step, pair)

    def _halve(self, level: int, number: int, pair: list[Pixels]) -> list[Piece]:
        plan, array = self._plan, self._arrays[level]
        half = np.empty(plan.plane_shape(level), plan.dtype)
        halve(pair, half, self._method)
        block, offset, size = plan.locate(number, level)
        if level not in self._open:
            buffer = self._new_buffer(array)
            self._open[level] = Piece(level, array.cells(1), buffer, block, 1)
        piece = self._open[level]
        tiles = array.tiles_of(piece.buffer, 0, offset)
        lay_tiles(half[np.newaxis], tiles[np.newaxis])
        full = [self._open.pop(level)] if offset + 1 == size else []
        return full + self.put(level, number, half)

    def _new_buffer(self, array: LevelArray) -> Pixels:
        """One block's, of zeros."""
        if not self._free[array.level]:
            shape = self._plan.block_shape(array.level)
            self._free[array.level].append(np.empty((1, *shape), self._plan.dtype))
        buffer = self._free[array.level].pop()
        buffer.fill(0)
        return buffer

    def give_back(self, piece: Piece) -> None:
        """Let the buffer of a block that was written be used again."""
        self._free[piece.level].append(piece.buffer)

    def rest(self, planes: int) -> list[Piece]:
        """The blocks that the end of a volume cut short leaves, after `planes` planes.

        A plane without neighbour is halved alone.
        """
        pieces, number = [], planes - 1
        for level in range(len(self._arrays) - 1):
            volume, z = divmod(number, self._plan.depth(level))
            step = 2 if self._plan.halves_z_below(level) else 1
            number = volume * self._plan.depth(level + 1) + z // step
            if (plane := self._waiting.pop(level, None)) is not None:
                pieces += self._halve(level + 1, number, [plane])
        pieces += self._open.values()
        self._open.clear()
        return pieces
