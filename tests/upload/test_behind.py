"""A store that is brought away while it is recorded."""

import shutil
import threading
import time

import numpy as np
import pytest
import zarr
from buckets import BucketServer, assert_equal_levels, local_files, write_uploaded
from frames import plane
from killed_writer import CASES, check_frames, kill, start_server
from waiting import PATIENCE_S, wait_until
from zarr.storage import ObjectStore

from napari_zarr_stream import StorageProperties, StoreExists, ZarrStream, cli, record
from napari_zarr_stream._recording.uploading import Whole
from napari_zarr_stream._upload.progress import UploadPhase, upload_in_words
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.store import PartOfStore

SIDE = 64
CELLS = "Simulated: cells"
FAST = {"width": 64, "height": 48, "frame_rate": 200}
KINDS = {
    "shards": ("ZarrV3Blosc1Lz4ByteShuffle", {"sharded": True}),
    "one file a frame": ("ZarrBlosc1ZstdByteShuffle", {"frames_per_chunk": 1}),
    "chunks": ("Zarr", {"frames_per_chunk": 4}),
}


class Recorded:
    """A stream of frames whose store is brought away behind it."""

    def __init__(self, path, address, kind="shards", side=SIDE, tile=32, **more):
        name, options = KINDS[kind]
        self.path = path
        options = {"tile_width": tile, "tile_height": tile} | options | more
        properties = StorageProperties(path, name, enable_multiscale=True, **options)
        self.uploader = UploadRequest(address).uploader(path)
        self.uploader.follow()
        self.uploader.check_free(60)
        self.whole = Whole(LocalStore(path, False), self.uploader)
        part = PartOfStore(
            self.whole.store, "", lambda: self.whole.close(has_failed=False)
        )
        self.stream = ZarrStream(
            properties,
            axes="tyx",
            shape=(None, side, side),
            dtype="uint16",
            store=part,
        )
        self.whole.publish()
        self.count = 0
        self.longest_s = 0.0
        self._plane = plane(0, (side, side))

    def append(self, count, fps=0.0):
        begin = time.perf_counter()
        for number in range(count):
            frame = self._plane + np.uint16(self.count)
            if fps:
                time.sleep(max(0.0, begin + number / fps - time.perf_counter()))
            at = time.perf_counter()
            self.stream.append(frame)
            self.longest_s = max(self.longest_s, time.perf_counter() - at)
            self.count += 1

    def end(self):
        self.stream.close()
        self.uploader.wait()
        status = self.uploader.status()
        assert status.phase is UploadPhase.DONE, (status.error, status.trouble)
        return status


