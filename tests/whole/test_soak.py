"""Long and many recordings, and whether anything grows that should not."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="counts descriptors, which Windows has not"
)


LONG = [pytest.mark.long, pytest.mark.timeout(0)]


@pytest.mark.parametrize(
    "amount",
    [
        pytest.param(("--recordings", "50"), id="many"),
        pytest.param(("--recordings", "1000"), id="very many", marks=LONG),
        pytest.param(("--minutes", "10"), id="one for long", marks=LONG),
    ],
)
def test_nothing_grows(tmp_path, amount):
    command = [sys.executable, "-m", "benchmarks.soak", *amount]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "last " in done.stdout
