"""GenICam cameras against the fakes of viva-genicam, and against the one of Aravis.

All listen on the one port that GigE Vision has: one at a time on a computer.
"""

import os
import shutil
import signal
import subprocess
import time
from contextlib import closing, contextmanager
from functools import partial

import numpy as np
import pytest
from camera_contract import CameraContract, infos_of, read, setting_of
from emulators import gige, gige_port

from napari_zarr_stream.cameras import CameraError, CameraLost
from napari_zarr_stream.cameras.frame_numbers import GIGE_PERIOD
from napari_zarr_stream.cameras.genicam import GenICamCamera, find

viva_genicam = pytest.importorskip("viva_genicam")
from viva_genicam.testing import FakeGigeCamera, FakeU3vCamera  # noqa: E402

ARAVIS = "arv-fake-gv-camera-0.8"


@pytest.fixture(autouse=True)
def port():
    with gige_port():
        yield


@contextmanager
def running(camera):
    with closing(camera):
        camera.open()
        camera.start()
        yield camera


def read_until_it_is_lost(camera):
    with pytest.raises(CameraLost, match="gone"):
        infos_of(camera, 1000)


class TestGigeContract(CameraContract, has=("region", "pixel_type", "binning")):
    @pytest.fixture
    def make(self):
        with FakeGigeCamera(64, 48, fps=100, pixel_format="Mono16") as fake:
            yield partial(gige, fake)


class TestU3vContract(CameraContract, has=("pixel_type",)):
    @pytest.fixture
    def make(self):
        fake = FakeU3vCamera(64, 48, "Mono12p")
        return partial(GenICamCamera, fake.connect, {"name": "GenICam: fake"})


# lost and incomplete frames


@contextmanager
def gige_running(resend, drop):
    options = {"packet_resend": resend, "drop_packets": drop}
    with (
        FakeGigeCamera(640, 480, fps=60, pixel_format="Mono16", **options) as fake,
        running(gige(fake)) as camera,
    ):
        yield camera


def test_dropped_packets_without_resend_are_incomplete_frames():
    with gige_running(False, [(5, 3), (8, 2)]) as camera:
        infos = infos_of(camera, 12)
        assert [info.index for info in infos if not info.complete] == [4, 7]
        assert camera.stats.incomplete == 2
        assert camera.stats.lost == 0
        assert [info.device_index for info in infos] == list(range(12))


def test_dropped_packets_with_resend_are_whole_frames():
    with gige_running(True, [(5, 3), (8, 2)]) as camera:
        infos = infos_of(camera, 12)
        assert all(info.complete for info in infos)
        assert (camera.stats.incomplete, camera.stats.lost) == (0, 0)


def test_missing_pixels_are_zero_and_others_right():
    with gige_running(False, [(3, 100)]) as camera:
        first, second, damaged = (read(camera)[0].view("u1").ravel() for _ in range(3))
        whole = second + (second - first)  # the fake's picture moves on evenly
        wrong = np.flatnonzero(damaged != whole)
        assert 0 < np.ptp(wrong) < 9000  # one packet
        assert not damaged[wrong].any()


def test_a_slow_reader_loses_frames_and_they_are_counted():
    with (
        FakeGigeCamera(64, 48, fps=100, pixel_format="Mono16") as fake,
        running(gige(fake)) as camera,
    ):
        infos_of(camera, 2)
        time.sleep(1.5)
        infos = infos_of(camera, 40)
        assert camera.stats.lost == sum(info.lost_before for info in infos) > 50
        sent = fake.blocks_sent()
        seen = infos[-1].device_index + 1
        assert camera.stats.delivered + camera.stats.lost == seen <= sent


def test_frames_that_do_not_fit_are_lost_and_end_nothing():
    """Frames of another size come, as damaged ones may, from a camera that was told."""
    with (
        FakeGigeCamera(64, 48, fps=50, pixel_format="Mono16") as fake,
        running(gige(fake)) as camera,
    ):
        infos_of(camera, 2)
        width = FakeGigeCamera.REGISTERS["Width"]
        camera._device.write_register(width, (32).to_bytes(4))
        out = np.empty(camera.shape, camera.dtype)
        deadline = time.perf_counter() + 5
        while camera.stats.lost < 5 and time.perf_counter() < deadline:
            camera.read_into(out, 0.05)
        lost = camera.stats.lost
        assert lost >= 5
        camera._device.write_register(width, (64).to_bytes(4))
        _, info = read(camera)
        assert info.lost_before >= lost
        assert info.device_index == camera.stats.delivered + camera.stats.lost - 1


