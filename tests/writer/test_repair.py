"""Stores whose writer was killed: what they hold before and after repair.

Every kill is a real SIGKILL (on Windows TerminateProcess) of a real process at a random
moment; with `-s` each says what it cost. `make test-long` makes 200 of them, and copies
before every 3rd call.
"""

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace

import blosc
import numpy as np
import pytest
import zarr
from frames import plane
from judges import JUDGES, ask, level_paths
from killed_writer import (
    CASES,
    SIDE,
    check_frames,
    kill,
    properties_of,
    start_server,
)
from left_open import (
    arrays,
    assert_same,
    change_record,
    left_open,
    pixels,
    set_steps,
)
from needs import needs_signals
from records import record_of
from tables import long_but

from napari_zarr_stream import (
    DeviceKind,
    InvalidStore,
    StorageProperties,
    StoreInUse,
    WriteFailed,
    ZarrStream,
    cli,
    plan,
)
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._writer import intake, slot_queue
from napari_zarr_stream._writer import stream as stream_module
from napari_zarr_stream._writer.codecs import encode_shard_index, largest_blosc_block
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.marks import find_marks
from napari_zarr_stream._writer.repair import examine, repair

FEW_KILLS = 50 if sys.platform == "win32" else 8
MANY_KILLS = 200
NAMES = [(case, multiscale) for multiscale in (True, False) for case in CASES]


@pytest.fixture(scope="module")
def server():
    return start_server()


def snapshot(folder):
    """Bytes and times of everything in and beside a store."""
    return {
        path.relative_to(folder): (
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in [folder, *folder.rglob("*")]
    }


def most_lost(case, multiscale):
    """Frames in the queue."""
    properties = properties_of("x", case, multiscale)
    planned = plan(properties, axes="tyx", shape=(None, SIDE, SIDE), dtype="u2")
    return (
        planned.memory.slots * planned.memory.blocks_per_slot * planned.planes_per_block
    )


@pytest.mark.parametrize(
    "seed",
    [
        *range(FEW_KILLS),
        *(
            pytest.param(seed, marks=pytest.mark.long)
            for seed in range(FEW_KILLS, MANY_KILLS)
        ),
    ],
)
def test_what_was_committed_is_there_after_the_writer_was_killed(
    server, tmp_path, seed
):
    case, multiscale = NAMES[seed % len(NAMES)]
    path = tmp_path / "a.zarr"
    appended, committed, ended = kill(server, seed, path, case, multiscale)
    if not path.exists():
        assert appended == 0
        return
    before = check_frames(path, committed)
    there = {path.name: snapshot(path)}
    report = examine(path)
    assert there == {path.name: snapshot(path)}, "it was to be looked at only"
    if ended or not report.can_be_repaired:  # killed when it had closed, or not at all
        assert not report.can_be_repaired
        assert before == appended
    repaired = repair(path)
    assert repaired == report
    after = check_frames(path, before)
    assert after == report.planes_after
    assert after <= max(appended + 1, report.planes_after if ended else 0)
    assert not report.has_losses
    assert appended - after <= most_lost(case, multiscale)
    if not ended:
        lost = max(0, appended - before), max(0, appended - after)
        print(f"killed {case} {multiscale} {committed} {before} {lost[0]} {lost[1]}")
    healthy = snapshot(tmp_path)
    assert not examine(path).can_be_repaired
    repair(path)
    assert snapshot(tmp_path) == healthy, "a healthy store was changed"
    had_closed = not ended and not report.can_be_repaired
    # Then its lock may be left, of a program that is dead.
    left = (".partial",) if had_closed else (".lock", ".partial")
    assert not any(p.name.endswith(left) for p in healthy)


# what is known in every detail


SHAPES = {
    "tyx": ("tyx", (None, 90, 70), (11, 90, 70), {"tile_height": 32, "tile_width": 32}),
    "tczyx": (
        "tczyx",
        (None, 2, 3, 90, 70),
        (4, 2, 3, 90, 70),
        {"tile_height": 32, "tile_width": 32, "tile_planes": 1},
    ),
    "volumes": (
        "tzyx",
        (None, 9, 40, 40),
        (3, 9, 40, 40),
        {"tile_height": 16, "tile_width": 16, "tile_planes": 4},
    ),
    "one volume": (
        "zyx",
        (21, 40, 40),
        (21, 40, 40),
        {"tile_height": 16, "tile_width": 16, "tile_planes": 4},
    ),
    "one plane": ("yx", (90, 70), (90, 70), {"tile_height": 32, "tile_width": 32}),
}


@pytest.mark.parametrize("method", ["mean", "mode", "decimate"])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    ("kind", "sharded"),
    [
        (DeviceKind.ZARR, False),
        (DeviceKind.ZARR_V3_ZSTD, False),
        (DeviceKind.ZARR_V3_ZSTD, True),
    ],
)
def test_smaller_levels_are_made_again_as_they_were(
    tmp_path, name, kind, method, sharded
):
    axes, planned, shape, options = SHAPES[name]
    properties = StorageProperties(
        "x", kind, downsampling_method=method, sharded=sharded,
        frames_per_chunk=3 if axes[0] == "t" else 0, **options,
    )  # fmt: skip
    path = tmp_path / "a.zarr"
    live = left_open(path, pixels(shape), properties, axes=axes, shape=planned)
    levels = level_paths(path)
    assert len(levels) > 2
    shutil.rmtree(levels[1])
    chunk = sorted(p for p in levels[2].rglob("*") if p.name.isdigit() and p.is_file())
    chunk[-1].write_bytes(b"cut")
    assert examine(path).can_be_repaired
    repair(path)
    assert_same(path, live)
    assert not examine(path).can_be_repaired
    assert record_of(path)["finish_reason"] == "interrupted"
    (done,) = record_of(path)["repaired"]
    assert any("made again from level 0" in change for change in done["changes"])