@pytest.mark.parametrize(
    ("kind", "side", "frames", "expected"),
    [
        pytest.param("shards", 512, 130, 128, marks=pytest.mark.long),
        ("one file a frame", 64, 4, 4),
        ("chunks", 64, 9, 8),
    ],
)
def test_what_is_there_follows(kind, side, frames, expected, tmp_path, place, server):
    """Readers there find whole frames at any time, and in the end all is equal."""
    address, prefix = place
    there = f"{prefix}/a.zarr"
    path = tmp_path / "a.zarr"
    recorded = Recorded(path, f"{address}/a.zarr", kind, side, side // 2)
    recorded.append(frames)
    recorded.stream.flush()
    wait_until(lambda: recorded.uploader.steps("") >= expected)
    store = ObjectStore(server.bucket(there), read_only=True)
    group = zarr.open_group(store, mode="r")
    steps = group["0"].shape[0]
    assert expected <= steps <= frames
    for level in "01":
        found = group[level][:]
        assert found.shape[0] >= steps
        local = zarr.open_array(str(recorded.path / level), mode="r")[: len(found)]
        np.testing.assert_array_equal(found, local)
    recorded.append(3)
    status = recorded.end()
    assert server.files(there) == local_files(recorded.path)
    assert status.bytes_behind == 0
    assert status.notes == ()


@pytest.mark.long
def test_a_server_that_is_away_for_a_while(tmp_path, monkeypatch):
    """Nothing is lost, nobody waits, and it goes on by itself."""
    server = BucketServer(tmp_path / "server")
    server.folder.mkdir()
    server.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        recorded = Recorded(tmp_path / "a.zarr", "s3://bkt/a.zarr", "one file a frame")
        recorded.append(5)
        wait_until(lambda: recorded.uploader.steps("") >= 5)
        server.kill()
        recorded.append(20)
        recorded.stream.flush()
        wait_until(lambda: recorded.uploader.status().trouble)
        status = recorded.uploader.status()
        assert "refused the connection" in status.trouble
        assert status.bytes_behind > 0
        assert "Upload waits: the server of" in upload_in_words(status, 20)
        assert recorded.stream.status().frames_committed == 25
        server.start()
        recorded.append(5)
        recorded.end()
        assert server.files("a.zarr") == local_files(recorded.path)
    finally:
        server.stop()


def test_a_place_that_is_taken_is_told_before_anything_is_made(
    store, tmp_path, place, capsys
):
    address, _ = place
    assert cli.main(["upload", str(store), f"{address}/a.zarr"]) == 0
    out = tmp_path / "new.zarr"
    with pytest.raises(StoreExists, match="already holds another store"):
        record(
            out,
            CELLS,
            camera_settings=FAST,
            frame_count=2,
            upload_to=f"{address}/a.zarr",
        )
    assert not out.exists()


def test_a_script_records_and_uploads(tmp_path, place, server):
    address, prefix = place
    out = tmp_path / "µ cells.zarr"
    [status] = record(
        out, CELLS, camera_settings=FAST, frame_count=20, upload_to=address + "/"
    )
    assert status.frames_uploaded == status.frames_committed == 20
    assert status.upload.phase is UploadPhase.DONE
    assert server.files(f"{prefix}/µ cells.zarr") == local_files(out)


def test_several_cameras_into_one_store_and_another_disk(tmp_path):
    out, disk = tmp_path / "both.zarr", tmp_path / "disk"
    statuses = record(
        out, [CELLS, CELLS], camera_settings=FAST, frame_count=8, upload_to=str(disk)
    )
    assert [status.frames_uploaded for status in statuses] == [8, 8]
    assert local_files(disk / "both.zarr") == local_files(out)


def test_the_command_records_and_uploads(tmp_path, place, server, capsys):
    address, prefix = place
    out = tmp_path / "a.zarr"
    said = [
        "record", str(out), "--camera", "cells", "--frames", "20", "--set", "width=64",
        "--set", "height=48", "--upload-to", address, "--delete-local",
    ]  # fmt: skip
    assert cli.main(said) in (0, 3)
    told = capsys.readouterr().out
    assert "20 frames acquired, 20 committed" in told
    assert "all is there; the local copy is deleted" in told
    assert not out.exists()
    store = ObjectStore(server.bucket(f"{prefix}/a.zarr"), read_only=True)
    assert zarr.open_array(store, path="0", mode="r").shape == (20, 48, 64)


def test_a_network_that_fails_ends_no_recording(tmp_path, place, monkeypatch, capsys):
    """Wrong keys are said, the recording is whole, and how to go on."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush-wrong")
    out = tmp_path / "a.zarr"
    said = [
        "record",
        str(out),
        "--camera",
        "cells",
        "--frames",
        "5",
        "--set",
        "width=64",
    ]
    assert cli.main([*said, "--upload-to", place[0]]) == 1
    told = capsys.readouterr()
    assert "completed, 5 frames acquired, 5 committed, 0 uploaded" in told.out
    assert "the secret does not belong to it" in told.err
    assert f"napari-zarr-stream upload {out} {place[0]}/a.zarr" in told.err
    assert "hush-wrong" not in told.out + told.err
    assert zarr.open_array(str(out / "0"), mode="r").shape[0] == 5


def test_a_local_store_that_is_renamed_meanwhile(tmp_path, place, server, capsys):
    address, prefix = place
    recorded = Recorded(tmp_path / "a.zarr", f"{address}/a.zarr", "one file a frame")
    recorded.append(4)
    wait_until(lambda: recorded.uploader.steps("") >= 4)
    recorded.append(4)
    recorded.stream.flush()
    recorded.stream.close = lambda: None
    recorded.uploader.stop()
    recorded.uploader.wait()
    moved = tmp_path / "moved.zarr"
    ZarrStream.close(recorded.stream)
    recorded.path.rename(moved)
    assert recorded.uploader.status().phase is UploadPhase.STOPPED
    # Where it is now says nothing about what it is.
    assert cli.main(["upload", str(moved), f"{address}/a.zarr"]) == 0
    assert server.files(f"{prefix}/a.zarr") == local_files(moved)


def test_a_local_store_that_is_gone_is_told(tmp_path, place):
    recorded = Recorded(tmp_path / "a.zarr", f"{place[0]}/a.zarr")
    recorded.append(4)
    recorded.stream.flush()
    wait_until(lambda: recorded.uploader.status().phase is UploadPhase.FOLLOWING)
    close = recorded.whole.local.close

    def close_and_move():
        close()
        recorded.path.rename(tmp_path / "elsewhere.zarr")

    recorded.whole.local.close = close_and_move
    recorded.stream.close()
    recorded.uploader.wait()
    status = recorded.uploader.status()
    assert status.phase is UploadPhase.FAILED
    assert "is not at" in str(status.error)
    assert "`napari-zarr-stream upload` with its place now" in str(status.error)


def test_an_upload_that_is_stopped_ends_at_once(tmp_path, monkeypatch):
    """Also where nobody answers: what listens and says nothing is the worst network."""
    import socket

    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(16)
    monkeypatch.setenv(
        "AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}"
    )
    uploader = UploadRequest("s3://bkt/a.zarr").uploader(tmp_path / "a.zarr")
    uploader.follow()
    uploader.check_free(0.2)
    uploader.stop()
    assert uploader.wait(PATIENCE_S)
    assert uploader.status().phase is UploadPhase.STOPPED
    silent.close()
    wait_until(lambda: not any(t.name == "upload" for t in threading.enumerate()))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_500_frames_while_the_server_is_killed(tmp_path, monkeypatch, record_property):
    """Fifty a second, the server dead for 6 s in the middle."""
    server = BucketServer(tmp_path / "server")
    server.folder.mkdir()
    server.start()
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        recorded = Recorded(tmp_path / "a.zarr", "s3://bkt/a.zarr", side=1024, tile=512)
        recorded.append(100, fps=50)
        server.kill()
        recorded.append(300, fps=50)  # 6 s
        server.start()
        recorded.append(100, fps=50)
        recorded.end()
        assert recorded.stream.status().frames_committed == 500
        record_property("longest_append_s", recorded.longest_s)
        print(f"longest append {recorded.longest_s:.3f} s")
        levels = [
            zarr.open_array(str(recorded.path / name), mode="r")[:] for name in "01"
        ]
        assert_equal_levels(server.levels("a.zarr"), levels)
        assert server.files("a.zarr") == local_files(recorded.path)
    finally:
        server.stop()


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_recorder_that_is_killed(tmp_path, place, server):
    """Fifty times at random: repaired as ever, `upload` completes, and all is equal."""
    address, prefix = place
    context = start_server()
    cases = sorted(CASES)
    left, resumed = 0, 0
    for seed in range(50):
        path = tmp_path / f"{seed}.zarr"
        to, there = f"{address}/{seed}.zarr", f"{prefix}/{seed}.zarr"
        case = cases[seed % len(cases)]
        _, committed, _ = kill(context, seed, path, case, to, target=write_uploaded)
        if not path.exists():
            continue  # killed before it was there
        left += 1
        cli.main(["repair", str(path)])
        assert check_frames(path, committed) >= committed
        resumed += bool(server.keys(there))
        assert cli.main(["upload", str(path), to]) == 0, (seed, case)
        assert server.files(there) == local_files(path), (seed, case)
        shutil.rmtree(path)
    print(f"{left} stores were left, {resumed} of them begun in the bucket")