# a camera that is gone, or no longer ours


def test_no_frame_is_not_a_camera_that_is_gone():
    """A camera that waits for a trigger sends nothing, and answers."""
    with (
        FakeGigeCamera(64, 48, fps=50) as fake,
        closing(gige(fake)) as camera,
    ):
        camera.open()
        camera.set("trigger", "On")
        camera.set("trigger_source", "Software")
        assert camera.frame_rate is None
        camera.start()
        out = np.empty(camera.shape, camera.dtype)
        end = time.perf_counter() + 1.6  # longer than a silence is borne
        while time.perf_counter() < end:
            assert camera.read_into(out, 0.2) is None
        assert camera.stats.lost == 0
        camera._device.trigger_software()
        assert read(camera)[1].index == 0


def test_a_camera_that_vanishes_is_lost():
    fake = FakeGigeCamera(64, 48, fps=50)
    fake.start()
    try:
        camera = gige(fake)
        with running(camera):
            infos_of(camera, 3)
            fake.stop()
            read_until_it_is_lost(camera)
            with pytest.raises(CameraLost):  # and stays so
                camera.read_into(np.empty(camera.shape, camera.dtype), 0.2)
            camera.stop()
    finally:
        fake.stop()


def test_control_that_was_taken_is_noticed_at_the_next_setting():
    with (
        FakeGigeCamera(64, 48, fps=50) as fake,
        running(gige(fake)) as camera,
    ):
        infos_of(camera, 2)
        fake.revoke_control()
        deadline = time.perf_counter() + 5
        while not camera._has_lost_control() and time.perf_counter() < deadline:
            read(camera)
        with pytest.raises(CameraError, match=r"gain.*control") as refused:
            camera.set("gain", 3.0)
        assert not isinstance(refused.value, CameraLost)
        assert [info.lost_before for info in infos_of(camera, 5)] == [0] * 5
        camera.stop()
        camera.start()  # takes control again
        assert camera.set("gain", 3.0) == 3.0
        read(camera)


def test_a_camera_in_use_is_not_opened():
    with FakeGigeCamera(64, 48) as fake, closing(gige(fake)) as one:
        one.open()
        other = gige(fake)
        with pytest.raises(CameraError, match=r"cannot be opened.*ACCESS_DENIED"):
            other.open()
        other.close()


# settings


def test_settings_of_the_device():
    with FakeGigeCamera(64, 48) as fake, closing(gige(fake)) as camera:
        camera.open()
        exposure = setting_of(camera, "exposure_ms")
        assert (exposure.minimum, exposure.maximum) == (0.01, 1000.0)
        assert (exposure.value, exposure.unit) == (5.0, "ms")
        assert not exposure.locked_while_running
        assert camera.set("exposure_ms", 12.5) == 12.5
        assert camera._device.get_float("ExposureTime") == 12500.0
        assert setting_of(camera, "width").locked_while_running
        assert setting_of(camera, "pixel_type").choices == ("Mono8", "Mono16")
        assert camera.set("binning", 2) == 2
        assert camera._device.binning() == (2, 2)
        camera.set("frame_rate", 40)
        assert camera.frame_rate == 40
        camera.set("exposure_ms", 100)
        assert camera.frame_rate == 10
        assert camera.info["serial"] == "VIVA-FAKE-001"


def test_what_is_automatic_says_how_to_change_it():
    with FakeGigeCamera(64, 48) as fake, closing(gige(fake)) as camera:
        camera.open()
        assert camera.set("exposure_auto", "Continuous") == "Continuous"
        with pytest.raises(CameraError, match="set exposure_auto to Off"):
            camera.set("exposure_ms", 2)
        camera.set("exposure_auto", "Off")
        assert camera.set("exposure_ms", 2) == 2