def test_frames_that_were_never_promised_and_those_that_never_came(tmp_path):
    """The last chunk is filled up with zeros when a stream is closed."""
    properties = replace(
        properties_of("x", "v3-zstd-stacked", True), frames_per_chunk=8
    )
    path = tmp_path / "a.zarr"
    live = left_open(path, pixels((13, 256, 256)), properties)
    set_steps(path, 8)
    repair(path)
    assert_same(path, live)


@pytest.mark.parametrize("cut_to", [0.4, 0.8])
def test_a_raw_chunk_that_was_cut(tmp_path, cut_to):
    path = tmp_path / "a.zarr"
    live = left_open(path, pixels((16, 256, 256)), properties_of("x", "v2-raw", True))
    chunk = path / "0" / "1" / "0" / "0"
    whole = chunk.stat().st_size
    os.truncate(chunk, int(whole * cut_to))
    left = 8 + int(8 * cut_to)
    repair(path)
    for level, wanted in zip(arrays(path), arrays(live), strict=True):
        np.testing.assert_array_equal(level, wanted[:left])
    assert chunk.stat().st_size == whole
    assert record_of(path)["frames_committed"] == left


class WatchedStore(LocalStore):
    """Copies itself before chosen calls: as a program that is killed there leaves it.

    Before the first call of each kind, and before every so many calls. Of a write that
    is torn, every other one of those chosen, the first half is in the copy.
    """

    def __init__(self, path, overwrite, copies, every):
        super().__init__(path, overwrite)
        self._copies, self._every = copies, every
        self._calls = Counter()
        self._chosen = Counter()
        self._watch_lock = threading.Lock()

    @contextlib.contextmanager
    def watching(self, name, tear=None):
        with self._watch_lock:  # nothing is written while it is copied
            if self.root == self._path and self._is_chosen(name, tear):
                number = self._chosen.total()
                is_torn = tear is not None and self._chosen[name] % 2 == 0
                name = f"torn {name}" if is_torn else name
                copy = self._copies / f"{number}-{name}.zarr"
                copy_of(self.root, copy)
                if is_torn:
                    tear(copy)
            yield

    def _is_chosen(self, name, tear):
        self._calls[name] += 1
        ways = 1 if tear is None else 2
        chosen = self._calls[name] <= ways or self._calls.total() % self._every == 0
        self._chosen[name] += chosen
        return chosen

    def write_json(self, key, document):
        with self.watching("write_json"):
            super().write_json(key, document)

    def write(self, key, data):
        with self.watching("write"):
            super().write(key, data)

    def create_file(self, key, keep_open, *, appears=False):
        with self.watching("create_file"):
            file = super().create_file(key, keep_open, appears=appears)
            return WatchedFile(self, key, file)


