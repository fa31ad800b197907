"""When frames are due, by a clock that is moved by hand."""

import math

import pytest

from napari_zarr_stream import InvalidProperties
from napari_zarr_stream._recording import timetable as timetable_module
from napari_zarr_stream._recording.timetable import CATCH_UP_S, Timetable, clock
from napari_zarr_stream._sources.take import Take


@pytest.fixture
def now(monkeypatch):
    """The time, as the only item of a list."""
    time = [100.0]
    monkeypatch.setattr(timetable_module, "clock", lambda: time[0])
    return time


def begun(interval_s, duration_s=0.0, frame_time_s=0.0):
    timetable = Timetable(interval_s, duration_s, frame_time_s)
    timetable.begin(100.0)
    return timetable


FRAMES = [
    # interval, duration, frame_count, frames
    (0, 0, 0, None),
    (0, 0, 20, 20),
    (0, 10, 0, None),
    (0, 10, 20, 20),
    (0.5, 0, 0, None),
    (0.5, 10, 0, 20),
    (0.5, 10, 5, 5),
    (0.5, 10, 50, 20),
    (0.1, 0.3, 0, 3),
    (0.5, 10.1, 0, 21),
    (600, 12 * 3600, 0, 72),
    (600, 5, 0, 1),
]


@pytest.mark.parametrize(("interval", "duration", "count", "frames"), FRAMES)
def test_how_many_frames_there_will_be(interval, duration, count, frames, now):
    assert Take(interval, duration).frames(count) == frames
    if interval and duration and not count:
        timetable = begun(interval, duration)
        for _ in range(frames):
            assert not timetable.is_over
            timetable.came(0.0)
        assert timetable.is_over


@pytest.mark.parametrize("field", ["interval_s", "duration_s", "pixel_size_um"])
@pytest.mark.parametrize("value", [-1, math.inf, math.nan])
def test_what_cannot_be_is_refused(field, value):
    with pytest.raises(InvalidProperties, match=field):
        Take(**{field: value})


def test_a_late_frame_does_not_move_the_others(now):
    timetable = begun(0.5, frame_time_s=0.1)
    for late_s in (0.0, 0.149, 0.151, 2.0, 0.0):
        timetable.came(late_s)
    assert timetable.late == 2
    assert timetable.wait_s == 2.5


def test_a_pause_of_some_intervals_is_caught_up(now):
    timetable = begun(0.5)
    timetable.came(0.0)
    now[0] += CATCH_UP_S - 1
    assert timetable.leave_out() == 0
    assert timetable.wait_s == 0.5 - (CATCH_UP_S - 1)


def test_frames_of_a_sleep_are_missing(now):
    timetable = begun(600.0)
    timetable.came(0.0)
    now[0] += 4 * 600 + 60  # 1, 2 and 3 are left out, 4 is a minute late
    assert timetable.leave_out() == 3
    assert timetable.leave_out() == 0
    timetable.came(60.0)
    assert (timetable.missing, timetable.late) == (3, 1)
    assert timetable.wait_s == 540


def test_a_frame_that_is_late_for_long_is_not_left_out(now):
    timetable = begun(600.0)
    timetable.came(0.0)
    now[0] += 600 + 2 * CATCH_UP_S
    assert timetable.leave_out() == 0


def test_without_an_interval_the_time_ends_it(now):
    timetable = begun(0.0, 5.0)
    assert timetable.wait_s == 0
    now[0] += 4.9
    assert not timetable.is_over
    assert timetable.leave_out() == 0
    now[0] += 0.2
    assert timetable.is_over


def test_the_clock_goes_on():
    before = clock()
    assert clock() >= before
