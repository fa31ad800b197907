"""One row of tiles of one level on its way: the slot of an image that comes by rows.

Knows no threads. The caller fills it; then parts of it are written side by side.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from .array import LevelArray
from .cascade import Piece
from .memory import WORKERS
from .plan import Plan
from .tiles import lay_tiles

Rows = npt.NDArray[np.generic]


class TileRow:
    """A buffer for the tiles of one level that lie side by side.

    Parameters
    ----------
    plan : Plan
        Of blocks of one plane.
    array : LevelArray
    """

    is_large = True
    """Several workers write one: of a wide image few fit into memory."""

    def __init__(self, plan: Plan, array: LevelArray) -> None:
        self.plan = plan
        self._array = array
        self._height, _ = plan.plane_shape(array.level)
        self._down, self._across = plan.tile_grid(array.level)
        _, self._tile_height, tile_width = plan.tile_shape
        shape = (self._across, self._tile_height, tile_width)
        self._tiles = np.zeros(shape, plan.dtype)
        # One row stands at every place down, so that a tile is found where a block of
        # the whole plane would have it: in the first chunk along c and z.
        block = self._tiles[:, np.newaxis, np.newaxis]
        self._block = np.broadcast_to(
            block, (1, 1, 1, self._down, self._across, 1, 1, *shape[1:])
        )
        self.plane = self._row = self._laid = 0

    def start(self, first_plane: int) -> None:
        """Make ready for pixels of plane number `first_plane`."""
        self.plane, self._row, self._laid = first_plane, 0, 0

    def be(self, row: int) -> None:
        """Be the tiles of that row, counted from the top of the plane."""
        self._row = row

    @property
    def room(self) -> int:
        """Rows of pixels that are still to come: the last tiles may be cut."""
        there = self._height - self._row * self._tile_height
        return min(self._tile_height, there) - self._laid

    @property
    def is_last(self) -> bool:
        """Whether the plane ends with it."""
        return self._row == self._down - 1

    def lay(self, rows: Rows) -> None:
        """Take (n, width), no more than there is room for."""
        end = self._laid + len(rows)
        tiles = self._tiles[np.newaxis, np.newaxis, :, self._laid : end]
        lay_tiles(rows[np.newaxis], tiles)
        self._laid = end

    def clear_missing(self) -> None:
        """Zero what lies below the last row of pixels."""
        self._tiles[:, self._laid :] = 0

    def halve(self, planes: Iterable[int] | None = None) -> None:
        """Nothing: the next level is made as rows come."""

    def parts(self) -> list[Piece]:
        """What `write` is to be called with: everything, in some parts."""
        level, across = self._array.level, range(self._across)
        cells = [(0, 0, self._row, column) for column in across]
        some = max(1, -(-len(cells) // (2 * WORKERS)))
        return [
            Piece(level, cells[at : at + some], self._block, self.plane, 1)
            for at in range(0, len(cells), some)
        ]

    def write(self, part: Piece) -> int:
        """Encode and store one of `parts`; returns bytes stored.

        Raises
        ------
        WriteFailed
        """
        return self._array.write_blocks(
            part.buffer, part.first_block, part.blocks, part.cells
        )
