"""Disks that fill up, go away, stall or refuse: each is heard, and nothing lies."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from disks import SHAPE, WAYS, append_until_it_fails, end, read, stream_of
from frames import plane, planes
from needs import needs_deleting, needs_renames
from programs import run_python
from stores import TestedStore
from tables import long_but

from napari_zarr_stream import StorageProperties, WriteFailed, ZarrStream
from napari_zarr_stream._writer import stream as stream_module

any_way = pytest.mark.parametrize("way", WAYS)
two_ways = pytest.mark.parametrize("way", long_but(WAYS, "raw", "sharded"))


@needs_deleting
@any_way
def test_the_folder_is_deleted(tmp_path, way):
    path = tmp_path / "a.zarr"
    stream = stream_of(path, way)

    def delete():
        while path.exists():  # files come while it is emptied
            shutil.rmtree(path, ignore_errors=True)

    failure = append_until_it_fails(stream, delete)
    assert "the folder is gone: was it moved, deleted or unplugged?" in str(failure)
    assert str(path) in str(failure)
    end(stream)
    assert not path.exists(), "what was deleted does not come back as a torso"
    assert list(tmp_path.iterdir()) == []


@needs_renames
@any_way
def test_the_folder_is_moved(tmp_path, way):
    path, elsewhere = tmp_path / "a.zarr", tmp_path / "b.zarr"
    stream = stream_of(path, way)
    failure = append_until_it_fails(stream, lambda: path.rename(elsewhere))
    assert "the folder is gone" in str(failure)
    end(stream)
    assert not path.exists()
    pixels = read(elsewhere)
    np.testing.assert_array_equal(pixels, planes(len(pixels), SHAPE))


NO_RIGHTS = """
    import os, sys
    from pathlib import Path
    from disks import SHAPE, append_until_it_fails, end, read, stream_of
    from frames import planes
    folder, way = Path(sys.argv[1]), sys.argv[2]
    if os.geteuid() == 0:
        # Whoever it is then may not be allowed to import: all has been, before.
        with stream_of(folder / "first.zarr", way) as stream:
            stream.append(planes(20, SHAPE))
        read(folder / "first.zarr")
        os.setuid(65534)
    path = folder / "a.zarr"
    stream = stream_of(path, way)

    def forbid():
        for place in [path, *path.rglob("*")]:
            if place.is_dir():
                place.chmod(0o555)

    failure = append_until_it_fails(stream, forbid)
    end(stream)
    assert stream.status().frames_committed <= len(read(path))
    print(failure)
    try:
        stream_of(path / "0" / "b.zarr")
    except OSError as failure:
        print(failure)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="folders have no such rights")
@two_ways
def test_the_right_to_write_is_lost(way):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        Path(folder).chmod(0o777)
        lines = run(NO_RIGHTS, folder, way)
    assert len(lines) == 2
    for line in lines:
        assert "permission denied: choose a folder that you may write to" in line
        assert str(Path(folder) / "a.zarr") in line


