"""Simulated cameras: their clock, their losses, their pictures.

The clock is real and the machine may be busy: what must always hold is asserted, never
that something was quick.
"""

import itertools
import threading
import time

import numpy as np
import pytest
from camera_contract import CameraContract

from napari_zarr_stream.cameras import (
    CameraError,
    CameraLost,
    Fault,
    SimulatedCamera,
    read_stamp,
)

PATTERNS = ["cells", "uniform random", "radial sine", "empty"]
BIT_DEPTHS = {
    "uint8": 8,
    "uint16 (12 bit)": 12,
    "uint16 (14 bit)": 14,
    "uint16 (16 bit)": 16,
}


def running(pattern="empty", **options):
    options = {"width": 16, "height": 16, "frame_rate": 1000} | options
    camera = SimulatedCamera(pattern, **options)
    camera.open()
    camera.start()
    return camera


def read(camera, timeout_s=5.0):
    """Return one frame and its info, with the invariants of every read checked."""
    frame = np.zeros(camera.shape, camera.dtype)
    before = camera.stats
    info = camera.read_into(frame, timeout_s)
    assert info is not None
    after = camera.stats
    assert info.index == before.delivered == after.delivered - 1
    assert info.lost_before == after.lost - before.lost >= 0
    assert after.delivered + after.lost == info.device_index + 1
    return frame, info


def read_ids(camera, count):
    return [read(camera)[1].device_index for _ in range(count)]


class TestContract(CameraContract, has=("region", "pixel_type")):
    @pytest.fixture(params=PATTERNS)
    def make(self, request):
        return lambda: SimulatedCamera(request.param, width=64, height=48)


# the clock and the ring


def test_frames_come_in_real_time():
    start = time.perf_counter()
    camera = running(frame_rate=200)
    infos = [read(camera)[1] for _ in range(40)]
    elapsed_s = time.perf_counter() - start
    # none before it is due
    assert elapsed_s >= (infos[-1].device_index + 1) / 200
    for info in infos:
        assert info.device_time_ns == round((info.device_index + 1) / 200 * 1e9)
    for one, next_one in itertools.pairwise(infos):
        assert next_one.device_index - one.device_index == next_one.lost_before + 1
        assert next_one.host_time_ns >= one.host_time_ns


@pytest.mark.parametrize(("frame_rate", "ring"), [(400, 200), (2000, 1000), (4, 2)])
def test_slow_reader_loses_exactly_what_the_ring_cannot_hold(frame_rate, ring):
    earliest = time.perf_counter()
    camera = running(frame_rate=frame_rate)
    latest = time.perf_counter()
    time.sleep(0.8)
    at_least = int((time.perf_counter() - latest) * frame_rate)
    _, info = read(camera)
    at_most = int((time.perf_counter() - earliest) * frame_rate)
    assert at_least - ring <= info.device_index <= at_most - ring
    assert camera.stats.lost == info.lost_before == info.device_index > 0
    assert read(camera)[1].device_index > info.device_index


def test_reader_slower_than_the_camera_for_a_while():
    camera = running(frame_rate=2000, stamp=True)
    ids = []
    for number in range(40):
        if number == 20:
            time.sleep(0.6)
        frame, info = read(camera)
        assert read_stamp(frame) == info.device_index
        ids.append(info.device_index)
    assert all(one < next_one for one, next_one in itertools.pairwise(ids))
    assert camera.stats.lost > 0
    assert camera.stats.delivered == 40


def test_follows_5000_frames_a_second():
    camera = running("cells", width=64, height=64, frame_rate=5000)
    frame = np.empty(camera.shape, camera.dtype)
    deadline = time.perf_counter() + 0.8
    while time.perf_counter() < deadline:
        info = camera.read_into(frame, 0.2)
        assert info is not None
    # it kept up, or it says what it missed
    assert camera.stats.delivered + camera.stats.lost == info.device_index + 1
    assert camera.stats.delivered > 0.5 * info.device_index


def test_a_region_shows_the_part_that_lies_there():
    camera = running("radial sine", width=200, height=160, pixel_type="uint8")
    whole, info = read(camera)
    camera.stop()
    region = {"width": 90, "height": 50, "offset_x": 70, "offset_y": 30}
    for name, value in region.items():
        assert camera.set(name, value) == value
    camera.start()
    part, part_info = read(camera)
    assert part_info.device_index == info.device_index
    assert np.array_equal(part, whole[30:80, 70:160])
    camera.stop()
    assert camera.set("offset_x", 8192) == 8192 - 90
    assert camera.set("width", 200) == 90


