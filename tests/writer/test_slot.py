"""One slot of the queue: filled, cleared, halved, written."""

import numpy as np
import pytest
from frames import planes

from napari_zarr_stream import StorageProperties, plan
from napari_zarr_stream._writer import slot as slot_module
from napari_zarr_stream._writer.array import LevelArray
from napari_zarr_stream._writer.codecs import Raw
from napari_zarr_stream._writer.ngff import ZarrV3
from napari_zarr_stream._writer.slot import Slot


class Chunks:
    """A store that keeps the chunks it is given."""

    def __init__(self):
        self.chunks = {}

    def write(self, key, data):
        self.chunks[key] = np.frombuffer(data, "uint16")

    def write_folder(self, key, files):
        for name, data in files:
            self.write(f"{key}/{name}", data)


def slot_of(axes, shape, **options):
    properties = StorageProperties("a.zarr", "ZarrV3Blosc1Lz4ByteShuffle", **options)
    p = plan(properties, axes=axes, shape=shape, dtype="uint16")
    store = Chunks()
    levels = [
        LevelArray(p, level, store, Raw(), ZarrV3("0.5"))
        for level in range(len(p.level_shapes))
    ]
    return Slot(p, levels, properties.method), store


def chunk_layers():
    return slot_of(
        "tyx", (None, 24, 40), tile_width=32, tile_height=16, frames_per_chunk=4,
        enable_multiscale=False,
    )  # fmt: skip


def put_all(slot, frames):
    while len(frames):
        frames = frames[slot.put(frames) :]


def written(slot, store):
    slot.clear_missing()
    slot.halve()
    stored = sum(slot.write(part) for part in slot.parts())
    assert stored == sum(chunk.nbytes for chunk in store.chunks.values())
    return store.chunks


def test_full_with_the_last_plane_of_its_blocks():
    slot, _ = chunk_layers()
    slot.start(8)
    room = 4 * slot.plan.memory.blocks_per_slot
    for i in range(room):
        assert not slot.is_full
        assert slot.at_block_end == (i % 4 == 0)
        assert slot.put(planes(1, first=8 + i)) == 1
    assert slot.is_full
    assert slot.end == 8 + room


def test_put_takes_what_fits_into_a_block():
    slot, _ = chunk_layers()
    slot.start(0)
    assert slot.put(planes(3)) == 3
    assert slot.put(planes(3, first=3)) == 1


def test_chunks_have_the_pixels_of_their_tiles():
    slot, store = chunk_layers()
    slot.start(4)
    frames = planes(4, first=4)
    put_all(slot, frames)
    chunk = written(slot, store)["0/c/1/1/0"].reshape(4, 16, 32)
    np.testing.assert_array_equal(chunk[:, :8], frames[:, 16:, :32])
    assert not chunk[:, 8:].any()


def test_what_an_earlier_use_left_is_cleared():
    slot, store = chunk_layers()
    slot.start(0)
    put_all(slot, planes(4, first=100))
    written(slot, store)
    store.chunks.clear()
    slot.start(4)
    put_all(slot, planes(2, first=4))
    chunk = written(slot, store)["0/c/1/0/0"].reshape(4, 16, 32)
    np.testing.assert_array_equal(chunk[:2], planes(2, first=4)[:, :16, :32])
    assert not chunk[2:].any()


def test_the_same_in_lower_levels_of_volumes():
    slot, store = slot_of(
        "zyx", (None, 24, 40), tile_width=20, tile_height=12, tile_planes=4
    )
    assert len(slot.plan.level_shapes) == 2
    slot.start(0)
    put_all(slot, planes(4 * slot.plan.memory.blocks_per_slot, first=100))
    written(slot, store)
    store.chunks.clear()
    slot.start(0)
    put_all(slot, planes(1))
    chunk = written(slot, store)["1/c/0/0/0"].reshape(4, 12, 20)
    assert chunk[0].any()
    assert not chunk[1:].any()


def test_a_large_slot_is_cut_into_parts_that_name_every_chunk_once(monkeypatch):
    slot, store = chunk_layers()
    slot.start(0)
    put_all(slot, planes(4))
    assert not slot.is_large
    assert len(slot.parts()) == 1
    monkeypatch.setattr(slot_module, "PART_BYTES", slot.plan.bytes_per_chunk)
    assert slot.is_large
    cells = [cell for part in slot.parts() for cell in part.cells]
    assert len(slot.parts()) > 1
    assert len(cells) == len(set(cells)) == 4
    assert len(written(slot, store)) == 4


@pytest.mark.parametrize(
    ("options", "early"),
    [
        pytest.param({}, True, id="planes"),
        pytest.param({"enable_multiscale": False}, False, id="one-level"),
        pytest.param({"tile_planes": 2}, False, id="volumes"),
    ],
)
def test_only_large_slots_of_pictures_halve_early(monkeypatch, options, early):
    slot, _ = slot_of(
        "zyx", (6, 24, 40), tile_width=20, **({"tile_planes": 1} | options)
    )
    assert not slot.halves_early
    monkeypatch.setattr(slot_module, "PART_BYTES", 1)
    assert slot.halves_early == early
