"""How long the disk lasts."""

import pytest

from napari_zarr_stream._disk_watch import DiskWatch


def test_it_is_unknown_before_something_was_written():
    watch = DiskWatch()
    assert watch.seconds_left(0.0, 0, 10**9) is None
    assert watch.seconds_left(0.5, 10**6, 10**9) is None
    assert watch.seconds_left(2.0, 2 * 10**6, 10**9) == pytest.approx(1000)


def test_the_rate_is_that_of_late():
    watch = DiskWatch()
    for second in range(60):
        watch.seconds_left(second, second * 10**6, 10**9)
    # ten times as fast from here
    for second in range(60, 70):
        left = watch.seconds_left(second, 59 * 10**6 + (second - 59) * 10**7, 10**9)
    assert left == pytest.approx(100, rel=0.01)


def test_a_pause_is_no_rate():
    watch = DiskWatch()
    for second in range(20):
        left = watch.seconds_left(second, 5, 10**9)
    assert left is None
