"""Stores whose writer was killed: what they hold before and after repair.

Every kill is a real SIGKILL of a real process at a random moment. More of them:
`KILLS=200 python -m pytest tests/test_repair.py -k killed`.
"""

import os

import pytest
from killed_writer import CASES, check_frames, kill, start_server

KILLS = int(os.environ.get("KILLS", "28"))
NAMES = [(case, multiscale) for multiscale in (True, False) for case in CASES]


@pytest.fixture(scope="module")
def server():
    return start_server()


@pytest.mark.parametrize("seed", range(KILLS))
def test_what_was_committed_is_there_after_the_writer_was_killed(
    server, tmp_path, seed
):
    case, multiscale = NAMES[seed % len(NAMES)]
    path = tmp_path / "a.zarr"
    appended, committed, ended = kill(server, seed, path, case, multiscale)
    print(case, multiscale, appended, committed, ended)
    if not path.exists():
        assert appended == 0
        return
    kept = check_frames(path, committed)
    print(f"{kept} kept of {appended}")
    assert kept <= appended or appended == 0