def test_timeout_returns_none_and_changes_nothing():
    camera = running(frame_rate=1)
    frame = np.full(camera.shape, 7, camera.dtype)
    start = time.perf_counter()
    assert camera.read_into(frame, 0.05) is None
    assert camera.read_into(frame, 0) is None
    assert time.perf_counter() - start >= 0.05
    assert (frame == 7).all()
    assert camera.stats.delivered == camera.stats.lost == 0


def test_no_thread_is_started():
    before = set(threading.enumerate())
    camera = running("cells")
    read(camera)
    assert set(threading.enumerate()) <= before


# life cycle


def test_start_counts_anew_every_time():
    camera = running(frame_rate=2000)
    for _ in range(3):
        ids = read_ids(camera, 5)
        assert camera.stats.delivered == 5
        assert ids[0] == camera.stats.lost - sum(
            next_one - one - 1 for one, next_one in itertools.pairwise(ids)
        )
        camera.stop()
        camera.stop()
        camera.start()
        assert (camera.stats.delivered, camera.stats.lost) == (0, 0)


def test_calls_out_of_order_are_refused():
    camera = SimulatedCamera(width=8, height=8)
    frame = np.empty(camera.shape, camera.dtype)
    with pytest.raises(CameraError, match="open"):
        camera.start()
    camera.open()
    with pytest.raises(CameraError, match="start"):
        camera.read_into(frame, 0.1)
    camera.start()
    with pytest.raises(CameraError, match="stop"):
        camera.start()
    camera.close()
    camera.close()
    with pytest.raises(CameraError, match="start"):
        camera.read_into(frame, 0.1)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((16, 17), "u2"), ((16, 16), "u1"), ((1, 16, 16), "u2")]
)
def test_array_that_does_not_fit_is_refused(shape, dtype):
    camera = running()
    with pytest.raises(CameraError) as error:
        camera.read_into(np.empty(shape, dtype), 0.1)
    for part in ("(16, 16)", "uint16", str(shape), str(np.dtype(dtype))):
        assert part in str(error.value)


# faults


def test_gap():
    camera = running(faults=[Fault(3, "gap", count=4), Fault(10, "gap")])
    infos = [read(camera)[1] for _ in range(10)]
    ids = [info.device_index for info in infos]
    assert not {3, 4, 5, 6, 10} & set(ids)
    assert camera.stats.lost >= 5
    assert camera.stats.lost == sum(info.lost_before for info in infos)


def test_gaps_that_touch():
    camera = running(faults=[Fault(2, "gap", count=2), Fault(4, "gap", count=3)])
    assert not set(range(2, 7)) & set(read_ids(camera, 5))


def test_gap_at_the_first_frame():
    camera = running(frame_rate=50, faults=[Fault(0, "gap", count=2)])
    assert read(camera)[1].device_index >= 2


def test_stall_pauses_the_clock_and_loses_nothing():
    # a ring of 50 frames, and only 20 read: a busy machine may be away for 0.3 s
    start = time.perf_counter()
    camera = running(frame_rate=100, faults=[Fault(10, "stall", seconds=0.4)])
    infos = [read(camera)[1] for _ in range(20)]
    assert [info.device_index for info in infos] == list(range(20))
    assert time.perf_counter() - start >= 20 / 100 + 0.4
    waits_s = np.diff([info.device_time_ns for info in infos]) / 1e9
    assert np.flatnonzero(waits_s > 0.2).tolist() == [9]
    assert waits_s[9] == pytest.approx(0.41)


def test_stall_shows_as_timeouts():
    camera = running(faults=[Fault(0, "stall", seconds=60)])
    frame = np.empty(camera.shape, camera.dtype)
    assert camera.read_into(frame, 0.05) is None


def test_unplug_comes_after_the_frames_that_were_taken():
    camera = running(frame_rate=100, faults=[Fault(8, "unplug")])
    time.sleep(0.3)  # all are in the ring, and stay there
    assert read_ids(camera, 8) == list(range(8))
    frame = np.empty(camera.shape, camera.dtype)
    for _ in range(2):
        with pytest.raises(CameraLost, match="8"):
            camera.read_into(frame, 0.2)
    camera.close()


# settings


