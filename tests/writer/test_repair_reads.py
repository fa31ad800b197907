"""What examining and repairing a store reads, what it tells, and how it ends."""

import errno
import os
import shutil

import numpy as np
import pytest
from judges import level_paths
from left_open import (
    CountedReads,
    assert_same,
    change_record,
    left_open,
    pixels,
    set_steps,
    size_of,
)
from tables import long_but

from napari_zarr_stream import DeviceKind, StorageProperties, ZarrStream, plan
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.codecs import BLOSC_HEADER, encode_shard_index
from napari_zarr_stream._writer.lock import holder_of
from napari_zarr_stream._writer.marks import encode_mark
from napari_zarr_stream._writer.repair import examine, repair
from napari_zarr_stream._writer.repair.existing_store import ExistingStore
from napari_zarr_stream._writer.repair.files import FileExaminer

TILES = {"tile_width": 64, "tile_height": 64}
SIDE = 256

WAYS = {
    "raw sharded": (DeviceKind.ZARR_V3, TILES | {"sharded": True}),
    "lz4, some tiles to a shard": (
        DeviceKind.ZARR_V3_LZ4, TILES | {"sharded": True, "shard_chunks": (16, 2)},
    ),
    "zstd, all tiles to a shard, stacked": (
        DeviceKind.ZARR_V3_ZSTD,
        TILES | {"sharded": True, "shard_chunks": (0, 0), "frames_per_chunk": 4},
    ),
    "raw, frame by frame": (DeviceKind.ZARR_V3, TILES | {"frames_per_chunk": 16}),
    "zstd, encoded at once": (DeviceKind.ZARR_ZSTD, TILES | {"frames_per_chunk": 16}),
    "lz4, frame by frame": (
        DeviceKind.ZARR_LZ4,
        {"tile_width": 256, "tile_height": 256, "frames_per_chunk": 16},
    ),
}  # fmt: skip


def of(way, **changes):
    kind, options = WAYS[way]
    return StorageProperties("x", kind, enable_multiscale=True, **(options | changes))


# a large store of which little can be wrong


def sparse_store(path, kind, steps, is_open):
    """A store of 8 MiB chunks, 32 to a shard, of which next to nothing takes space."""
    side, per_shard = 2048, 32
    chunk = side * side * 2
    properties = StorageProperties(
        path, kind, sharded=True, max_bytes_per_chunk=per_shard * chunk
    )
    with ZarrStream(
        properties, axes="tyx", shape=(None, side, side), dtype="u2"
    ) as stream:
        stream.append(np.ones((side, side), "u2"))
        assert stream.plan.chunks_per_shard == per_shard
    set_steps(path, steps)
    if is_open:
        change_record(path, lambda record: record.pop("finish_reason"))
    head = b""
    if kind != DeviceKind.ZARR_V3:
        head = BLOSC_HEADER.pack(2, 1, 0x31, 2, chunk, 2**18, chunk + 16)
    size = chunk + len(head)
    index = np.array([(i * size, size) for i in range(per_shard)], "<u8")
    end = encode_mark((per_shard - 1) * size, [per_shard - 1], [size])
    end += encode_shard_index(index)
    for number in range(steps // per_shard):
        shard = path / "0" / "c" / str(number) / "0" / "0"
        shard.parent.mkdir(parents=True, exist_ok=True)
        with shard.open("wb") as file:
            for offset in index[:, 0].tolist() if head else ():
                file.seek(offset)
                file.write(head)
            file.seek(per_shard * size)
            file.write(end)


@pytest.mark.skipif(
    not hasattr(os, "SEEK_HOLE"),
    reason="files that Python writes have no holes on Windows: they would take 20 GB",
)
@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "left open"])
@pytest.mark.parametrize("kind", [DeviceKind.ZARR_V3, DeviceKind.ZARR_V3_LZ4])
def test_full_shards_are_not_read(tmp_path, monkeypatch, kind, is_open):
    path = tmp_path / "a.zarr"
    sparse_store(path, kind, 2560, is_open)
    assert size_of(path) > 20e9
    monkeypatch.setattr(system, "data_ranges", lambda fd: [(0, system.size_of(fd))])
    reads = CountedReads(monkeypatch)
    report = examine(path)
    assert report.planes_before == report.planes_after == 2560
    assert not report.has_losses
    assert len(report.findings) == is_open
    repair(path)
    assert not examine(path).can_be_repaired
    assert reads.bytes < 0.01 * size_of(path)


def test_what_an_index_tells_is_the_same_as_what_marks_tell(tmp_path, monkeypatch):
    """A shard whose last chunk is not in its index is not taken for a full one."""
    path = tmp_path / "a.zarr"
    live = left_open(path, pixels((20, SIDE, SIDE)), of("raw sharded"))
    planned = plan(of("raw sharded"), axes="tyx", shape=(None, SIDE, SIDE), dtype="u2")
    count = planned.chunks_per_shard
    for shard in (p for p in path.rglob("c/**/*") if p.is_file()):
        data = shard.read_bytes()
        index = np.frombuffer(data[-16 * count - 4 : -4], "<u8").reshape(-1, 2).copy()
        there = np.flatnonzero(index[:, 0] != np.uint64(2**64 - 1))
        last = there[np.argmax(index[there, 0])]
        index[last] = 2**64 - 1
        shard.write_bytes(data[: -16 * count - 4] + encode_shard_index(index))
    assert examine(path).can_be_repaired
    repair(path)
    assert_same(path, live)


