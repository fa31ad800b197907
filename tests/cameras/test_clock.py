"""Times of frames by the clock of their camera, whenever they were read."""

import numpy as np
import pytest

from napari_zarr_stream.cameras import FrameInfo
from napari_zarr_stream.cameras import clock as clock_module
from napari_zarr_stream.cameras.clock import DRIFT, CameraClock

MS = 10**6
START = 1_700_000_000_000 * MS


@pytest.fixture(autouse=True)
def start(monkeypatch):
    monkeypatch.setattr(clock_module, "host_time_ns", lambda: START)


def seen(came_ms, delays_ms, device_ms=None):
    """Show frames to a clock; return it, what was said of each, and when they came."""
    came = np.asarray(came_ms, float)
    device = came if device_ms is None else np.asarray(device_ms, float)
    clock, infos = CameraClock(), []
    for index, (at, delay) in enumerate(zip(came, delays_ms, strict=True)):
        read_ns = START + round((at + delay) * MS)
        info = FrameInfo(index, index, round(device[index] * MS), read_ns)
        clock.see(info)
        infos.append(info)
    times_ms = [(clock.host_time_ns(info) - START) / MS for info in infos]
    return clock, np.array(times_ms), came


def test_a_burst_has_the_times_at_which_it_came():
    """30 frames waited in a ring for 0.3 s and were read within 3 ms."""
    came = np.arange(60) * 10.0
    delays = np.maximum(300 - came + 0.1 * np.arange(60), 0.2)
    _, times, came = seen(came, delays)
    np.testing.assert_allclose(times, came + 0.2, atol=0.1)


def test_a_pause_of_the_reader_moves_no_frame():
    came = np.arange(1000) * 10.0
    delays = np.where((came > 3000) & (came < 5000), 5000 - came, 0.5)
    _, times, _ = seen(came, delays)
    np.testing.assert_allclose(times, came + 0.5, atol=2000 * DRIFT + 0.01)


@pytest.mark.parametrize("ppm", [-100, 100])
def test_clocks_that_part_are_followed(ppm):
    """A day at 0.01 % is 8.6 s."""
    came = np.arange(86_400) * 1000.0
    delays = np.random.default_rng(1).exponential(5, came.size)
    device = came * (1 + ppm * 1e-6)
    clock, errors_ms = CameraClock(), []
    for index, (at, delay) in enumerate(zip(came, delays, strict=True)):
        read_ns = START + round((at + delay) * MS)
        info = FrameInfo(index, index, round(device[index] * MS), read_ns)
        clock.see(info)
        errors_ms.append((clock.host_time_ns(info) - START) / MS - at)
    assert clock.is_believed
    assert min(errors_ms) >= 0
    assert max(errors_ms[100:]) < 10


def test_no_frame_is_later_than_it_was_read():
    came = np.arange(500) * 5.0
    delays = np.random.default_rng(2).exponential(30, 500).cumsum() % 97
    delays = np.maximum.accumulate(came + delays) - came  # read one after another
    _, times, _ = seen(came, delays)
    assert (times <= came + delays + 1e-3).all()
    assert (np.diff(times) > 4.9).all()


@pytest.mark.parametrize("rate", [1e-3, 0.1, 40.0, 1000.0])
def test_a_clock_that_keeps_no_time_leaves_the_time_of_reading(rate):
    came = np.arange(4000) * 10.0
    clock, times, _ = seen(came, np.full(4000, 1.0), came * rate)
    assert not clock.is_believed
    np.testing.assert_allclose(times, came + 1, atol=0.01)


def test_a_clock_that_begins_anew():
    came = np.arange(1000) * 10.0
    device = np.where(came < 5000, came + 9000, came - 5000)
    clock, _, _ = seen(came, np.full(1000, 1.0), device)
    info = FrameInfo(1000, 1000, 5000 * MS, START + 10_050 * MS)  # read 50 ms late
    clock.see(info)
    assert clock.host_time_ns(info) == pytest.approx(START + 10_001 * MS, abs=2 * MS)


def test_without_a_clock_it_is_the_time_of_reading():
    clock = CameraClock()
    info = FrameInfo(0, None, None, START)
    clock.see(info)
    assert clock.host_time_ns(info) == START
