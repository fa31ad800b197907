"""The whole stream: what it takes, what it says, and what is left when it fails."""

import contextlib
import dataclasses
import errno
import gc
import json
import os
import threading
import time

import dask.array
import numpy as np
import pytest
import zarr
from frames import plane, planes
from needs import needs_leases
from programs import run_python, start_python
from records import record_of
from stores import TestedStore, os_failure
from tables import long_but
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import (
    Channel,
    FrameMismatch,
    IllegalTransition,
    InvalidProperties,
    StorageProperties,
    StoreExists,
    WriteFailed,
    ZarrStream,
)
from napari_zarr_stream._writer import intake, slot_queue
from napari_zarr_stream._writer import stream as stream_module

LZ4 = "ZarrV3Blosc1Lz4ByteShuffle"
SHAPE = (24, 40)

WAYS = {
    "raw-v2": {"device_kind": "Zarr", "frames_per_chunk": 4},
    "raw-v3": {"device_kind": "ZarrV3", "frames_per_chunk": 4},
    "zstd-v2": {"device_kind": "ZarrBlosc1ZstdByteShuffle", "frames_per_chunk": 4},
    "lz4-v3": {"device_kind": LZ4, "frames_per_chunk": 1},
    "sharded": {"device_kind": LZ4, "sharded": True},
    "raw-sharded": {"device_kind": "ZarrV3", "sharded": True},
    "sharded-stacks": {"device_kind": LZ4, "sharded": True, "frames_per_chunk": 2},
}
"""Each way that pixels take through the writer."""

any_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zarr"


@pytest.fixture
def commits_at_once(monkeypatch):
    """Every slot is committed as soon as it is written."""
    monkeypatch.setattr(slot_queue, "COMMIT_INTERVAL_S", 0.0)
    monkeypatch.setattr(slot_queue, "COMMIT_SHARE", 1.0)
    monkeypatch.setattr(intake, "SEAL_AFTER_S", 0.0)
    monkeypatch.setattr(intake, "COMMIT_INTERVAL_S", 0.0)


def stream_of(path, axes="tyx", shape=(None, *SHAPE), way="lz4-v3", **options):
    properties = {"tile_width": 20, "tile_height": 24, **WAYS[way]}
    given = {"dtype": "uint16"}
    for name, value in options.items():
        of = properties if name in StorageProperties.__dataclass_fields__ else given
        of[name] = value
    return ZarrStream(
        StorageProperties(path, **properties), axes=axes, shape=shape, **given
    )


def read(path, level=0):
    return zarr.open_group(path, mode="r")[str(level)][:]


def root_attributes(path):
    return dict(zarr.open_group(path, mode="r").attrs)


# what it takes


@any_way
@pytest.mark.parametrize("count", [0, 1, 9])
def test_planes_one_by_one(path, way, count):
    with stream_of(path, way=way) as stream:
        for number in range(count):
            stream.append(plane(number))
    np.testing.assert_array_equal(read(path), planes(count))
    assert read(path, 1).shape == (count, 12, 20)


@any_way
def test_planes_in_stacks_of_any_length(path, way):
    with stream_of(path, way=way) as stream:
        first = 0
        for count in (1, 5, 0, 3, 20, 2):
            stream.append(planes(count, first=first))
            first += count
    np.testing.assert_array_equal(read(path), planes(31))


@any_way
def test_c_order_over_all_axes_before_y_and_x(path, way):
    shape = (3, 2, 4, *SHAPE)
    frames = planes(24).reshape(shape)
    with stream_of(path, "tczyx", (None, *shape[1:]), way) as stream:
        stream.append(frames[0])
        for number in range(8, 13):
            stream.append(plane(number))
        stream.append(planes(11, first=13))
    np.testing.assert_array_equal(read(path), frames)


