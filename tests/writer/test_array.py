"""One level: files opened and finished."""

from dataclasses import replace

import blosc
import numpy as np
import pytest
from frames import planes

from napari_zarr_stream import StorageProperties, WriteFailed, plan
from napari_zarr_stream._writer.array import (
    LevelArray,
)
from napari_zarr_stream._writer.codecs import Blosc, codec_of
from napari_zarr_stream._writer.marks import mark_bytes
from napari_zarr_stream._writer.memory import MAX_OPEN_FILES
from napari_zarr_stream._writer.ngff import ZarrV3
from napari_zarr_stream._writer.tiles import lay_tiles


class MemoryFile:
    def __init__(self, store, key):
        self.store, self.key = store, key
        self.content = bytearray()
        self.is_open = True

    def write_at(self, offset, *pieces):
        self.store.check(self.key)
        data = b"".join(pieces)
        missing = offset + len(data) - len(self.content)
        self.content.extend(bytes(max(0, missing)))
        self.content[offset : offset + len(data)] = data

    def lengthen(self, size):
        self.content.extend(bytes(size - len(self.content)))

    def end_with(self, offset, data):
        self.write_at(offset, data)
        del self.content[offset + len(data) :]
        return offset + len(data)

    def appear(self):
        pass

    def close(self):
        self.is_open = False


class MemoryStore:
    """Keeps files in memory; fails for the keys in `broken`."""

    has_holes = True

    def __init__(self):
        self.files = {}
        self.kept_open = set()
        self.broken = set()

    def check(self, key):
        if key in self.broken:
            raise WriteFailed(f"{key} is broken")

    def write(self, key, data):
        self.check(key)
        self.files[key] = bytes(data)

    def write_folder(self, key, files):
        for name, data in files:
            self.write(f"{key}/{name}", data)

    def create_file(self, key, keep_open):
        assert key not in self.files, "made once"
        self.files[key] = MemoryFile(self, key)
        if keep_open:
            self.kept_open.add(key)
        return self.files[key]


def level_of(axes, shape, store, kind="ZarrV3", shard_shape=None, level=0, **options):
    properties = StorageProperties("a.zarr", kind, **options)
    p = plan(properties, axes=axes, shape=shape, dtype="uint16")
    if shard_shape:
        p = replace(p, shard_shape=shard_shape)
    codec = codec_of(properties.kind, p.blosc_block_bytes)
    return LevelArray(p, level, store, codec, ZarrV3("0.5"))


def write(array, numbers, shape=(24, 40)):
    """Write planes as blocks of their own."""
    for number in numbers:
        buffer = array.new_buffer()
        tiles = array.tiles_of(buffer, 0, 0)
        lay_tiles(planes(1, shape, first=number), tiles[np.newaxis])
        array.write_blocks(buffer, number, 1, array.cells(1))


def shard_contents(file, room=4):
    """Chunks by number, read as the specification says."""
    content = bytes(file.content)
    index = np.frombuffer(content[-(room * 16 + 4) : -4], "<u8").reshape(room, 2)
    return {
        number: content[offset : offset + length]
        for number, (offset, length) in enumerate(index.tolist())
        if length != 2**64 - 1
    }


def sharded(store):
    shape = (None, 24, 40)
    return level_of("tyx", shape, store, sharded=True, shard_shape=(4, 24, 40))


@pytest.mark.parametrize("number", [1, 3])
def test_without_holes_a_shard_has_no_index_before_it_is_full(number):
    """FAT, exFAT, HFS+ would fill it with zeros up to an index far behind."""
    store = MemoryStore()
    store.has_holes = False
    array = sharded(store)
    write(array, range(number))
    array.publish()
    file = store.files["0/c/0/0/0"]
    data = number * (24 * 40 * 2 + mark_bytes(1))
    assert len(file.content) == data
    array.flush()  # somebody wants to read it, whatever it takes
    assert len(shard_contents(file)) == number
    write(array, range(number, 4))
    assert len(shard_contents(file)) == 4
    assert len(file.content) == 4 * (24 * 40 * 2 + mark_bytes(1)) + 4 * 16 + 4


def test_a_shard_can_be_read_before_it_is_full():
    store = MemoryStore()
    array = sharded(store)
    sizes = []
    for number in (1, 0, 2):
        write(array, [number])
        array.publish()
        file = store.files["0/c/0/0/0"]
        sizes.append(len(file.content))
        assert shard_contents(file)[number] == planes(1, first=number).tobytes()
    array.publish()
    assert len(shard_contents(file)) == 3
    # Every index lies before the last one, and the file was cut behind it.
    assert sizes == sorted(sizes, reverse=True)
    write(array, [3])
    assert len(shard_contents(file)) == 4
    data, marks, index = 4 * 24 * 40 * 2, 4 * mark_bytes(1), 4 * 16 + 4
    assert len(file.content) == data + marks + index


def test_indexes_of_a_shard_never_meet_its_chunks():
    store = MemoryStore()
    array = level_of("tyx", (None, 2, 3), store, sharded=True, shard_shape=(99, 2, 3))
    for number in range(98):
        write(array, [number], (2, 3))
        array.publish()
        contents = shard_contents(store.files["0/c/0/0/0"], 99)
        expected = planes(number + 1, (2, 3))
        assert b"".join(contents.values()) == expected.tobytes()


def test_a_shard_is_finished_with_its_last_chunk():
    store = MemoryStore()
    array = sharded(store)
    write(array, [1, 0, 3])
    file = store.files["0/c/0/0/0"]
    assert file.is_open
    write(array, [2])
    assert not file.is_open
    expected = {number: planes(1, first=number).tobytes() for number in range(4)}
    assert shard_contents(file) == expected


