"""Stores whose writer was killed: what they hold before and after repair.

Every kill is a real SIGKILL of a real process at a random moment. More of them:
`KILLS=200 python -m pytest tests/test_repair.py -k killed`.
"""

import os

import pytest
from killed_writer import (
    CASES,
    check_frames,
    kill,
    start_server,
    write,
    write_with_marks,
)

from napari_zarr_stream._writer.repair import examine, repair

KILLS = int(os.environ.get("KILLS", "28"))
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


@pytest.mark.parametrize("seed", range(KILLS))
@pytest.mark.parametrize("writer", [write, write_with_marks])
def test_what_was_committed_is_there_after_the_writer_was_killed(
    server, tmp_path, seed, writer
):
    case, multiscale = NAMES[seed % len(NAMES)]
    path = tmp_path / "a.zarr"
    appended, committed, ended = kill(
        server, seed, path, case, multiscale, target=writer
    )
    if not path.exists():
        assert appended == 0
        return
    before = check_frames(path, committed)
    there = {path.name: snapshot(path)}
    report = examine(path)
    assert there == {path.name: snapshot(path)}, "it was to be looked at only"
    assert report.can_be_repaired != ended
    repaired = repair(path)
    assert repaired == report
    after = check_frames(path, before)
    print(case, multiscale, appended, committed, before, after, ended)
    assert after == report.planes_after
    assert after <= max(appended + 1, report.planes_after if ended else 0)
    assert not report.has_losses
    healthy = snapshot(tmp_path)
    assert not examine(path).can_be_repaired
    repair(path)
    assert snapshot(tmp_path) == healthy, "a healthy store was changed"
    assert not any(p.name.endswith((".lock", ".partial")) for p in healthy)
