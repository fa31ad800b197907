"""What was looked at is kept, as long as it is what is stored."""

import os
import threading
import time

import numpy as np
import pytest
import zarr
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream._reading.kept import Chunks, KeptArray
from napari_zarr_stream._reading.zarr_array import ZarrArray

SHAPE = (11, 37, 53)
PIXELS = np.random.default_rng(0).integers(0, 2**16, SHAPE, "uint16")

LAYOUTS = {
    "v2, chunks of several frames": {"zarr_format": 2, "chunks": (4, 16, 16)},
    "v3": {"zarr_format": 3, "chunks": (3, 20, 53)},
    "v3, shards": {"zarr_format": 3, "chunks": (1, 16, 16), "shards": (4, 16, 32)},
}


class Counted(ZarrArray):
    """Counts the frames of each read; can be made to wait in one."""

    def __init__(self, path):
        super().__init__(path)
        self.reads = []
        self.gate = threading.Event()
        self.gate.set()

    def __getitem__(self, key):
        self.reads.append(key[0])
        assert self.gate.wait(PATIENCE_S)
        return super().__getitem__(key)


def stored(path, layout, *, age_s=60):
    array = zarr.create_array(path, shape=SHAPE, dtype="uint16", **LAYOUTS[layout])
    array[...] = PIXELS
    settle(path, age_s)
    return Counted(path)


def settle(path, age_s=60):
    """As if all files had been written some time ago."""
    then = time.time() - age_s
    for file in path.rglob("*"):
        os.utime(file, (then, then))


def frame(number):
    return number, slice(None), slice(None)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_part_is_what_is_stored(tmp_path, layout):
    array = KeptArray(stored(tmp_path / "a", layout), Chunks(2**20))
    rng = np.random.default_rng(1)
    for _ in range(60):
        key = []
        for size in SHAPE:
            first, last = sorted(rng.integers(0, size + 1, 2).tolist())
            at = slice(first, last, int(rng.integers(1, 4)))
            key.append(int(rng.integers(size)) if rng.random() < 0.3 else at)
        np.testing.assert_array_equal(array[tuple(key)], PIXELS[tuple(key)])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_was_decoded_serves_all_its_frames(tmp_path, layout):
    source = stored(tmp_path / "a", layout)
    array = KeptArray(source, Chunks(2**20))
    per_chunk = source.chunks[0]
    for number in [*range(per_chunk), *reversed(range(per_chunk))]:
        np.testing.assert_array_equal(array[frame(number)], PIXELS[number])
    wait_until(lambda: not array._being_read)
    mine = [read for read in source.reads if read.start < per_chunk]
    assert len(mine) == 1


def test_no_more_is_kept_than_was_said(tmp_path):
    kept = Chunks(24 * 1024)  # of 6 KiB a frame
    array = KeptArray(stored(tmp_path / "a", "v3, shards"), kept)
    for number in (0, 5, 9, 2, 7):
        np.testing.assert_array_equal(array[frame(number)], PIXELS[number])
        assert kept.bytes <= kept.most_bytes
    whole = array[:, :, :]  # which leaves what is kept as it is
    np.testing.assert_array_equal(whole, PIXELS)
    assert 0 < kept.bytes <= kept.most_bytes


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_that_has_changed_is_read_again(tmp_path, layout):
    path = tmp_path / "a"
    array = KeptArray(stored(path, layout), Chunks(2**20))
    assert array[frame(4)].any()
    zarr.open_array(path)[4] = 7
    settle(path, 30)
    assert (array[frame(4)] == 7).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_may_still_change_is_not_kept(tmp_path, layout):
    """Two writes at one moment leave the same time of change."""
    path = tmp_path / "a"
    array = KeptArray(stored(path, layout, age_s=0), Chunks(2**20))
    before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
    assert array[frame(4)].any()
    zarr.open_array(path)[4] = 7
    for file, moment in before.items():
        os.utime(file, ns=(moment, moment))
    assert (array[frame(4)] == 7).all()


def test_an_array_that_has_grown_within_its_chunk(tmp_path):
    path = tmp_path / "a"
    kept = Chunks(2**20)
    source = stored(path, "v2, chunks of several frames")
    zarr.open_array(path).resize((9, *SHAPE[1:]))
    settle(path)
    source = Counted(path)
    np.testing.assert_array_equal(KeptArray(source, kept)[frame(8)], PIXELS[8])
    zarr.open_array(path).resize(SHAPE)
    settle(path)
    grown = KeptArray(Counted(path), kept)
    np.testing.assert_array_equal(grown[frame(8)], PIXELS[8])
    np.testing.assert_array_equal(grown[frame(10)], PIXELS[10])


@pytest.mark.parametrize(("steps", "ahead"), [((3, 4), 5), ((7, 6), 5)])
def test_the_next_steps_are_read_before_they_are_asked_for(tmp_path, steps, ahead):
    source = stored(tmp_path / "a", "v3, shards")
    array = KeptArray(source, Chunks(2**20))
    for number in steps:
        array[frame(number)]
    wait_until(lambda: slice(ahead, ahead + 1) in source.reads)
    wait_until(lambda: not array._being_read)
    reads = source.reads.count(slice(ahead, ahead + 1))
    np.testing.assert_array_equal(array[frame(ahead)], PIXELS[ahead])
    assert source.reads.count(slice(ahead, ahead + 1)) == reads == 1


def test_what_another_reads_already_is_waited_for(tmp_path):
    source = stored(tmp_path / "a", "v3, shards")
    array = KeptArray(source, Chunks(2**20))
    source.gate.clear()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(array[frame(4)])) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: source.reads)
    source.gate.set()
    for thread in threads:
        thread.join()
    assert len(source.reads) == 1
    for pixels in found:
        np.testing.assert_array_equal(pixels, PIXELS[4])


def test_one_that_cannot_be_read_stops_nobody(tmp_path):
    path = tmp_path / "a"
    source = stored(path, "v3, shards")
    array = KeptArray(source, Chunks(2**20))
    for file in (path / "c" / "1").rglob("*"):
        if file.is_file():
            file.write_bytes(b"no shard at all" * 20)
    settle(path)
    for number in (1, 2, 3):  # the next is damaged
        np.testing.assert_array_equal(array[frame(number)], PIXELS[number])
    wait_until(lambda: slice(4, 5) in source.reads)
    wait_until(lambda: not array._being_read)
    np.testing.assert_array_equal(array[frame(8)], PIXELS[8])
    np.testing.assert_array_equal(array[frame(9)], PIXELS[9])
    wait_until(lambda: slice(10, 11) in source.reads)
