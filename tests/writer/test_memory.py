"""What a plan says of memory is what a recording takes."""

import sys

import pytest

from benchmarks.peak_memory import measure


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, which only Linux has")
@pytest.mark.parametrize(
    ("kind", "tile"),
    [pytest.param("stacked", 64, marks=pytest.mark.long), ("sharded", 64)],
)
def test_peak_memory_is_what_the_plan_says(tmp_path, kind, tile):
    """The whole table, with 1,000 frames as well: `benchmarks/peak_memory.py`."""
    said, peak = measure(str(tmp_path), kind, tile, frames=10, side=2048)
    assert 0.8 * said <= peak <= 1.2 * said
