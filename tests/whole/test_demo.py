"""`make demo`, as it runs where nobody looks: what a newcomer types first."""

import re
from pathlib import Path

import pytest
import zarr
from programs import start_python
from waiting import PATIENCE_S

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"

RUN = f"""
import os, runpy, sys
os.chdir(sys.argv[1])
sys.argv = ["demo.py", "--by-itself", "--small"]
runpy.run_path({str(DEMO)!r}, run_name="__main__")
"""


@pytest.mark.long
def test_the_demo_records_by_itself(tmp_path):
    settings = str(tmp_path / "settings.yaml")
    with start_python(RUN, tmp_path, NAPARI_CONFIG=settings) as demo:
        said, errors = demo.communicate(timeout=PATIENCE_S)
    counts = re.search(r"(\d+) acquired, (\d+) committed, (\d+) lost", said)
    assert counts, errors
    acquired, committed, lost = map(int, counts.groups())
    assert acquired == committed == 60
    assert demo.returncode == (1 if lost else 0)
    [store] = (tmp_path / "demo-output").glob("*.zarr")
    assert zarr.open_array(store / "0", mode="r").shape == (60, 512, 512)