def test_defaults():
    camera = SimulatedCamera()
    assert camera.shape == (1024, 1024)
    assert (camera.dtype, camera.bit_depth) == (np.dtype(np.uint16), 12)
    assert camera.frame_rate == 30
    assert {setting.name: setting.value for setting in camera.settings} == {
        "width": 1024,
        "height": 1024,
        "offset_x": 0,
        "offset_y": 0,
        "pixel_type": "uint16 (12 bit)",
        "frame_rate": 30.0,
        "exposure_ms": 10.0,
        "stamp": False,
    }


@pytest.mark.parametrize(
    ("name", "value", "in_force"),
    [
        ("width", 0, 1),
        ("width", 100_000, 8192),
        ("height", "48", 48),
        ("height", 48.9, 48),
        ("frame_rate", 1e9, 10_000.0),
        ("frame_rate", 0, 0.1),
        ("exposure_ms", 1000, pytest.approx(1000 / 30)),
        ("exposure_ms", 5, 5.0),
        ("pixel_type", "uint8", "uint8"),
        ("stamp", 1, True),
    ],
)
def test_set_returns_the_value_in_force(name, value, in_force):
    camera = SimulatedCamera()
    result = camera.set(name, value)
    assert result == camera.get(name) == in_force
    (setting,) = (each for each in camera.settings if each.name == name)
    assert setting.value == in_force
    assert type(result) is type(SimulatedCamera().get(name))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("gain", 1, "exposure_ms"),
        ("pixel_type", "float32", "uint16 \\(12 bit\\)"),
        ("width", "wide", "number"),
        ("stamp", "yes", "True"),
    ],
)
def test_what_makes_no_sense_is_refused(name, value, allowed):
    camera = SimulatedCamera()
    with pytest.raises(CameraError, match=allowed):
        camera.set(name, value)
    with pytest.raises(CameraError, match=allowed):
        SimulatedCamera(**{name: value})
    assert camera.settings == SimulatedCamera().settings


def test_unknown_names():
    with pytest.raises(CameraError, match="exposure_ms"):
        SimulatedCamera().get("gain")
    with pytest.raises(CameraError, match="radial sine"):
        SimulatedCamera("dogs")


def test_exposure_fits_the_frame_period():
    camera = SimulatedCamera(exposure_ms=80, frame_rate=10)
    assert camera.get("exposure_ms") == 80
    camera.set("frame_rate", 50)
    assert camera.get("exposure_ms") == 20


def test_locked_settings():
    camera = running()
    for setting in camera.settings:
        if setting.locked_while_running:
            with pytest.raises(CameraError, match=setting.name):
                camera.set(setting.name, setting.value)
    assert camera.set("exposure_ms", 0.5) == 0.5
    camera.stop()
    assert camera.set("width", 20) == 20
    camera.start()
    assert read(camera)[0].shape == (16, 20)


def test_exposure_while_running_changes_the_brightness():
    camera = running("cells", width=64, height=64, frame_rate=50, exposure_ms=20)
    bright = read(camera)[0].mean()
    camera.set("exposure_ms", 2)
    assert read(camera)[0].mean() < bright


# stamps


@pytest.mark.parametrize(
    ("pixel_type", "pixels"), [("uint8", 8), ("uint16 (12 bit)", 4)]
)
def test_stamp(pixel_type, pixels):
    camera = running(pixel_type=pixel_type, stamp=True, width=pixels, height=1)
    for _ in range(5):
        frame, info = read(camera)
        assert read_stamp(frame) == read_stamp(frame[np.newaxis]) == info.device_index
    camera.stop()
    with pytest.raises(CameraError, match=f"{pixels} uint"):
        camera.set("width", pixels - 1)
    with pytest.raises(CameraError, match="stamp"):
        SimulatedCamera(pixel_type=pixel_type, width=pixels - 1, stamp=True)


def test_stamp_layout():
    number = 0x0102030405060708
    as_bytes = np.frombuffer(number.to_bytes(8, "little"), "u1")
    assert read_stamp(as_bytes[np.newaxis]) == number
    assert read_stamp(as_bytes.view("<u2")[np.newaxis]) == number
    assert read_stamp(as_bytes.view("<u2").astype(">u2")[np.newaxis]) == number


# pictures