def test_times_are_those_of_the_camera():
    with (
        FakeGigeCamera(64, 48, fps=50) as fake,
        running(gige(fake)) as camera,
    ):
        before = time.perf_counter()
        infos = infos_of(camera, 10)
        took_s = (infos[-1].device_time_ns - infos[0].device_time_ns) / 1e9
        # It keeps its rate, and is late where the machine is busy.
        assert 9 / 50 * 0.5 < took_s < time.perf_counter() - before + 9 / 50


@pytest.mark.parametrize(
    ("pixel_format", "shape", "bit_depth"),
    [
        ("Mono16", (48, 64), 16),
        ("RGB8", (3, 48, 64), 8),
        ("BayerRG8", (48, 64), 8),
    ],
)
def test_pixel_formats(pixel_format, shape, bit_depth):
    with (
        FakeGigeCamera(64, 48, fps=50, pixel_format=pixel_format) as fake,
        running(gige(fake)) as camera,
    ):
        assert (camera.shape, camera.bit_depth) == (shape, bit_depth)
        frame, _ = read(camera)
        assert frame.shape == shape
        assert 0 < frame.max() < 2**bit_depth
        assert ("mosaic" in camera.info) == pixel_format.startswith("Bayer")


# the list of cameras


def test_find():
    with FakeGigeCamera(64, 48, fps=50):
        assert not [name for name in find() if "FakeGigE" in name]
        [(name, make)] = find(loopback=True).items()
        assert name == "GenICam: viva-genicam FakeGigE DE:AD:BE:EF:CA:FE"
        with running(make()) as camera:
            assert camera.info["name"] == name
            read(camera)


# Aravis: a camera that is not of the library's own making, in a process of its own


@contextmanager
def aravis(*options):
    if shutil.which(ARAVIS) is None:
        missing = f"{ARAVIS} is not installed: apt-get install aravis-tools"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    command = [ARAVIS, "-i", "127.0.0.1", "-s", "GV01", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **quiet) as process:
        try:
            deadline = time.perf_counter() + 10
            while not (found := find(loopback=True)):
                assert time.perf_counter() < deadline
                assert process.poll() is None
            [make] = found.values()
            with closing(make()) as camera:
                camera.open()
                yield camera, process
        finally:
            process.kill()


def test_aravis_frame_ids_of_16_bits_wrap():
    """It begins at 65401, and 1 follows 65535."""
    with aravis() as (camera, _):
        assert camera.info["vendor"] == "Aravis"
        camera.set("width", 64)
        camera.set("height", 48)
        assert camera.set("frame_rate", 200) == pytest.approx(200)
        camera.set("pixel_type", "Mono16")
        camera.start()
        ids = [info.device_index for info in infos_of(camera, 300)]
        # a busy machine loses some; a wrap that is taken for a gap, nearly a turn
        assert camera.stats.lost == ids[-1] + 1 - 300 < GIGE_PERIOD // 2
        assert ids == sorted(ids)


def test_aravis_with_packet_loss_goes_on():
    with aravis("-r", "20") as (camera, _):
        camera.set("pixel_type", "Mono16")
        camera.set("frame_rate", 50)
        camera.start()
        infos = infos_of(camera, 60)
        stats = camera.stats
        assert stats.incomplete == sum(not info.complete for info in infos)
        assert stats.lost == sum(info.lost_before for info in infos)
        assert stats.incomplete + stats.lost > 0
        assert stats.delivered == 60


def test_aravis_that_falls_silent_is_lost():
    """As with a cable that was pulled: nothing says that nobody is there."""
    with aravis() as (camera, process):
        camera.start()
        infos_of(camera, 3)
        process.send_signal(signal.SIGSTOP)
        try:
            read_until_it_is_lost(camera)
            camera.stop()  # does not wait for what nobody answers
        finally:
            process.send_signal(signal.SIGCONT)


def test_aravis_that_dies_is_lost():
    with aravis() as (camera, process):
        camera.start()
        infos_of(camera, 3)
        process.kill()
        read_until_it_is_lost(camera)