@pytest.mark.parametrize(
    "of",
    [
        pytest.param(lambda a: a, id="plain"),
        pytest.param(lambda a: a.tolist(), id="list"),
        pytest.param(lambda a: np.repeat(a, 2, axis=-1)[..., ::2], id="non-contiguous"),
        pytest.param(lambda a: a[..., ::-1].copy()[..., ::-1], id="backwards"),
        pytest.param(lambda a: np.asfortranarray(a), id="fortran"),
        pytest.param(
            lambda a: a.swapaxes(-1, -2).copy().swapaxes(-1, -2), id="swapped"
        ),
        pytest.param(lambda a: a.astype(">i8"), id="big-endian"),
        pytest.param(lambda a: np.broadcast_to(a, a.shape), id="read-only"),
        pytest.param(lambda a: dask.array.from_array(a, chunks=3), id="dask"),
        pytest.param(lambda a: zarr.array(a, chunks=a.shape), id="zarr"),
        pytest.param(lambda a: a.view(np.memmap), id="memmap"),
        pytest.param(lambda a: np.ma.masked_array(a), id="masked"),
    ],
)
@pytest.mark.parametrize("outer", [(), (1,), (3,), (2, 3), (2, 1, 2)], ids=str)
def test_any_array_a_user_may_pass(path, of, outer):
    frames = planes(int(np.prod(outer)), dtype="int64").reshape(*outer, *SHAPE)
    given = of(frames)
    with stream_of(path, dtype="int64") as stream:
        stream.append(given)
        np.testing.assert_array_equal(np.asarray(given), frames)
    np.testing.assert_array_equal(read(path), frames.reshape(-1, *SHAPE))


def test_the_callers_buffer_can_be_used_again(path):
    buffer = np.empty(SHAPE, "uint16")
    with stream_of(path) as stream:
        for number in range(20):
            buffer[...] = plane(number)
            stream.append(buffer)
            buffer[...] = 0
    np.testing.assert_array_equal(read(path), planes(20))


def test_dask_is_computed_plane_by_plane(path):
    computed = 0

    def compute(block, block_info=None):
        nonlocal computed
        computed += 1
        assert computed - stream.status().frames_appended <= 1
        return block

    frames = planes(12).reshape(3, 4, *SHAPE)
    lazy = dask.array.from_array(frames, chunks=(1, 1, *SHAPE))
    lazy = lazy.map_blocks(compute, dtype=frames.dtype, meta=frames[:0])
    with stream_of(path) as stream:
        stream.append(lazy)
    assert computed == 12
    np.testing.assert_array_equal(read(path), planes(12))