@pytest.mark.parametrize("pixel_type", BIT_DEPTHS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_pixels_are_in_range(pattern, pixel_type):
    camera = running(
        pattern, pixel_type=pixel_type, width=200, height=151, frame_rate=100
    )
    white = 2 ** BIT_DEPTHS[pixel_type] - 1
    assert camera.bit_depth == BIT_DEPTHS[pixel_type]
    frames = np.stack([read(camera)[0] for _ in range(3)])
    assert frames.max() <= white
    if pattern == "empty":
        assert not frames.any()
    else:
        assert frames.max() > 0.1 * white
        assert frames.std() > 0


@pytest.mark.parametrize("pixel_type", ["uint8", "uint16 (12 bit)"])
def test_long_exposure_saturates_and_does_not_overflow(pixel_type):
    camera = running(
        "cells",
        pixel_type=pixel_type,
        width=300,
        height=300,
        frame_rate=1,
        exposure_ms=150,
    )
    draw = camera._prepared()
    frame = np.empty(camera.shape, camera.dtype)
    background = 0.2 * camera._sensor.white
    for time_s in range(0, 400, 20):
        draw(frame, time_s)
        assert frame.max() == camera._sensor.white
        assert frame.min() > background


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (7, 3), (33, 8192), (2100, 64)])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_any_shape_is_filled(pattern, shape):
    camera = running(pattern, height=shape[0], width=shape[1], pixel_type="uint8")
    draw = camera._prepared()
    one, other = np.zeros((2, *shape), np.uint8)
    other.fill(255)
    for frame in (one, other):
        camera._picture = None
        camera._prepared()(frame, 1.0)
    np.testing.assert_array_equal(one, other)
    draw(one[::-1], 1.0)  # any strides


def picture(camera, time_s):
    frame = np.empty(camera.shape, camera.dtype)
    camera._prepared()(frame, time_s)
    return frame.astype(float)


def test_cells_move_and_do_not_repeat():
    camera = SimulatedCamera("cells", width=512, height=512)
    smooth = [
        picture(camera, time_s).reshape(64, 8, 64, 8).mean((1, 3))
        for time_s in (0.0, 0.03, 4.0, 8.0, 60.0, 600.0)
    ]
    assert np.abs(smooth[0] - smooth[1]).max() < 0.2 * np.ptp(smooth[0])
    for one, other in itertools.combinations([smooth[0], *smooth[2:]], 2):
        assert np.abs(one - other).max() > 0.3 * np.ptp(one)


def test_cells_have_shot_noise():
    """The variance of a pixel grows with its mean, by the gain."""
    camera = SimulatedCamera(
        "cells", width=256, height=256, pixel_type="uint16 (16 bit)"
    )
    # frames so close in time that nothing moves
    frames = np.stack([picture(camera, 1.0 + n * 1e-6) for n in range(60)])
    mean, variance = frames.mean(0), frames.var(0)
    order = np.argsort(mean, axis=None)
    dark, bright = order[: order.size // 2], order[-order.size // 50 :]
    slope = (variance.flat[bright].mean() - variance.flat[dark].mean()) / (
        mean.flat[bright].mean() - mean.flat[dark].mean()
    )
    assert slope == pytest.approx(65535 / 8000, rel=0.4)
    # camera-like: nothing black, nothing saturated
    assert frames.min() > 0.01 * 65535
    assert frames.max() < 65535


def test_cells_of_a_frame_larger_than_a_tile_stay_in_place():
    camera = SimulatedCamera("cells", width=3000, height=64)
    one, other = (
        picture(camera, time_s).reshape(8, 8, 375, 8).mean((1, 3))
        for time_s in (1.0, 1.0)
    )
    assert np.abs(one - other).max() < 0.2 * np.ptp(one)


def test_uniform_random_is_uniform_and_always_new():
    camera = SimulatedCamera("uniform random", width=256, height=256)
    one, other = picture(camera, 0.0), picture(camera, 0.1)
    assert (one == other).mean() < 0.01
    counts = np.histogram(one, bins=16, range=(0, 4096))[0]
    assert counts.min() > 0.9 * one.size / 16


@pytest.mark.parametrize("shape", [(100, 120), (101, 121)])
def test_radial_sine_is_symmetric_and_runs_outwards(shape):
    camera = SimulatedCamera("radial sine", height=shape[0], width=shape[1])
    now, soon = picture(camera, 0.3), picture(camera, 0.4)
    np.testing.assert_array_equal(now, now[::-1])
    np.testing.assert_array_equal(now, now[:, ::-1])
    row = now[shape[0] // 2, shape[1] // 2 :]
    shifts = [
        np.abs(
            row[: -shift or None] - soon[shape[0] // 2, shape[1] // 2 :][shift:]
        ).mean()
        for shift in range(5)
    ]
    assert np.argmin(shifts) in (1, 2)  # a ring of 100 / 12 px a second: 0.8 px
