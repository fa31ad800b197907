"""What a run takes next, and in how long."""

import pytest

from napari_zarr_stream._acquisition import next_event
from napari_zarr_stream._acquisition.next_event import NextEvent
from napari_zarr_stream._acquisition.states import AcquisitionState, AcquisitionStatus
from napari_zarr_stream._acquisition.words import counts_in_words


@pytest.fixture
def clock(monkeypatch):
    """The time of day, in seconds, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(next_event.time, "perf_counter", lambda: now[0])
    return now


def test_a_pause_stops_the_clock_and_puts_off_what_comes_later(clock):
    coming = NextEvent()
    coming.expect({"t": 1}, 60.0)
    clock[0] += 10
    assert coming.due_s == 50
    coming.note_paused(True)
    clock[0] += 5
    coming.note_paused(True)
    assert coming.is_paused
    assert coming.due_s is None
    clock[0] += 15
    coming.note_paused(False)
    assert coming.due_s == 30  # Micro-Manager does not put off this one
    coming.taken({"t": 1})
    assert coming.due_s is None
    coming.expect({"t": 2}, 60.0)
    assert coming.due_s == 80
    assert coming.index == {"t": 2}


@pytest.mark.parametrize(
    ("is_paused", "due_s", "said"),
    [
        (False, 600.0, "next in 10 min"),
        (False, None, "Taking a"),
        (True, None, "Paused"),
    ],
)
def test_a_run_says_what_it_waits_for(tmp_path, is_paused, due_s, said):
    words = counts_in_words(
        AcquisitionStatus(
            AcquisitionState.RUNNING, tmp_path, planned=2, position="a",
            is_paused=is_paused, next_event_s=due_s,
        )
    )  # fmt: skip
    assert said in words
    assert ("next in" in words) == (due_s is not None)
