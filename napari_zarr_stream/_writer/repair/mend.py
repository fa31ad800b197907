"""What is done to a store: files get what they need, levels are made again."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.array import LevelArray
from napari_zarr_stream._writer.cascade import Cascade
from napari_zarr_stream._writer.codecs import (
    BlockTable,
    Blosc,
    Codec,
    encode_shard_index,
)
from napari_zarr_stream._writer.downsample import TileHalver
from napari_zarr_stream._writer.errors import WriteFailed
from napari_zarr_stream._writer.ngff import Serializer
from napari_zarr_stream._writer.properties import DownsamplingMethod
from napari_zarr_stream._writer.slot import Slot

from .existing_store import ExistingStore
from .files import Found, Layout, Need
from .level import Run
from .pixels import LevelPixels


class Mender:
    """Writes what is missing of a level's files into a store.

    Parameters
    ----------
    layout : Layout
    codec : Codec
    serializer : Serializer
    method : DownsamplingMethod
    """

    def __init__(
        self,
        layout: Layout,
        codec: Codec,
        serializer: Serializer,
        method: DownsamplingMethod,
    ) -> None:
        self._layout = layout
        self._plan = layout.plan
        self._codec = codec
        self._serializer = serializer
        self._method = method

    def mend(self, found: Found, store: ExistingStore) -> None:
        """Give a file what it needs, for the parts that are there."""
        key = found.path.relative_to(store.root).as_posix()
        if found.need is Need.INDEX:
            assert found.index is not None
            store.end_with(key, found.chunks_end, encode_shard_index(found.index))
        elif found.need is Need.LENGTH:
            store.lengthen(key, self._plan.bytes_per_chunk)
        else:
            size = found.path.stat().st_size
            head, tail = self._head_of(found, size)
            with store.copy(key) as file:
                file.write_at(size, tail)
                file.write_at(0, head)

    def _head_of(self, found: Found, size: int) -> tuple[bytes, bytes]:
        """What makes a chunk of the parts that are there, in a file of `size` bytes.

        Returns
        -------
        (what is to be written at the start, what at the end)
        """
        assert isinstance(self._codec, Blosc)
        dtype, count = self._plan.dtype, self._layout.blocks_per_part
        table = BlockTable(self._codec, dtype, count * self._layout.parts)
        with system.closing(system.open_to_read(found.path)) as descriptor:
            for part in found.placed:
                data = system.read_at(descriptor, part.size, part.offset)
                blocks = self._codec.find_blocks(data, count, dtype.itemsize)
                if blocks is None:
                    raise WriteFailed(f"{found.path} was changed meanwhile")
                table.put(part.number * count, blocks, part.offset)
        none = np.zeros(self._layout.part_bytes // dtype.itemsize, dtype)
        zeros = self._codec.encode_blocks(none)
        table.fill(zeros, size)
        return table.encode(size + len(zeros.data)), bytes(zeros.data)

    def _arrays(self, store: ExistingStore) -> list[LevelArray]:
        return [
            LevelArray(self._plan, level, store, self._codec, self._serializer)
            for level in range(len(self._plan.level_shapes))
        ]

    def _halver(self) -> TileHalver | None:
        return TileHalver(self._plan.dtype) if self._plan.halves_in_tiles else None

    def make_planes(
        self,
        levels: Sequence[int],
        numbers: Sequence[int],
        full: LevelPixels,
        store: ExistingStore,
    ) -> None:
        """The same for planes at any place: all those that share files with another.

        Raises
        ------
        WriteFailed
        """
        arrays = self._arrays(store)
        slot = Slot(self._plan, arrays, self._method, self._halver())
        with _as_write_failed(levels):
            for number in numbers:
                slot.start(number)
                slot.put(full.plane(number)[np.newaxis])
                slot.clear_missing()
                slot.halve()
                for part in slot.parts():
                    if part.level in levels:
                        slot.write(part)
            for level in levels:
                arrays[level].finish()

    def make_smaller(
        self,
        levels: Sequence[int],
        steps: Run,
        full: LevelPixels,
        store: ExistingStore,
        tick: Callable[[int], None],
    ) -> None:
        """Make the files of smaller levels again from the planes of level 0.

        `steps` begin with a chunk layer. `tick` is told how many planes were read.

        Raises
        ------
        WriteFailed
        """
        plan, arrays = self._plan, self._arrays(store)
        halver = self._halver()
        number, last = (step * plan.planes_per_step for step in steps)
        with _as_write_failed(levels):
            cascade = Cascade(plan, arrays, self._method) if plan.cascades else None
            slot = Slot(plan, arrays, self._method, halver, cascade)
            while number < last:
                slot.start(number)
                while number < last and not slot.is_full:
                    number += slot.put(full.plane(number)[np.newaxis])
                    tick(1)
                slot.clear_missing()
                slot.halve()
                for part in slot.parts():
                    if part.level in levels:
                        slot.write(part)
            for part in cascade.rest(last) if cascade else ():
                if part.level in levels:
                    slot.write(part)
            for level in levels:
                arrays[level].finish()


@contextlib.contextmanager
def _as_write_failed(levels: Sequence[int]) -> Iterator[None]:
    try:
        yield
    except WriteFailed:
        raise
    except (OSError, MemoryError) as error:
        raise WriteFailed(
            f"levels {levels} could not be made again: {error}"
        ) from error