# smaller levels


@pytest.mark.parametrize("way", WAYS)
def test_making_levels_again_reads_the_store_a_few_times(tmp_path, monkeypatch, way):
    path = tmp_path / "a.zarr"
    live = left_open(path, pixels((48, SIDE, SIDE)), of(way))
    levels = level_paths(path)
    size = size_of(path)
    for level in levels[1:]:
        shutil.rmtree(level)
    reads = CountedReads(monkeypatch)
    repair(path)
    assert reads.bytes <= 2 * size
    assert_same(path, live)


def test_a_chunk_layer_larger_than_the_cache_is_decoded_once(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    live = left_open(path, pixels((32, SIDE, SIDE)), of("zstd, encoded at once"))
    size = size_of(path)
    shutil.rmtree(level_paths(path)[1])
    monkeypatch.setattr("napari_zarr_stream._writer.repair.pixels.CACHE_BYTES", 100_000)
    reads = CountedReads(monkeypatch)
    repair(path)
    assert reads.bytes <= 2 * size
    assert_same(path, live)


def unfinished(path):
    """Shards without an index, smaller levels gone, too few frames promised."""
    live = left_open(path, pixels((40, SIDE, SIDE)), of("lz4, some tiles to a shard"))
    for level in level_paths(path)[1:]:
        shutil.rmtree(level)
    for shard in (p for p in (path / "0" / "c").rglob("*") if p.is_file()):
        os.truncate(shard, shard.stat().st_size - 4)
    set_steps(path, 3)
    (path / "0" / "zarr.json.0123abcd.partial").write_text("{")
    return live


@pytest.mark.parametrize("changed", [False, True])
def test_what_was_found_is_used_again_unless_somebody_wrote(
    tmp_path, monkeypatch, changed
):
    path = tmp_path / "a.zarr"
    live = unfinished(path)
    looked = []
    look = FileExaminer.look

    def counted(self, file, place):
        looked.append(file)
        return look(self, file, place)

    class Late(ExistingStore):
        def __init__(self, place):
            if changed:
                os.utime(place / "0" / "zarr.json", (1, 1))
            super().__init__(place)

    monkeypatch.setattr(FileExaminer, "look", counted)
    monkeypatch.setattr("napari_zarr_stream._writer.repair.ExistingStore", Late)
    repair(path)
    assert len(looked) == len(set(looked)) * (2 if changed else 1)
    assert_same(path, live)


def test_a_disk_that_does_not_tell_its_holes(tmp_path, monkeypatch):
    """Only ENXIO means that nothing but a hole is left."""
    path = tmp_path / "a.zarr"
    live = unfinished(path)

    def refuse(_descriptor, _offset, how):
        assert how in (os.SEEK_DATA, os.SEEK_HOLE)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "lseek", refuse)
    repair(path)
    monkeypatch.undo()
    assert_same(path, live)


# progress and its end


def test_progress_is_told_with_what_is_left(tmp_path):
    path = tmp_path / "a.zarr"
    unfinished(path)
    looked, repaired = [], []
    examine(path, looked.append)
    repair(path, repaired.append)
    assert {told.what for told in looked} == {"looking into files"}
    assert {told.what for told in repaired} == {
        "looking into files",
        "mending files",
        "making smaller levels",
    }
    for told in (looked, repaired):
        for what in {progress.what for progress in told}:
            steps = [progress for progress in told if progress.what == what]
            (total,) = {progress.total for progress in steps}
            assert [progress.done for progress in steps] == list(range(1, total + 1))


CALLS = ["write_at", "set_size", "sync", "replace", "remove", "watch"]


@pytest.mark.parametrize("call", long_but(CALLS, "set_size", "replace"))
def test_an_interrupt_at_any_call_is_as_safe_as_a_kill(tmp_path, monkeypatch, call):
    path, scratch = tmp_path / "a.zarr", tmp_path / "b.zarr"
    live = unfinished(path)
    real = getattr(system, call, lambda *_: None)
    number = 0
    while True:
        calls = []

        def interrupted(*arguments, calls=calls, number=number):
            calls.append(call)
            if len(calls) == number + 1:
                raise KeyboardInterrupt
            return real(*arguments)

        shutil.copytree(path, scratch)
        with monkeypatch.context() as context:
            if call != "watch":
                context.setattr(system, call, interrupted)
            watch = interrupted if call == "watch" else lambda _: None
            try:
                repair(scratch, watch)
            except KeyboardInterrupt:
                ended = True
            else:
                ended = False
        if call != "remove":  # of what was to be taken away, one may stay
            left = {p.name for p in scratch.rglob("*.partial")}
            assert left <= {"zarr.json.0123abcd.partial"}
            assert not (tmp_path / ".b.zarr.lock").exists()
        assert holder_of(scratch) is None
        repair(scratch)
        assert_same(scratch, live)
        assert not examine(scratch).findings
        shutil.rmtree(scratch)
        if not ended:
            break
        # The first ones, and then fewer and fewer.
        number += 1 + number // 2
    assert number > 1 or call == "sync"
