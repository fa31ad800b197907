"""Long and many recordings, in short; the long ones: `python -m benchmarks.soak`."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="counts descriptors")


@pytest.mark.parametrize(
    "amount", [("--minutes", "0.34"), ("--recordings", "50")], ids=["long", "many"]
)
def test_nothing_grows(tmp_path, amount):
    command = [sys.executable, "-m", "benchmarks.soak", *amount]
    done = subprocess.run(
        [*command, "--directory", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "last " in done.stdout