def test_a_computed_array_that_is_not_what_it_said(path):
    """dask believes what it is told about the type; the pixels do not."""
    frames = dask.array.from_array(planes(3), chunks=(1, *SHAPE))
    lying = frames.map_blocks(lambda a: a * 1.5, dtype="uint16", meta=planes(0))
    with stream_of(path) as stream:
        stream.append(plane(0))
        with pytest.raises(FrameMismatch, match=r"float64.*uint16"):
            stream.append(lying)
        stream.append(plane(1))
    np.testing.assert_array_equal(read(path), planes(2))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(planes(1, dtype="uint8"), ["uint8", "uint16"], id="dtype"),
        pytest.param(planes(1, dtype="float32"), ["float32", "uint16"], id="float"),
        pytest.param(planes(1, (40, 24)), ["(1, 40, 24)", "(24, 40)"], id="transposed"),
        pytest.param(np.zeros(40, "uint16"), ["(40,)", "(24, 40)"], id="a-row"),
        pytest.param(np.uint16(3), ["()", "(24, 40)"], id="a-number"),
        pytest.param(
            dask.array.zeros((2, 24, 41), dtype="uint16"), ["(2, 24, 41)"], id="dask"
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_taken(path, wrong, words):
    with stream_of(path) as stream:
        stream.append(planes(2))
        with pytest.raises(FrameMismatch) as caught:
            stream.append(wrong)
        assert all(word in str(caught.value) for word in words)
        assert stream.status().frames_appended == 2
        stream.append(plane(2))
    np.testing.assert_array_equal(read(path), planes(3))


@any_way
def test_beyond_the_bound_is_refused_and_nothing_taken(path, way):
    with stream_of(path, "tcyx", (2, 3, *SHAPE), way) as stream:
        stream.append(planes(4))
        with pytest.raises(
            FrameMismatch, match=r"3 more planes.* 6 planes, 4 are there"
        ):
            stream.append(planes(3, first=4))
        assert stream.status().frames_appended == 4
        stream.append(planes(2, first=4))
        with pytest.raises(FrameMismatch):
            stream.append(plane(6))
    np.testing.assert_array_equal(read(path), planes(6).reshape(2, 3, *SHAPE))


def test_append_from_several_threads(path):
    """Every plane comes once and whole, in an order that keeps each thread's."""

    def append(first):
        for number in range(first, first + 50):
            stream.append(plane(number))

    with stream_of(path, way="sharded") as stream:
        threads = [threading.Thread(target=append, args=(n * 50,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    pixels = read(path)
    numbers = pixels[:, 0, 0].tolist()
    assert sorted(numbers) == list(range(200))
    for number, got in zip(numbers, pixels, strict=True):
        np.testing.assert_array_equal(got, plane(number))
    for first in range(0, 200, 50):
        of_one = [number for number in numbers if first <= number < first + 50]
        assert of_one == sorted(of_one)


# how it ends


@any_way
@pytest.mark.parametrize(
    ("axes", "shape", "count", "filled"),
    [
        pytest.param("tyx", (10,), 4, (4,), id="early"),
        pytest.param("tyx", (10,), 0, (0,), id="nothing"),
        pytest.param("tyx", (None,), 5, (5,), id="unbounded"),
        pytest.param("tcyx", (None, 3), 7, (3, 3), id="half-a-step"),
        pytest.param("tczyx", (4, 2, 3), 8, (2, 2, 3), id="within-a-channel"),
        pytest.param("zyx", (9,), 5, (5,), id="stack"),
        pytest.param("zyx", (None,), 5, (5,), id="unbounded-stack"),
        pytest.param("czyx", (3, 4), 5, (2, 4), id="within-a-stack"),
        pytest.param("cyx", (3,), 2, (2,), id="channels"),
        pytest.param("yx", (), 1, (), id="one-plane"),
        pytest.param("yx", (), 0, (), id="no-plane"),
    ],
)
def test_a_store_closed_early_has_the_shape_of_what_came(
    path, way, axes, shape, count, filled
):
    stream = stream_of(path, axes, (*shape, *SHAPE), way, tile_planes=2)
    stream.append(planes(count))
    stream.close()
    expected = np.zeros((*filled, *SHAPE), "uint16")
    expected.reshape(-1, *SHAPE)[:count] = planes(count)
    np.testing.assert_array_equal(read(path), expected)
    status = stream.status()
    assert (status.frames_appended, status.frames_committed) == (count, count)
    assert (status.closed, status.error, status.queue_fill) == (True, None, 0)
    record = record_of(path)
    whole = stream.plan.planes in (None, count)
    assert record["finish_reason"] == ("completed" if whole else "stopped")
    assert record["frames_committed"] == count


def test_channels_that_came_are_those_described(path):
    channels = [Channel("DAPI", "0000FF"), Channel("GFP", "00FF00"), Channel("RFP")]
    shape = (3, *SHAPE)
    with stream_of(path, "cyx", shape, channels=channels) as stream:
        stream.append(planes(2))
    described = root_attributes(path)["ome"]["omero"]["channels"]
    assert [channel["label"] for channel in described] == ["DAPI", "GFP"]


def test_close_twice_and_append_after(path):
    stream = stream_of(path)
    stream.append(planes(3))
    stream.close()
    stream.close()
    stream.abort()
    for call in (
        lambda: stream.append(plane(3)),
        lambda: stream.annotate(record={}),
        lambda: stream.log_frames({}),
    ):
        with pytest.raises(IllegalTransition, match="after close"):
            call()
    assert len(read(path)) == 3
    assert record_of(path)["finish_reason"] == "completed"


def test_an_error_in_the_callers_block_closes_the_stream(path):
    def callers_block():
        with stream_of(path) as stream:
            stream.append(planes(3))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        callers_block()
    np.testing.assert_array_equal(read(path), planes(3))


def test_threads_and_memory_are_given_back(path):
    before = set(threading.enumerate())
    with stream_of(path) as stream:
        stream.append(planes(3))
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) <= before
    gc.collect()
    assert not [o for o in gc.get_objects() if isinstance(o, stream_module.Slot)]


@any_way
def test_abort_leaves_a_valid_store(path, way, monkeypatch, commits_at_once):
    store = TestedStore()
    monkeypatch.setattr(stream_module, "LocalStore", store)
    stream = stream_of(path, way=way)
    stream.append(planes(8))
    wait_until(lambda: stream.status().queue_fill == 0 or "sharded" in way)
    stream.append(planes(3, first=8))
    store.gate.clear()
    threading.Timer(0.1, store.gate.set).start()
    stream.abort()
    status = stream.status()
    pixels = read(path)
    assert status.frames_committed == len(pixels) <= 11
    np.testing.assert_array_equal(pixels, planes(len(pixels)))
    assert record_of(path)["finish_reason"] == "aborted"
    assert read(path, 1).shape[0] == len(pixels)


def test_an_interrupted_close_still_leaves_a_valid_store(path, monkeypatch):
    """Ctrl-C while the last frames are written."""

    def interrupt(_queue):
        raise KeyboardInterrupt

    monkeypatch.setattr(slot_queue.SlotQueue, "wait_until_written", interrupt)
    stream = stream_of(path, way="sharded")
    stream.append(planes(300))
    with pytest.raises(KeyboardInterrupt):
        stream.close()
    committed = stream.status().frames_committed
    np.testing.assert_array_equal(read(path), planes(committed))
    assert stream.status().closed


def test_a_forgotten_stream_is_closed_when_the_interpreter_ends(path):
    script = """
        import sys
        from frames import planes
        from napari_zarr_stream import StorageProperties, ZarrStream
        streams = []
        for n in (1, 2):
            properties = StorageProperties(sys.argv[n], sharded=True)
            shape = (None, 24, 40)
            stream = ZarrStream(properties, axes="tyx", shape=shape, dtype="u2")
            stream.append(planes(50 + n))
            streams.append(stream)
        raise SystemExit(3)
    """
    other = path.with_name("b.zarr")
    assert not run_python(script, path, other, code=3).stderr
    np.testing.assert_array_equal(read(path), planes(51))
    np.testing.assert_array_equal(read(other), planes(52))


# while it is written


@any_way
def test_all_levels_open_from_the_start(path, way):
    with stream_of(path, way=way, tile_width=10, tile_height=10):
        group = zarr.open_group(path, mode="r")
        shapes = [group[str(level)].shape for level in range(3)]
        assert shapes == [(0, 24, 40), (0, 12, 20), (0, 6, 10)]
        assert all(group[str(level)][:].size == 0 for level in range(3))


READER = """
    import json, sys, time
    import numpy as np, zarr
    from frames import planes
    path, seen = sys.argv[1], []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        group = zarr.open_group(path, mode="r")
        ended = "finish_reason" in group.attrs["napari_zarr_stream"]
        levels = [group[str(level)] for level in range(2)]
        counts = [level.shape[0] for level in levels]
        assert counts[0] <= counts[1], "level 0 promises the others"
        first = seen[-1] if seen else 0
        assert counts[0] >= first
        if counts[0] > first:
            new = planes(counts[0] - first, first=first)
            np.testing.assert_array_equal(levels[0][first : counts[0]], new)
            assert levels[1][first : counts[0]].any(axis=(1, 2)).all()
            seen.append(counts[0])
        if not seen:
            seen.append(0)
            print("ready", flush=True)
        if ended:
            break
        time.sleep(0.02)
    print(json.dumps(seen))
"""


@pytest.mark.parametrize(
    "way", long_but(["raw-v2", "zstd-v2", "sharded-stacks"], "sharded-stacks")
)
def test_another_program_reads_along(path, way):
    """What the arrays say is there is there, pixel by pixel, at every moment."""
    options = {"tile_width": 512, "tile_height": 256}
    stream = stream_of(path, shape=(None, 512, 512), way=way, **options)
    script = READER.replace("planes(counts", "planes(shape=(512, 512), count=counts")
    with start_python(script, path) as reader:
        assert reader.stdout.readline() == "ready\n"
        with stream:
            for number in range(120):
                stream.append(plane(number, (512, 512)))
                time.sleep(0.015)
        output, errors = reader.communicate(timeout=PATIENCE_S)
    assert errors == ""
    seen = json.loads(output)
    assert seen[-1] == 120
    assert len(seen) > 2, "it grew while it was read"


READER_OF_SHARDS = """
    import sys, time
    import numpy as np, zarr
    from frames import plane
    path, side = sys.argv[1], int(sys.argv[2])
    ended, seen = False, []
    first = plane(0, (side, side))
    print("ready", flush=True)
    while not ended:
        group = zarr.open_group(path, mode="r")
        ended = "finish_reason" in group.attrs["napari_zarr_stream"]
        level = group["0"]
        seen.append(level.shape[0])
        assert seen == sorted(seen)
        for number in range(max(0, seen[-1] - 3), seen[-1]):
            np.testing.assert_array_equal(level[number], first + np.uint16(number))
    print(len(set(seen)), seen[-1])
"""


@needs_leases
@pytest.mark.parametrize(
    ("side", "tile"),
    [
        pytest.param(512, 128, id="small"),
        pytest.param(64, 16, id="large", marks=pytest.mark.long),
    ],
)
def test_another_program_reads_shards_that_grow(path, side, tile):
    """Indexes of 2 and 512 KiB, 16 shards, whose ends move and are cut meanwhile."""
    stream = stream_of(
        path, shape=(None, side, side), way="sharded",
        tile_width=tile, tile_height=tile, enable_multiscale=False,
    )  # fmt: skip
    first = plane(0, (side, side))
    with start_python(READER_OF_SHARDS, path, side) as reader:
        assert reader.stdout.readline() == "ready\n"
        with stream:
            for number in range(600):
                stream.append(first + np.uint16(number))
                time.sleep(0.01)
        output, errors = reader.communicate(timeout=PATIENCE_S)
    assert errors == ""
    grew, last = map(int, output.split())
    assert last == 600
    assert grew > 4


def shape_on_disk(path):
    """As another program finds it; Windows opens no document that is being replaced."""
    while True:
        with contextlib.suppress(PermissionError):
            return _shape_in_document(path)
        time.sleep(0.01)


def _shape_in_document(path):
    with contextlib.suppress(FileNotFoundError):
        return json.loads((path / "0" / "zarr.json").read_text())["shape"][0]
    return json.loads((path / "0" / ".zarray").read_text())["shape"][0]


@any_way
def test_status_rises_and_never_promises_more_than_can_be_read(
    path, way, commits_at_once
):
    done = threading.Event()
    snapshots = []

    def watch():
        while not done.is_set():
            status = stream.status()
            assert status.frames_committed <= shape_on_disk(path)
            snapshots.append(status)
            # Windows replaces nothing while somebody has it open.
            time.sleep(0.05 if os.name == "nt" else 0)

    with stream_of(path, way=way) as stream:
        watcher = threading.Thread(target=watch)
        watcher.start()
        for number in range(200):
            stream.append(plane(number))
        done.set()
        watcher.join()
    snapshots.append(stream.status())
    for field in (
        "frames_appended",
        "frames_committed",
        "bytes_appended",
        "bytes_written",
    ):
        values = [getattr(snapshot, field) for snapshot in snapshots]
        assert values == sorted(values)
    assert all(0 <= snapshot.queue_fill <= 1 for snapshot in snapshots)
    last = snapshots[-1]
    assert last.frames_committed == last.frames_appended == 200
    assert last.bytes_appended == 200 * 24 * 40 * 2
    files = (p for p in path.rglob("*") if p.is_file() and p.name[0] not in ".z")
    on_disk = sum(file.stat().st_size for file in files)
    if "sharded" not in way and way != "raw-v3":
        assert last.bytes_written == on_disk
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.closed = False


def test_a_slow_camera_is_committed_as_it_comes(path):
    """Not only when a slot of many small planes is full."""
    with stream_of(path) as stream:
        assert stream.plan.memory.blocks_per_slot > 10
        for number in range(4):
            stream.append(plane(number))
            time.sleep(0.3)
        wait_until(lambda: stream.status().frames_committed > 0)


def test_small_frames_wait_for_no_others_to_be_written(path):
    """A kill costs a handful of them, at 200 a second as well."""
    waiting = []
    with stream_of(path, way="sharded") as stream:
        plan = stream.plan
        room = plan.memory.slots * plan.memory.blocks_per_slot * plan.planes_per_block
        for number in range(60):
            time.sleep(0.005)
            stream.append(plane(number))
            waiting.append(stream.status().queue_fill * room)
    assert np.median(waiting) < 10


@pytest.mark.parametrize("call", ["append", "fill"])
def test_a_frame_is_committed_though_no_further_one_comes(path, call):
    """A slow camera: each frame can be read before the next one comes."""
    with stream_of(path, way="sharded") as stream:
        assert stream.plan.memory.blocks_per_slot > 10
        waiting, go_on = threading.Event(), threading.Event()

        def wait_for_the_next(place):
            waiting.set()
            go_on.wait(PATIENCE_S)

        for number in range(2):
            if call == "append":
                stream.append(plane(number))
            else:
                stream.fill(laying(plane(number)))
                waiting.clear()
                go_on.clear()
                # meanwhile the next one is waited for
                waiter = threading.Thread(target=stream.fill, args=(wait_for_the_next,))
                waiter.start()
                assert waiting.wait(PATIENCE_S)
            # No frame comes that could push this one out.
            wait_until(lambda n=number: stream.status().frames_committed == n + 1)
            assert len(read(path)) == number + 1
            np.testing.assert_array_equal(read(path)[-1], plane(number))
            if call == "fill":
                go_on.set()
                waiter.join()
    np.testing.assert_array_equal(read(path), planes(2))


# a frame that is read into its place


def laying(frame, answer="taken"):
    def read(place):
        place[...] = frame
        return answer

    return read


@any_way
def test_frames_are_filled_into_their_place(path, way):
    with stream_of(path, way=way) as stream:
        for number in range(11):
            assert stream.fill(laying(plane(number))) == "taken"
            assert stream.fill(lambda place: None) is None
        assert stream.status().frames_appended == 11
    np.testing.assert_array_equal(read(path), planes(11))


@any_way
@pytest.mark.parametrize("slots", [None, 2])
@pytest.mark.parametrize("large", [False, True])
def test_colours_are_planes_of_one_frame(path, way, slots, large, monkeypatch):
    """Frames that begin in one slot and end in another, or in a third."""
    if large:
        monkeypatch.setattr("napari_zarr_stream._writer.memory.SLOT_BYTES", 1)
    if slots:
        monkeypatch.setattr("napari_zarr_stream._writer.memory.MAX_SLOTS", slots)
    options = {"axes": "tcyx", "shape": (None, 3, *SHAPE), "planes_per_frame": 3}
    with stream_of(path, way=way, **options) as stream:
        for number in range(9):
            frame = planes(3, first=3 * number)
            if number % 2:
                frame = np.asfortranarray(frame)
            with pytest.raises(ZeroDivisionError):
                stream.fill(lambda place: (laying(planes(3, first=500))(place), 1 / 0))
            stream.fill(laying(planes(3, first=600), None))
            assert stream.fill(laying(frame)) == "taken"
        assert stream.status().frames_appended == 9
        assert stream.status().bytes_appended == 27 * plane(0).nbytes
    assert stream.status().frames_committed == 9
    assert record_of(path)["frames_committed"] == 9
    np.testing.assert_array_equal(read(path), planes(27).reshape(9, 3, *SHAPE))


def test_what_was_laid_and_not_taken_leaves_nothing_behind(path):
    """Neither in a chunk that is half full, nor on the disk."""
    with stream_of(path, way="raw-v2") as stream:
        stream.fill(laying(plane(0)))
        stream.fill(laying(plane(77), None))
    np.testing.assert_array_equal(read(path), planes(1))
    chunk = np.fromfile(path / "0" / "0" / "0" / "0", "<u2").reshape(-1, 24, 20)
    assert not chunk[1:].any()


@pytest.mark.parametrize(
    ("read_one", "words"),
    [
        (laying(np.zeros((2, *SHAPE), np.uint16)), r"\(2, 24, 40\).*\(24, 40\)"),
        (laying(np.zeros((40, 24), np.uint16)), r"\(40, 24\).*\(24, 40\)"),
        (laying(np.zeros(SHAPE, np.uint8)), "uint8.*uint16"),
        (laying(7), r"shape \(\)"),
        (lambda place: place.__setitem__(0, plane(0)), "as a whole, once"),
        (lambda place: [laying(plane(9))(place), laying(plane(9))(place)], "once"),
        (lambda place: "here it is", "announced, but not laid"),
    ],
    ids=["stack", "turned", "dtype", "number", "part", "twice", "none"],
)
def test_what_cannot_be_filled_is_refused_and_nothing_taken(path, read_one, words):
    with stream_of(path) as stream:
        stream.append(plane(0))
        with pytest.raises(FrameMismatch, match=words):
            stream.fill(read_one)
        assert stream.status().frames_appended == 1
        stream.fill(laying(plane(1)))
    np.testing.assert_array_equal(read(path), planes(2))


def test_no_frame_is_asked_for_where_there_is_no_room(path):
    with stream_of(path, shape=(1, *SHAPE)) as stream:
        stream.fill(laying(plane(0)))
        with pytest.raises(FrameMismatch, match="hold 1 planes, 1 are there"):
            stream.fill(lambda place: pytest.fail("asked"))
    with pytest.raises(IllegalTransition, match="fill after close"):
        stream.fill(lambda place: pytest.fail("asked"))


def test_nothing_waits_for_a_camera_that_hangs(path):
    waiting, go_on, heard = threading.Event(), threading.Event(), []

    def hang(place):
        waiting.set()
        go_on.wait(PATIENCE_S)
        place[...] = plane(1)
        return True

    def fill():
        with pytest.raises(IllegalTransition, match="fill after close"):
            stream.fill(hang)
        heard.append(True)

    stream = stream_of(path)
    stream.append(plane(0))
    waiter = threading.Thread(target=fill)
    waiter.start()
    assert waiting.wait(PATIENCE_S)
    assert stream.status().frames_appended == 1
    stream.annotate(record={"a": 1})
    stream.close()
    assert waiter.is_alive()  # the camera hangs still
    assert not heard
    go_on.set()
    waiter.join()
    assert heard
    np.testing.assert_array_equal(read(path), planes(1))


# the queue is bounded


@any_way
@pytest.mark.parametrize("call", ["append", "fill"])
def test_a_slow_store_makes_the_caller_wait(path, way, call, monkeypatch):
    monkeypatch.setattr("napari_zarr_stream._writer.memory.QUEUE_BYTES", 2**20)
    # All slots are full, however long filling them takes.
    monkeypatch.setattr(intake, "SEAL_AFTER_S", 60)
    # A caller that helps would wait in the store itself.
    monkeypatch.setattr(slot_queue.SlotQueue, "_spare_task", lambda *_: None)
    store = TestedStore()
    monkeypatch.setattr(stream_module, "LocalStore", store)
    with stream_of(path, way=way) as stream:
        store.gate.clear()
        p = stream.plan
        room = p.memory.slots * p.memory.blocks_per_slot * p.planes_per_block
        if call == "fill":
            fill = [laying(plane(number)) for number in range(room + 50)]
            appender = threading.Thread(target=lambda: [*map(stream.fill, fill)])
        else:
            args = (planes(room + 50),)
            appender = threading.Thread(target=stream.append, args=args)
        appender.start()
        try:
            wait_until(lambda: stream.status().queue_fill == 1)
            time.sleep(0.2)
            assert appender.is_alive()
            assert stream.status().frames_appended == room
            assert stream._queue._slots_made == p.memory.slots
        finally:
            store.gate.set()
            appender.join()
    np.testing.assert_array_equal(read(path), planes(room + 50))
    assert stream._queue._slots_made == p.memory.slots


# failures are heard


def write_until_it_fails(path, way):
    """Append and close; return the stream, if one was made, and the first error."""
    stream = None
    try:
        stream = stream_of(path, way=way, tile_width=40, tile_height=24)
        for first in range(0, 16, 4):
            stream.append(planes(4, first=first))
            time.sleep(0.002)
        stream.close()
    except WriteFailed as error:
        if stream is not None:
            with contextlib.suppress(WriteFailed):
                stream.close()  # raises where `append` did, not after `close` did
            stream.close()
        return stream, error
    return stream, None


TROUBLES = {
    errno.ENOSPC: "disk is full",
    errno.EIO: "Input/output error",
    errno.EACCES: "permission denied",
}


@any_way
@pytest.mark.parametrize("for_good", [False, True], ids=["once", "for-good"])
def test_every_failed_call_of_the_store_is_heard(
    tmp_path, way, for_good, monkeypatch, commits_at_once
):
    monkeypatch.setattr("napari_zarr_stream._writer.memory.SLOT_BYTES", 1)
    for number in range(1, 400):
        path = tmp_path / f"{number}.zarr"
        trouble, words = list(TROUBLES.items())[number % 3]
        store = TestedStore(number, for_good, os_failure(path, trouble))
        monkeypatch.setattr(stream_module, "LocalStore", store)
        stream, error = write_until_it_fails(path, way)
        if not store.failed:
            assert error is None
            break
        assert error is not None, store.calls[number - 1]
        assert str(path) in str(error)
        assert words in str(error)
        assert error.errno == trouble
        assert not [t for t in threading.enumerate() if "zarr-stream" in t.name]
        if stream is None:
            assert not [p for p in tmp_path.iterdir() if f"{number}.zarr" in p.name]
            continue
        status = stream.status()
        assert status.error is error
        assert status.closed
        pixels = read(path)
        assert len(pixels) >= status.frames_committed
        np.testing.assert_array_equal(pixels, planes(len(pixels)))
    else:
        pytest.fail("there was no end of calls")
    assert number > 10


@any_way
def test_a_failure_of_any_type_is_heard(path, way, monkeypatch):
    store = TestedStore(8, True, lambda _key: RuntimeError("a bug"))
    monkeypatch.setattr(stream_module, "LocalStore", store)
    _, error = write_until_it_fails(path, way)
    assert isinstance(error, WriteFailed)
    assert "a bug" in str(error)
    assert isinstance(error.__cause__, RuntimeError)


def test_append_raises_as_soon_as_the_stream_has_failed(path, monkeypatch):
    store = TestedStore(20, True)
    monkeypatch.setattr(stream_module, "LocalStore", store)
    stream = stream_of(path, way="lz4-v3")

    def append_for_ever():
        while True:
            stream.append(planes(20))

    with pytest.raises(WriteFailed, match="is broken") as first:
        append_for_ever()
    with pytest.raises(WriteFailed) as second:
        stream.append(plane(0))
    assert second.value is first.value
    with pytest.raises(WriteFailed):
        stream.close()
    stream.close()


@pytest.mark.parametrize("call", ["publish", "write_json"])
def test_a_bug_while_the_store_is_made_leaves_nothing(path, monkeypatch, call):
    store = TestedStore(error=lambda _key: ZeroDivisionError())
    store.fail_at = {"publish": 4, "write_json": 2}[call]
    monkeypatch.setattr(stream_module, "LocalStore", store)
    with pytest.raises(ZeroDivisionError):
        stream_of(path)
    assert store.calls[-1][0] == call
    assert list(path.parent.iterdir()) == []


@any_way
def test_a_full_disk(small_disk, way):
    path = small_disk / "a.zarr"
    noise = np.random.default_rng(0).integers(0, 2**16, (1, 256, 256)).astype("uint16")
    options = {"tile_width": 128, "tile_height": 128, "enable_multiscale": False}
    stream = stream_of(path, shape=(None, 256, 256), way=way, **options)

    def append_for_ever():
        while True:
            stream.append(noise)
            time.sleep(0.01)

    with pytest.raises(WriteFailed, match="disk is full") as caught:
        append_for_ever()
    with contextlib.suppress(WriteFailed):
        stream.close()
    assert caught.value.errno == errno.ENOSPC
    assert str(small_disk) in str(caught.value)
    pixels = read(path)
    assert stream.status().frames_committed <= len(pixels)
    assert (pixels == noise).all()


# labels, records, logs


def test_labels_are_refused_with_mean(path):
    with pytest.raises(InvalidProperties, match=r"mean.*mode or decimate"):
        stream_of(path, is_label=True)
    assert not path.exists()
    with stream_of(path, is_label=True, downsampling_method="mode") as stream:
        stream.append(planes(2))
    assert record_of(path)["objects"] == [{}]


def test_an_existing_store_is_kept(path):
    with stream_of(path) as stream:
        stream.append(planes(2))
    with pytest.raises(StoreExists):
        stream_of(path)
    np.testing.assert_array_equal(read(path), planes(2))
    with stream_of(path, overwrite=True) as stream:
        stream.append(planes(3))
    np.testing.assert_array_equal(read(path), planes(3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": (1, 0, 1)},
        {"units": {"y": "second"}},
        {"translation": {"q": 1}},
        {"channels": [Channel("a"), Channel("b")]},
        {"record": {"a": object()}},
        {"dtype": "complex64"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_cannot_be_is_refused_before_anything_is_made(path, wrong):
    with pytest.raises(InvalidProperties):
        stream_of(path, **wrong)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("way", ["raw-v2", "sharded"])
def test_annotate_and_log_frames_while_it_is_written(path, way):
    with stream_of(path, way=way, record={"camera": "simulated"}) as stream:
        stream.append(planes(3))
        limits = (10.0, 20.0)
        stream.annotate(channels=[Channel("GFP", contrast_limits=limits)])
        stream.annotate(record={"lost": 2})
        stream.log_frames({"id": np.array([0, 1, 4]), "time_s": np.zeros(3)})
    record = record_of(path)
    assert record["camera"] == "simulated"
    assert record["lost"] == 2
    assert record["device_kind"] == WAYS[way]["device_kind"]
    assert record["start_time"] <= record["end_time"]
    attributes = root_attributes(path)
    channel = attributes.get("ome", attributes)["omero"]["channels"][0]
    assert channel["label"] == "GFP"
    assert (channel["window"]["start"], channel["window"]["end"]) == limits
    log = zarr.open_group(path, mode="r")["frame_log"]
    assert log["id"][:].tolist() == [0, 1, 4]
    assert log["time_s"].dtype == np.float64
