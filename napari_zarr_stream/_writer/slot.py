"""Consecutive planes on their way into all levels: one slot of the bounded queue.

Knows nothing of threads. Between `start` and `clear_missing` the caller fills it; after
that, parts of it may be halved and written side by side.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from .array import LevelArray
from .cascade import Cascade, Piece
from .downsample import TileHalver, halve
from .memory import PART_BYTES
from .plan import Plan
from .properties import DownsamplingMethod
from .tiles import gather_tiles, lay_tiles

Planes = npt.NDArray[np.generic]


class Slot:
    """Buffers for consecutive blocks, one for each level.

    Parameters
    ----------
    plan : Plan
    arrays : sequence of LevelArray
        Full size first.
    method : DownsamplingMethod
    halver : TileHalver or None
        Where `Plan.halves_in_tiles`.
    cascade : Cascade or None
        Where `Plan.cascades`: all slots of a stream have the same.
    """

    def __init__(
        self,
        plan: Plan,
        arrays: Sequence[LevelArray],
        method: DownsamplingMethod,
        halver: TileHalver | None = None,
        cascade: Cascade | None = None,
    ) -> None:
        self.plan = plan
        self._all = arrays
        self._cascade = cascade
        self._completed: list[Piece] = []  # blocks of lower levels, by the cascade
        self._arrays = arrays[:1] if cascade else arrays
        self._method = method
        self._halver = halver
        self._buffers = [array.new_buffer() for array in self._arrays]
        self._was_used = False
        self.image = 0
        self.rows: list[Mapping[str, float]] = []
        self.first_plane = 0
        self.planes = 0
        self._laid = 0

    @property
    def is_large(self) -> bool:
        """Whether it is worth to work on parts of it."""
        return sum(buffer.nbytes for buffer in self._buffers) > PART_BYTES

    @property
    def halves_early(self) -> bool:
        """Whether planes are to be halved as they are laid."""
        return self.is_large and len(self._arrays) > 1 and not self.plan.z_is_halved

    @property
    def end(self) -> int:
        """Number of the plane after the last one in here."""
        return self.first_plane + self.planes

    @property
    def at_block_end(self) -> bool:
        """Whether no block is half filled."""
        return self.plan.locate(self.end)[1] == 0

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another plane."""
        block, _ = self._block_of(self.end + self._laid)
        return block == self.plan.memory.blocks_per_slot

    @property
    def _blocks(self) -> int:
        return self._block_of(self.end - 1)[0] + 1

    def _block_of(self, plane: int) -> tuple[int, int]:
        """The block within this slot, and the offset in it, of a plane's number."""
        first, _, _ = self.plan.locate(self.first_plane)
        block, offset, _ = self.plan.locate(plane)
        return block - first, offset

    def lend(self, image: int, plan: Plan, arrays: Sequence[LevelArray]) -> None:
        """Be for planes of an image of the same sizes: see `ImageSet`.

        What is known of its planes goes with them, in `rows`.
        """
        self.image, self.plan, self.rows = image, plan, []
        self._all = self._arrays = arrays

    def start(self, first_plane: int) -> None:
        """Make ready for planes from number `first_plane` on, the first of a block."""
        self.first_plane = first_plane
        self.planes = self._laid = 0
        if self._cascade:
            for piece in self._completed:
                self._cascade.give_back(piece)
            self._completed.clear()

    def lay(self, planes: Planes) -> int:
        """Lay as many planes, (n, height, width), as can be laid at once; returns n.

        They belong to the slot when `take` is called, and not if `forget` is.
        """
        block, offset = self._block_of(self.end + self._laid)
        buffer = self._buffers[0]
        if self.plan.planes_per_block == 1:
            tiles = buffer[block:, 0, 0, :, :, 0, 0]
        elif self.plan.planes_per_block == self.plan.block[0]:
            tiles = buffer[block, 0, 0, :, :, offset:, 0].transpose(2, 0, 1, 3, 4)
        else:
            tiles = self._arrays[0].tiles_of(buffer, block, offset)[np.newaxis]
        count = min(len(planes), len(tiles))
        lay_tiles(planes[:count], tiles[:count])
        self._laid += count
        return count

    def put(self, planes: Planes) -> int:
        """Lay planes and take them; returns how many."""
        self.lay(planes)
        return self.take()

    def take(self) -> int:
        """Count what was laid; returns how many planes that are."""
        laid, self._laid = self._laid, 0
        if self._cascade:
            for number in range(self.end, self.end + laid):
                plane = self._gather(0, *self._block_of(number))
                self._completed += self._cascade.put(0, number, plane)
        self.planes += laid
        return laid

    def forget(self) -> None:
        """Let others take the place of what was laid."""
        self._laid = 0
        self._was_used = True

    def clear_missing(self) -> None:
        """Zero what an earlier use left where no plane has come."""
        if self._was_used:
            for block in range(self._blocks):
                for array, buffer in zip(self._arrays, self._buffers, strict=True):
                    here = self.plan.offsets_at(array.level, self._planes_in(block))
                    room = self.plan.offsets_at(array.level, self.plan.planes_per_block)
                    for offset in range(here, room):
                        array.tiles_of(buffer, block, offset)[...] = 0
        self._was_used = True

    def _planes_in(self, block: int) -> int:
        last, offset = self._block_of(self.end - 1)
        if block == last:
            return offset + 1
        first, _, _ = self.plan.locate(self.first_plane)
        return self.plan.locate(self.plan.first_plane(first + block))[2]

    def halve(self, planes: Iterable[int] | None = None) -> None:
        """Fill the lower levels from level 0.

        `planes` names some of the planes by their numbers, where `z` is not halved.
        """
        if self._cascade:
            return  # as planes were taken
        if self.plan.z_is_halved:
            for block in range(self._blocks):
                self._halve_volumes(block)
            return
        numbers = range(self.first_plane, self.end) if planes is None else planes
        halve_one = self._halve_in_tiles if self._halver else self._halve_plane
        for number in numbers if len(self._arrays) > 1 else ():
            halve_one(*self._block_of(number))

    def _halve_in_tiles(self, block: int, offset: int) -> None:
        assert self._halver is not None
        channel, z_chunk, frame, plane = self.plan.place_in_block(offset, 0)
        for level, (buffer, below) in enumerate(itertools.pairwise(self._buffers)):
            self._halver(
                buffer[block, channel, z_chunk],
                below[block, channel, z_chunk],
                frame,
                plane,
                self.plan.plane_shape(level),
            )

    def _halve_plane(self, block: int, offset: int) -> None:
        plane = self._gather(0, block, offset)
        for array, buffer in zip(self._arrays[1:], self._buffers[1:], strict=True):
            half = np.empty(self.plan.plane_shape(array.level), plane.dtype)
            halve([plane], half, self._method)
            lay_tiles(
                half[np.newaxis], array.tiles_of(buffer, block, offset)[np.newaxis]
            )
            plane = half

    def _halve_volumes(self, block: int) -> None:
        frames, channels, depth = self.plan.block
        filled = self._planes_in(block)
        for volume in range(min(frames * channels, -(-filled // depth))):
            planes = min(depth, filled - volume * depth)
            for level in range(len(self._arrays) - 1):
                self._halve_volume(block, volume, planes, level)

    def _halve_volume(self, block: int, volume: int, planes: int, level: int) -> None:
        depth = self.plan.block[2]
        first, first_below = (
            volume * self.plan.planes_at(at, depth) for at in (level, level + 1)
        )
        here = self.plan.planes_at(level, planes)
        step = 2 if self.plan.halves_z_below(level) else 1
        below, buffer = self._arrays[level + 1], self._buffers[level + 1]
        for z in range(0, here, step):
            pair = [
                self._gather(level, block, first + z + i)
                for i in range(min(step, here - z))
            ]
            half = np.empty(self.plan.plane_shape(level + 1), pair[0].dtype)
            halve(pair, half, self._method)
            tiles = below.tiles_of(buffer, block, first_below + z // step)
            lay_tiles(half[np.newaxis], tiles[np.newaxis])

    def _gather(self, level: int, block: int, offset: int) -> Planes:
        array, buffer = self._arrays[level], self._buffers[level]
        plane = np.empty(self.plan.plane_shape(level), self.plan.dtype)
        gather_tiles(array.tiles_of(buffer, block, offset), plane)
        return plane

    def parts(self) -> list[Piece]:
        """What `write` is to be called with: everything, in one part or more."""
        first, _, _ = self.plan.locate(self.first_plane)
        parts = []
        for array, buffer in zip(self._arrays, self._buffers, strict=True):
            # Only the last block can be short, and it is alone where z_chunks differ.
            cells = array.cells(min(self.plan.block[2], self._planes_in(0)))
            count = max(1, min(len(cells), buffer.nbytes // PART_BYTES))
            for i in range(count):
                some = cells[i::count]
                parts.append(Piece(array.level, some, buffer, first, self._blocks))
        return parts + self._completed

    def write(self, part: Piece) -> int:
        """Encode and store one of `parts`; returns bytes stored.

        Raises
        ------
        WriteFailed
        """
        array = self._all[part.level]
        return array.write_blocks(
            part.buffer, part.first_block, part.blocks, part.cells
        )
