"""How many files may be open: the limit is raised, and looked at before a start."""

import pytest
from programs import run_python

from napari_zarr_stream import InvalidProperties, StorageProperties, plan
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.memory import (
    MAX_OPEN_FILES,
    SPARE_FILES,
    WORKERS,
    check_open_files,
)

pytest.importorskip("resource", reason="Windows has no such limit")


@pytest.mark.parametrize(
    ("soft", "hard", "most"),
    [
        (256, 20_000, 10_240),
        (256, 4096, 4096),
        (256, 256, 256),
        (20_000, 20_000, 20_000),
    ],
)
def test_the_limit_is_raised(soft, hard, most):
    """macOS begins with 256, and gives no more than 10,240."""
    script = (
        "import resource\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from napari_zarr_stream._writer import system\n"
        "print(system.most_open_files(), *resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = run_python(script)
    assert done.stdout.split() == [str(most), str(most), str(hard)]


def of(tiles):
    properties = StorageProperties(
        "a.zarr", tile_width=64, tile_height=64, sharded=True
    )
    shape = (None, 64, 64 * tiles)
    return plan(properties, axes="tyx", shape=shape, dtype="uint16")


@pytest.mark.parametrize(
    ("tiles", "kept"),
    [(1, 2), (8, 2 * (8 + 4 + 2 + 1)), (200, MAX_OPEN_FILES)],
)
def test_what_a_recording_needs_is_counted(monkeypatch, tiles, kept):
    """Two layers of shards at a time, and its lock."""
    needed = SPARE_FILES + kept + 1 + WORKERS
    monkeypatch.setattr(system, "most_open_files", lambda: needed)
    check_open_files([of(tiles)])
    monkeypatch.setattr(system, "most_open_files", lambda: needed - 1)
    with pytest.raises(InvalidProperties, match=f"needs {needed} open files"):
        check_open_files([of(tiles)])


def test_recordings_together_share_what_is_kept_open(monkeypatch):
    most = SPARE_FILES + MAX_OPEN_FILES + 10 + WORKERS
    monkeypatch.setattr(system, "most_open_files", lambda: most)
    check_open_files([of(8)] * 10)
    with pytest.raises(InvalidProperties, match="fewer cameras at once"):
        check_open_files([of(8)] * 11)