class WatchedFile:
    def __init__(self, store, key, file):
        self._store, self._key, self._file = store, key, file

    def _watching(self, name, offset, data):
        def tear(copy):
            with (copy / self._key).open("r+b") as file:
                file.seek(offset)
                file.write(data)

        return self._store.watching(name, tear)

    def write_at(self, offset, *pieces):
        data = b"".join(map(bytes, pieces))
        with self._watching("write_at", offset, data[: len(data) // 2]):
            self._file.write_at(offset, *pieces)

    def lengthen(self, size):
        with self._store.watching("lengthen"):
            self._file.lengthen(size)

    def end_with(self, offset, data):
        # An index of a page is written as a whole; then nothing was cut off yet.
        with self._watching("end_with", offset, data):
            return self._file.end_with(offset, data)

    def appear(self):
        self._file.appear()

    def close(self):
        with self._store.watching("close"):
            self._file.close()


def copy_of(folder, place):
    """A copy that keeps holes."""
    subprocess.run(["cp", "-R", "--sparse=always", folder, place], check=True)


def is_compact(shard, planned):
    """Whether an index lies right behind the last mark."""
    data = shard.read_bytes()
    index = data[-16 * planned.chunks_per_shard - 4 :]
    *_, last = find_marks(data, 0)
    table = np.frombuffer(index[:-4], "<u8").reshape(-1, 2)
    return index == encode_shard_index(table) and len(data) == last.end + len(index)


SHARDED_CASES = [case for case in CASES if case.endswith("sharded")]


@pytest.mark.skipif(sys.platform != "linux", reason="copies need cp of GNU")
@pytest.mark.parametrize(
    ("case", "multiscale", "every"),
    [
        (SHARDED_CASES[0], False, 15),
        *[
            pytest.param(case, multiscale, 3, marks=pytest.mark.long)
            for multiscale in (False, True)
            for case in SHARDED_CASES
        ],
    ],
)
def test_killed_between_any_two_calls_and_in_the_middle_of_a_write(
    tmp_path, monkeypatch, case, multiscale, every
):
    """Before the first index, before a cut behind a newer one, before the last cut."""
    monkeypatch.setattr(slot_queue, "COMMIT_INTERVAL_S", 0.0)
    monkeypatch.setattr(slot_queue, "COMMIT_SHARE", 1.0)
    monkeypatch.setattr(intake, "SEAL_AFTER_S", 0.0)
    monkeypatch.setattr(intake, "COMMIT_INTERVAL_S", 0.0)
    stores = []

    def make(path, overwrite):
        stores.append(WatchedStore(path, overwrite, tmp_path / "copies", every))
        return stores[-1]

    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(stream_module, "LocalStore", make)
    path = tmp_path / "live.zarr"
    stream = ZarrStream(
        properties_of(path, case, multiscale),
        axes="tyx",
        shape=(None, SIDE, SIDE),
        dtype="uint16",
    )
    first = plane(0, (SIDE, SIDE))
    planned = stream.plan
    frames = planned.shard_shape[0] + 9
    for number in range(frames):
        stream.append(first + np.uint16(number))
        # Readers are told of some frames before others come.
        while number % 8 == 0 and stream.status().frames_committed < number - 8:
            time.sleep(0.001)
    stream.close()
    copies = sorted((tmp_path / "copies").iterdir())
    made = {copy.stem.partition("-")[2] for copy in copies}
    calls = {"create_file", "write_at", "end_with", "write_json", "close"}
    assert calls | {"torn write_at", "torn end_with"} <= made
    gained = 0
    for copy in copies:
        before = check_frames(copy, 0)
        repair(copy)
        gained += check_frames(copy, before) - before
        (steps,) = {a.shape[0] for a in map(zarr.open_array, level_paths(copy))}
        for shard in copy.glob("[0-9]/c/**/*"):
            layer = int(shard.relative_to(copy).parts[2])
            if shard.is_file() and layer * planned.shard_shape[0] < steps:
                assert is_compact(shard, planned)
        assert not examine(copy).can_be_repaired
        shutil.rmtree(copy)
    print(f"{len(copies)} kills, {gained} frames gained")
    assert gained > 0, "marks brought back more than the indexes told"


def test_pixels_that_are_gone_for_good_are_named_and_the_rest_stays(tmp_path):
    path = tmp_path / "a.zarr"
    properties = properties_of("x", "v3-lz4", False)
    live = left_open(path, pixels((32, 256, 256)), properties)
    (path / "0" / "c" / "1" / "0" / "0").unlink()
    report = repair(path)
    assert report.has_losses
    assert "steps 8 to 15 cannot be read" in "".join(map(str, report.findings))
    kept, wanted = arrays(path)[0], arrays(live)[0]
    assert kept.shape == wanted.shape
    np.testing.assert_array_equal(kept[16:], wanted[16:])
    assert cli.main(["repair", "--check", str(path)]) == cli.FRAMES_LOST


@pytest.mark.parametrize(
    "interrupted",
    [False, pytest.param(True, marks=[needs_signals, pytest.mark.long])],
)
def test_repair_may_be_killed_as_well(server, tmp_path, interrupted):
    path, scratch = tmp_path / "a.zarr", tmp_path / "b.zarr"
    live = left_open(path, pixels((64, 512, 512)))
    shutil.rmtree(path / "1")
    set_steps(path, 20)
    for number in range(0, 12, 2):
        shutil.copytree(path, scratch)
        for _ in range(2):
            process = server.Process(target=repair, args=(scratch,))
            process.start()
            time.sleep(0.02 * number)
            if interrupted:
                # A repair that is done by now has nobody to interrupt.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)
            else:
                process.kill()
            process.join()
            if interrupted:
                assert not list(tmp_path.rglob("*.lock"))
                assert not list(tmp_path.rglob("*.partial"))
            if number % 3:
                break
        assert zarr.open_array(scratch / "0", mode="r").shape[0] >= 20
        repair(scratch)
        assert_same(scratch, live)
        assert not examine(scratch).findings
        assert {p.name for p in tmp_path.iterdir()} == {"a.zarr", "b.zarr", "live.zarr"}
        shutil.rmtree(scratch)


def test_a_store_that_is_written_is_left_alone_and_not_called_broken(
    tmp_path, capsys, recwarn
):
    path = tmp_path / "a.zarr"
    properties = properties_of(path, "v2-raw-single", True)
    options = {"axes": "tyx", "shape": (None, 256, 256), "dtype": "u2"}
    with ZarrStream(properties, **options) as stream:
        stream.append(pixels((8, 256, 256)))
        while not stream.status().frames_committed:
            time.sleep(0.01)
        assert examine(path).holder.pid == os.getpid()
        with pytest.raises(StoreInUse):
            repair(path)
        assert cli.main(["repair", str(path)]) == cli.FAILED
        assert "being written by process" in capsys.readouterr().err
        assert cli.main(["repair", "--check", str(path)]) == 0
        assert cli.main(["info", str(path)]) == 0
        assert "state                 being written by" in capsys.readouterr().out
        layers_of(path)
    assert not recwarn.list


def test_a_store_that_was_left_open_before_the_first_commit_says_so(tmp_path, capsys):
    path = tmp_path / "a.zarr"
    left_open(path, pixels((3, 512, 512)))
    set_steps(path, 0)
    with pytest.raises(InvalidStore, match=r"no committed frames: left open.*repair"):
        layers_of(path)
    assert cli.main(["info", str(path)]) == 0
    said = capsys.readouterr().out
    assert "0 x 512 x 512" in said
    assert "left open by a program" in said
    assert cli.main(["repair", str(path)]) == 0
    assert layers_of(path)[0][0][0].shape == (3, 512, 512)


def test_a_store_that_was_left_open_says_so(tmp_path, capsys):
    path = tmp_path / "a.zarr"
    left_open(path, pixels((3, 512, 512)))
    with pytest.warns(UserWarning, match="napari-zarr-stream repair"):
        layers_of(path)
    assert cli.main(["info", str(path)]) == 0
    assert "left open by a program" in capsys.readouterr().out
    assert cli.main(["repair", "--check", str(path)]) == cli.REPAIRABLE
    assert "can be repaired, 3 planes" in capsys.readouterr().out
    assert cli.main(["repair", str(path)]) == 0
    assert "repaired, 3 planes" in capsys.readouterr().out
    assert cli.main(["repair", "--check", str(path)]) == 0
    assert "healthy, 3 planes" in capsys.readouterr().out
    layers_of(path)
    assert cli.main(["repair", str(tmp_path)]) == cli.FAILED


def test_on_a_terminal_the_command_says_how_far_it_is(tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.zarr"
    left_open(path, pixels((3, 512, 512)))
    shutil.rmtree(path / "1")
    assert cli.main(["repair", "--check", str(path)]) == cli.REPAIRABLE
    assert capsys.readouterr().err == "", "nobody watches"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert cli.main(["repair", "--check", str(path)]) == cli.REPAIRABLE
    assert "looking into files" in capsys.readouterr().err
    assert cli.main(["repair", str(path)]) == 0
    told = capsys.readouterr().err
    assert "looking into files" in told
    assert "making smaller levels" in told
    assert "/3" in told, "with what is left"


def test_leftovers_of_ours_go_and_others_stay(tmp_path):
    path = tmp_path / "a.zarr"
    left_open(path, pixels((3, 512, 512)))
    before = {p.relative_to(tmp_path) for p in tmp_path.rglob("*")}
    (path / "0" / "zarr.json.0123abcd.partial").write_text("{")
    (path / "1" / "c" / "0" / "0" / "1.0123abcd.partial").write_text("{")
    tiles = path / "0" / "c" / "2.0123abcd.partial" / "1"  # of a plane on its way
    tiles.mkdir(parents=True)
    (tiles / "0").write_text("half")
    unpublished = tmp_path / ".a.zarr.0123abcd"
    (unpublished / "0").mkdir(parents=True)
    (unpublished / "0" / "zarr.json").write_text("{}")
    others = [
        path / "notes.partial",
        path / "0" / "c" / "README",
        path / "0" / "c" / "1.0123abcd.partial" / "0" / "README",
        tmp_path / ".a.zarr.4567abcd" / "0" / "c" / "0",
        tmp_path / ".a.zarr.notours" / "zarr.json",
        tmp_path / ".b.zarr.0123abcd" / "zarr.json",
        tmp_path / ".a.zarr.89ababcd.replaced" / "zarr.json",
    ]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("mine")
    report = repair(path)
    for other in others:
        assert other.read_text() == "mine"
    after = {p.relative_to(tmp_path) for p in tmp_path.rglob("*")}
    kept = {other.relative_to(tmp_path) for other in others}
    kept |= {p for other in kept for p in other.parents}
    assert after - kept == before - kept
    named = "".join(map(str, report.findings))
    assert ".a.zarr.4567abcd: left by an export that did not end: kept" in named
    healthy = snapshot(path)
    unpublished.mkdir()
    assert examine(path).can_be_repaired
    repair(path)
    assert not unpublished.exists()
    assert snapshot(path) == healthy


def test_a_store_that_never_came_to_be_is_not_called_healthy(tmp_path):
    left = tmp_path / ".a.zarr.4567abcd"
    left.mkdir()
    (left / "0").write_text("pixels of an export that was killed")
    for look in (examine, repair):
        with pytest.raises(
            InvalidStore, match=r"a.zarr does not exist; .*4567abcd: left by an"
        ):
            look(tmp_path / "a.zarr")
    assert list(tmp_path.iterdir()) == [left]


def test_a_folder_in_the_place_of_a_chunk(tmp_path):
    path = tmp_path / "a.zarr"
    left_open(path, pixels((3, 512, 512)))
    chunk = next(p for p in sorted((path / "1").rglob("*")) if p.name.isdigit())
    while chunk.is_dir():
        chunk = next(chunk.iterdir())
    chunk.unlink()
    chunk.mkdir()
    before = snapshot(path)
    with pytest.raises(WriteFailed, match="a folder is where a file should be: move"):
        repair(path)
    assert not list(path.rglob("*.partial"))
    assert snapshot(path).keys() == before.keys()
    chunk.rmdir()
    assert not repair(path).has_losses
    assert not examine(path).can_be_repaired


def test_a_store_that_was_being_replaced_comes_back(tmp_path):
    path = tmp_path / "a.zarr"
    live = left_open(path, pixels((3, 512, 512)))
    path.rename(tmp_path / ".a.zarr.0123abcd.replaced")
    assert examine(path).can_be_repaired
    repair(path)
    repair(path)
    assert_same(path, live)


READ_NO_PIXELS = {"yaozarrs", "ome_zarr_models"}


@pytest.mark.parametrize(
    "case", long_but(["v2-lz4", "v3-raw", "v3-zstd-sharded"], "v3-zstd-sharded")
)
def test_every_reader_opens_what_was_repaired(server, tmp_path, case):
    for seed in itertools.count(1000):
        path = tmp_path / f"{seed}.zarr"
        _, _, ended = kill(server, seed, path, case, True)
        if path.exists() and not ended and examine(path).planes_after > 1:
            break
    planes = repair(path).planes_after
    assert check_frames(path, planes) == planes
    wanted = arrays(path)
    assert len(wanted) > 1
    for name in JUDGES:
        levels = ask(name, path)
        if name in READ_NO_PIXELS:
            continue
        assert len(levels) == len(wanted), name
        for level, expected in zip(levels, wanted, strict=True):
            np.testing.assert_array_equal(level, expected, name)


@pytest.mark.parametrize("flat", [False, True], ids=["noisy", "flat"])
def test_chunks_that_earlier_versions_encoded_at_once_are_whole(tmp_path, flat):
    """Small tiles were stacked to whole chunks before they were encoded."""
    path = tmp_path / "a.zarr"
    options = {"tile_width": 64, "tile_height": 64, "frames_per_chunk": 16}
    properties = StorageProperties(path, "ZarrBlosc1Lz4ByteShuffle", **options)
    frames = np.random.default_rng(0).integers(0, 2**16, (16, 64, 64), "uint16")
    frames[1:] *= not flat
    live = left_open(path, frames, properties)
    chunk = path / "0" / "0" / "0" / "0"
    chunk.write_bytes(blosc.compress(frames.tobytes(), 2, 1, blosc.SHUFFLE, "lz4"))
    assert chunk.read_bytes() != (live / "0" / "0" / "0" / "0").read_bytes()
    report = repair(path)
    assert report.planes_after == len(frames)
    assert not report.has_losses
    np.testing.assert_array_equal(zarr.open_group(path, mode="r")["0"][:], frames)


@pytest.mark.parametrize("said", [True, False], ids=["this version", "an earlier one"])
@pytest.mark.parametrize("has_table", [True, False], ids=["table", "no table"])
def test_chunks_are_joined_of_the_blocks_they_were_written_in(
    tmp_path, monkeypatch, said, has_table
):
    """Versions before 0.2 took larger ones, and their records tell nothing of it."""
    if not said:
        monkeypatch.setattr(f"{plan.__module__}.blosc_block", largest_blosc_block)
    path = tmp_path / "a.zarr"
    options = {"tile_width": 512, "tile_height": 256, "frames_per_chunk": 8}
    properties = StorageProperties(path, "ZarrV3Blosc1Lz4ByteShuffle", **options)
    frames = np.random.default_rng(0).poisson(20, (6, 256, 512)).astype("uint16")
    live = left_open(path, frames, properties)
    monkeypatch.undo()
    if not said:
        change_record(path, lambda record: record.pop("blosc_block_bytes"))
    chunk = path / "0" / "c" / "0" / "0" / "0"
    data = bytearray(chunk.read_bytes())
    assert int.from_bytes(data[8:12], "little") == (2**17 if said else 2**18)
    if not has_table:  # which comes last
        data[: 16 + 4 * 8 * (2 if said else 1)] = bytes(16 + 4 * 8 * (2 if said else 1))
        chunk.write_bytes(data)
    report = repair(path)
    assert report.planes_after == len(frames)
    assert not report.has_losses
    assert_same(path, live)
    array = zarr.open_array(path / "0", mode="r")
    np.testing.assert_array_equal(array[:], frames)


@pytest.mark.parametrize("size", [0, -(2**17), 2**15, 2**17 + 2, 131072.0, "large"])
def test_blocks_of_a_size_that_cannot_be_are_named(tmp_path, size):
    path = tmp_path / "a.zarr"
    options = {"tile_width": 512, "tile_height": 256, "frames_per_chunk": 8}
    properties = StorageProperties(path, "ZarrV3Blosc1Lz4ByteShuffle", **options)
    left_open(path, pixels((6, 256, 512)), properties)
    change_record(path, lambda record: record.update(blosc_block_bytes=size))
    with pytest.raises(InvalidStore, match=re.escape(f"blocks of {size!r} bytes")):
        repair(path)
