"""Rates of late, and what is said while frames are being lost."""

import pytest

from napari_zarr_stream._recording.counts import (
    saved_in_words,
    totals_in_words,
    warning_in_words,
)
from napari_zarr_stream._recording.pace import LOSS_WINDOWS, RATE_WINDOW_S, Pace
from napari_zarr_stream._recording.states import RecordingState, RecordingStatus
from napari_zarr_stream._writer.words import rate_in_words


def pace_of(*windows):
    """What comes in one window after another: (frames, lost, queue fill)."""
    pace, now, frames, lost = Pace(0.0), 0.0, 0, 0
    for came, missing, fill in windows:
        now += RATE_WINDOW_S
        frames += came
        lost = None if missing is None or lost is None else lost + missing
        pace.note(now, frames, lost, fill)
    return pace


def test_the_rate_is_that_of_the_last_window():
    assert pace_of((10, 0, 0.1), (40, 0, 0.1)).frames_per_second == 40 / RATE_WINDOW_S


def test_between_windows_nothing_changes_but_the_fullest_is_kept():
    pace = Pace(0.0)
    pace.note(RATE_WINDOW_S / 4, 5, 0, 1.0)
    assert (pace.frames_per_second, pace.queue_was_full) == (0, False)
    pace.note(RATE_WINDOW_S, 10, 0, 0.2)
    assert pace.queue_was_full


@pytest.mark.parametrize(
    ("windows", "share", "is_full"),
    [
        ([(12, 88, 1.0)], 0.88, True),
        ([(12, 88, 0.2)], 0.88, False),
        ([(100, 0, 1.0)], 0.0, True),
        ([(100, None, 1.0)], 0.0, True),
        ([(0, 0, 0.0)], 0.0, False),
        ([(100, 100, 1.0)] + [(100, 0, 0.1)] * (LOSS_WINDOWS - 1), 1 / 7, True),
        ([(100, 100, 1.0)] + [(100, 0, 0.1)] * (LOSS_WINDOWS + 1), 0.0, False),
    ],
    ids=["disk", "camera", "none", "unknown", "nothing", "a moment ago", "long ago"],
)
def test_losses_are_those_of_late(windows, share, is_full):
    pace = pace_of(*windows)
    assert pace.lost_share == pytest.approx(share)
    assert pace.queue_was_full is is_full


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        (
            {"lost_share": 0.883, "queue_was_full": True},
            "The disk is too slow: 88 % of frames are lost.",
        ),
        (
            {"lost_share": 0.002, "queue_was_full": True},
            "The disk is too slow: less than 1 % of frames are lost.",
        ),
        ({"lost_share": 0.25}, "25 % of frames are lost before they come here"),
        ({"silent_s": 7.0}, "No frame for 7 s: is the camera connected"),
        (
            {"silent_s": 7.0, "queue_fill": 1.0},
            "Nothing could be written for 7 s: is the disk still connected?",
        ),
    ],
    ids=["well", "disk", "a little", "camera", "silent", "stalled"],
)
def test_what_somebody_should_do_now(changes, words):
    well = RecordingStatus(RecordingState.RUNNING)
    said = warning_in_words([well, RecordingStatus(RecordingState.RUNNING, **changes)])
    assert said.startswith(words)
    assert bool(said) == bool(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "0 frames acquired, 0 committed, 0 lost"),
        (
            {"frames_acquired": 1, "frames_committed": 1},
            "1 frame acquired, 1 committed, 0 lost",
        ),
        (
            {"frames_acquired": 4800, "counted": "plane", "frames_lost": None},
            "4,800 planes acquired, 0 committed, lost unknown",
        ),
        (
            {"frames_incomplete": 2, "frames_untimed": 1},
            "0 frames acquired, 0 committed, 0 lost, 2 incomplete, 1 without camera "
            "time",
        ),
    ],
    ids=["none", "one", "planes", "amiss"],
)
def test_what_came_of_it(changes, words):
    assert totals_in_words(RecordingStatus(RecordingState.ARMED, **changes)) == words


@pytest.mark.parametrize(
    ("name", "changes", "first"),
    [
        (
            "recording_0002.zarr",
            {"frames_committed": 480},
            "Saved recording_0002.zarr, 480 frames, 0 lost",
        ),
        (
            "a.zarr",
            {"frames_committed": 1, "frames_lost": None},
            "Saved a.zarr, 1 frame, lost unknown",
        ),
        (
            "a.zarr",
            {"frames_committed": 24, "counted": "plane", "frames_incomplete": 2},
            "Saved a.zarr, 24 planes, 0 lost, 2 incomplete",
        ),
        (
            "cells of the second day, left dish_0012.zarr",
            {"frames_committed": 9},
            "Saved cells of th…sh_0012.zarr, 9 frames, 0 lost",
        ),
    ],
    ids=["frames", "lost unknown", "planes, amiss", "a long name"],
)
def test_what_was_saved_begins_with_what_matters(tmp_path, name, changes, first):
    status = RecordingStatus(
        RecordingState.ARMED, path=tmp_path / name, frames_acquired=500, **changes
    )
    said = saved_in_words(status)
    assert said.splitlines()[0] == first
    assert said.endswith(f"Saved in {tmp_path / name}")
    assert totals_in_words(status) in said


@pytest.mark.parametrize(
    ("rate", "said"),
    [
        (0.0, "0 frames/s"),
        (0.05, "0.05 frames/s"),
        (5.0958, "5.1 frames/s"),
        (59.94, "59.9 frames/s"),
        (99.6, "100 frames/s"),
        (5000.4, "5,000 frames/s"),
    ],
)
def test_rates_as_people_read_them(rate, said):
    assert rate_in_words(rate, "frame") == said
