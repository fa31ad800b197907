"""Times of the host: of one counter, whatever steps the date takes."""

import time

import numpy as np
import pytest

from napari_zarr_stream.cameras import SimulatedCamera, host_clock
from napari_zarr_stream.cameras.clock import CameraClock
from napari_zarr_stream.cameras.host_clock import follow_date, host_time_ns

STEP_NS = 15_625_000
"""Of Windows' date, up to Python 3.12."""


@pytest.fixture
def coarse(monkeypatch):
    """A date that moves 64 times a second."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() // STEP_NS * STEP_NS)
    monkeypatch.setattr(host_clock, "_anchor_ns", 0)
    follow_date()
    return real


def test_times_have_finer_steps_than_the_date(coarse):
    times = [host_time_ns() for _ in range(1000)]
    assert len({*times}) > 100, "a burst of frames has times of its own"
    assert (np.diff(times) >= 0).all()
    assert abs(coarse() - host_time_ns()) < 2 * STEP_NS


def test_frames_of_a_burst_have_times_of_their_own(coarse):
    camera = SimulatedCamera()
    camera.open()
    camera.set("frame_rate", 1000.0)
    camera.start()
    out = np.empty(camera.shape, camera.dtype)
    infos = [camera.read_into(out, 5) for _ in range(8)]
    camera.stop()
    camera.close()
    times = [info.host_time_ns for info in infos]
    assert len({*times}) == 8


@pytest.mark.parametrize(
    ("set_s", "follows"),
    [(0.001, False), (-0.001, False), (1, True), (-1, True), (3600, True)],
)
def test_a_date_that_was_set_is_followed_by_the_next_run(monkeypatch, set_s, follows):
    real, before = time.time_ns, host_clock._anchor_ns
    monkeypatch.setattr(host_clock, "_anchor_ns", before)
    monkeypatch.setattr(time, "time_ns", lambda: real() + round(set_s * 1e9))
    during = host_time_ns()
    assert 0 <= host_time_ns() - during < 0.5e9, "not in the middle of a run"
    CameraClock()  # made as a run begins
    assert (abs(host_time_ns() - during) > 0.5e9) == follows