QUOTA = """
    import resource, sys
    from pathlib import Path
    from disks import append_until_it_fails, end, read, stream_of
    stream = stream_of(Path(sys.argv[1]) / "a.zarr", sys.argv[2], (512, 512), 256)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))
    failure = append_until_it_fails(stream)
    end(stream)
    print(failure)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
@two_ways
def test_a_limit_to_the_size_of_files(tmp_path, way):
    [line] = run(QUOTA, tmp_path, way)
    assert "takes no file of that size: choose a lower chunk cap" in line


def test_a_read_only_disk(small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(
        WriteFailed, match="disk is read-only: choose another"
    ) as caught:
        stream_of(small_disk / "a.zarr")
    assert caught.value.errno == errno.EROFS
    assert str(small_disk / "a.zarr") in str(caught.value)


def test_a_disk_too_full_for_the_first_document(small_disk):
    with contextlib.suppress(OSError), (small_disk / "full").open("wb") as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(WriteFailed, match="disk is full: free some space"):
        stream_of(small_disk / "a.zarr")
    assert [path.name for path in small_disk.iterdir()] == ["full"]


def test_a_name_too_long(tmp_path):
    with pytest.raises(WriteFailed, match="name is too long: choose a shorter one"):
        stream_of(tmp_path / ("a" * 256))
    assert list(tmp_path.iterdir()) == []


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(
        WriteFailed, match="a file is where a folder should be"
    ) as caught:
        stream_of(tmp_path / "notes" / "a.zarr")
    assert str(tmp_path / "notes" / "a.zarr") in str(caught.value)
    assert (tmp_path / "notes").read_text() == "mine"


@any_way
def test_a_path_with_everything_in_it(tmp_path, way):
    """Spaces, letters of all lands, 250 bytes in a name, and more in the path."""
    name = "Zellen 2 µm, 細胞 ✓ 'x' "
    path = tmp_path / "Ordner 一" / (name + "ü" * ((250 - len(name.encode())) // 2))
    assert 249 <= len(path.name.encode()) <= 250
    with stream_of(path, way) as stream:
        stream.append(planes(20, SHAPE))
    np.testing.assert_array_equal(read(path), planes(20, SHAPE))
    assert [place.name for place in path.parent.iterdir()] == [path.name]


@any_way
def test_a_disk_that_stalls(tmp_path, monkeypatch, way):
    """Nothing is lost, and the status tells: the queue fills, counts stand still."""
    store = TestedStore()
    monkeypatch.setattr(stream_module, "LocalStore", store)
    path = tmp_path / "a.zarr"
    stream = stream_of(path, way)
    for number in range(20):
        stream.append(plane(number, SHAPE))
    store.gate.clear()
    before = stalled = stream.status()
    while stalled.queue_fill <= before.queue_fill:
        stream.append(plane(stalled.frames_appended, SHAPE))
        stalled = stream.status()
    assert stalled.frames_appended > before.frames_appended
    assert stalled.frames_committed <= before.frames_appended
    store.gate.set()
    stream.append(planes(20, SHAPE, first=stalled.frames_appended))
    stream.close()
    frames = stalled.frames_appended + 20
    assert stream.status().frames_committed == frames
    np.testing.assert_array_equal(read(path), planes(frames, SHAPE))


def run(script, *arguments):
    """The lines that a program prints, which must not fail."""
    return run_python(script, *arguments).stdout.splitlines()


@any_way
def test_a_frame_log_that_cannot_be_written(tmp_path, way):
    """It is heard to the end, the record says so, and the pixels are there."""
    path = tmp_path / "a.zarr"
    stream = stream_of(path, way)
    stream.append(planes(5, SHAPE))
    (path / "frame_log").write_text("in the way")
    stream.log_frames({"time_ns": np.arange(5)})
    while stream.status().error is None:
        time.sleep(0.01)
    stream.append(planes(5, SHAPE))
    with pytest.raises(WriteFailed, match=r"frame_log.* a file is where a folder"):
        stream.close()
    assert stream.status().frames_committed == 10
    np.testing.assert_array_equal(read(path), [*planes(5, SHAPE), *planes(5, SHAPE)])
    attributes = zarr.open_group(path, mode="r").attrs.asdict()
    assert attributes["napari_zarr_stream"]["finish_reason"] == "failed"


def test_a_chunk_that_cannot_be_made_is_closed(tmp_path):
    def record(fail_at):
        store = TestedStore(fail_at)
        properties = StorageProperties(
            tmp_path / f"{fail_at}.zarr", enable_multiscale=False, **WAYS["raw"]
        )
        stream = ZarrStream(
            properties,
            axes="tyx",
            shape=(None, *SHAPE),
            dtype="uint16",
            store=store(properties.path, overwrite=False),
        )
        stream.append(planes(3, SHAPE))
        with contextlib.suppress(WriteFailed):
            stream.close()
        return store.calls

    calls = record(0)
    at, key = next(
        (i, key) for i, (name, key) in enumerate(calls) if name == "lengthen"
    )
    assert ("close", key) in record(at + 1)