def test_an_unfinished_shard_is_finished_with_what_is_there():
    store = MemoryStore()
    array = sharded(store)
    write(array, [0, 1, 2, 3, 5])
    array.finish()
    file = store.files["0/c/1/0/0"]
    assert not file.is_open
    assert shard_contents(file) == {1: planes(1, first=5).tobytes()}
    array.finish()


def test_a_chunk_that_failed_is_not_in_the_index():
    store = MemoryStore()
    array = sharded(store)
    write(array, [0])
    store.broken.add("0/c/0/0/0")
    with pytest.raises(WriteFailed):
        write(array, [1])
    store.broken.clear()
    array.finish()
    contents = shard_contents(store.files["0/c/0/0/0"])
    assert contents == {0: planes(1).tobytes()}


def test_finish_tries_every_file_and_closes_it():
    store = MemoryStore()
    array = level_of("tyx", (None, 24, 40), store, sharded=True, tile_width=20)
    write(array, [0])
    first, second = store.files
    store.broken.add(first)
    with pytest.raises(WriteFailed, match=first):
        array.finish()
    assert not any(file.is_open for file in store.files.values())
    number = shard_index_number(store.files[second], array)
    assert number == [0]


def shard_index_number(file, array):
    chunks = array.plan.chunks_per_shard
    content = bytes(file.content)
    index = np.frombuffer(content[-(16 * chunks + 4) : -4], "<u8").reshape(-1, 2)
    return np.flatnonzero(index[:, 1] != 2**64 - 1).tolist()


def test_raw_chunks_are_written_frame_by_frame_and_full_sized_from_the_start():
    store = MemoryStore()
    array = level_of("tyx", (None, 24, 40), store, frames_per_chunk=3)
    write(array, [1])
    file = store.files["0/c/0/0/0"]
    assert len(file.content) == 3 * 24 * 40 * 2
    write(array, [0])
    assert file.is_open
    write(array, [2])
    assert not file.is_open
    assert bytes(file.content) == planes(3).tobytes()


@pytest.mark.parametrize(
    ("axes", "shape", "options"),
    [
        pytest.param(
            "tyx", (None, 64, 64), {"tile_width": 4, "tile_height": 4}, id="tiles"
        ),
        pytest.param("tzyx", (None, 100, 8, 8), {"tile_planes": 1}, id="planes"),
        pytest.param("tcyx", (None, 100, 8, 8), {}, id="channels"),
    ],
)
@pytest.mark.parametrize("sharded", [True, False])
def test_files_of_large_layers_are_not_all_kept_open(axes, shape, options, sharded):
    """A process may have few files open."""
    options = options | {"frames_per_chunk": 2 - sharded, "sharded": sharded}
    store = MemoryStore()
    array = level_of(axes, shape, store, enable_multiscale=False, **options)
    write(array, range(array.plan.planes_per_step), shape[-2:])
    assert len(store.files) > MAX_OPEN_FILES
    assert store.kept_open == set()


def test_few_files_of_all_levels_are_kept_open():
    """One camera of 4096 x 4096 in tiles of 512 had 86 files open."""
    store = MemoryStore()
    options = {"tile_width": 4, "tile_height": 4, "sharded": True}
    p = level_of("tyx", (None, 32, 32), store, **options).plan
    for level in range(len(p.level_shapes)):
        array = level_of("tyx", (None, 32, 32), store, level=level, **options)
        array.write_blocks(array.new_buffer(), 0, 1, array.cells(1))
    assert len(store.files) == 64 + 16 + 4 + 1
    assert len(store.kept_open) == 16 + 4 + 1


def test_files_of_small_layers_are_kept_open():
    store = MemoryStore()
    write(level_of("tyx", (None, 24, 40), store, sharded=True), [0])
    assert store.kept_open == set(store.files)


def test_bytes_stored_are_counted():
    store = MemoryStore()
    array = level_of("tyx", (None, 24, 40), store, tile_width=32)
    buffer = array.new_buffer()
    assert array.write_blocks(buffer, 0, 1, array.cells(1)) == 2 * 24 * 32 * 2


def test_a_blosc_chunk_is_written_frame_by_frame_and_complete_with_the_last():
    store = MemoryStore()
    size = (200, 200)
    options = {"kind": "ZarrV3Blosc1ZstdByteShuffle"}
    array = level_of("tyx", (None, *size), store, frames_per_chunk=3, **options)
    write(array, [2, 0], size)
    file = store.files["0/c/0/0/0"]
    assert bytes(file.content[:16]) == bytes(16)
    write(array, [1], size)
    assert not file.is_open
    assert blosc.decompress(bytes(file.content)) == planes(3, size).tobytes()


def test_frames_that_never_came_are_zeros_and_cost_one(monkeypatch):
    encoded, encode = [], Blosc.encode_blocks
    monkeypatch.setattr(
        Blosc,
        "encode_blocks",
        lambda codec, pixels: encoded.append(pixels.nbytes) or encode(codec, pixels),
    )
    store = MemoryStore()
    size = (200, 200)
    options = {"kind": "ZarrV3Blosc1Lz4ByteShuffle"}
    array = level_of("tyx", (None, *size), store, frames_per_chunk=100, **options)
    write(array, [0], size)
    array.finish()
    content = bytes(store.files["0/c/0/0/0"].content)
    expected = np.zeros((100, *size), "uint16")
    expected[0] = planes(1, size)[0]
    assert blosc.decompress(content) == expected.tobytes()
    assert len(content) < 80_000
    assert len(encoded) == 2  # what came, and one part of zeros for all that did not
    assert sum(encoded) < expected.nbytes / 10
