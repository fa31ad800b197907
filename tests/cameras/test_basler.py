"""Basler cameras against pylon's own emulator, which is in its wheel."""

import time
from contextlib import ExitStack, closing, contextmanager

import numpy as np
import pytest
import tifffile
from camera_contract import CameraContract, infos_of, read, setting_of
from programs import run_python

from napari_zarr_stream.cameras import CameraError, CameraLost
from napari_zarr_stream.cameras.basler import BaslerCamera, find

pytest.importorskip("pypylon")


@pytest.fixture(autouse=True)
def emulator(monkeypatch):
    monkeypatch.setenv("PYLON_CAMEMU", "2")


class SmallCamera(BaslerCamera):
    """With small frames at a moderate rate, without which the emulator fails."""

    def open(self):
        super().open()
        for name, value in {
            "width": 64,
            "height": 48,
            "exposure_ms": 1,
            "frame_rate": 100,
        }.items():
            self.set(name, value)


def small(number=0):
    return SmallCamera(*[*find().values()][number].args)


@contextmanager
def emulated(number=0):
    with closing(small(number)) as camera:
        camera.open()
        yield camera


class TestContract(CameraContract, has=("region", "pixel_type", "binning")):
    @pytest.fixture
    def make(self):
        return small


def test_find(monkeypatch):
    assert [*find()] == ["Basler: Emulation 0815-0000", "Basler: Emulation 0815-0001"]
    monkeypatch.setenv("PYLON_CAMEMU", "0")
    assert not find()


# pixels


def as_files(directory, frames):
    for number, frame in enumerate(frames):
        tifffile.imwrite(directory / f"{number:03}.tif", frame)


@pytest.mark.parametrize(
    ("pixel_type", "dtype", "bit_depth"),
    [("Mono8", "u1", 8), ("Mono16", "u2", 16), ("RGB8Packed", "u1", 8)],
)
def test_frames_of_files_come_as_they_are(tmp_path, pixel_type, dtype, bit_depth):
    colours = (3,) if pixel_type.startswith("RGB") else ()
    numbers = np.random.default_rng(1)
    shape = (5, 48, 64, *colours)
    files = numbers.integers(0, 2**bit_depth, shape).astype(dtype)
    as_files(tmp_path, files)
    with emulated() as camera:
        camera.set("pixel_type", pixel_type)
        device = camera._device
        device.TestImageSelector.Value = "Off"
        device.ImageFilename.Value = str(tmp_path)
        device.ImageFileMode.Value = "On"
        assert (camera.dtype, camera.bit_depth) == (np.dtype(dtype), bit_depth)
        camera.start()
        frames = [read(camera)[0] for _ in range(12)]
    for number, frame in enumerate(frames):
        wanted = files[number % 5]
        if colours:
            wanted = wanted.transpose(2, 0, 1)
        np.testing.assert_array_equal(frame, wanted)


def test_blue_first_is_put_in_order(tmp_path):
    rgb = np.random.default_rng(1).integers(0, 256, (48, 64, 3)).astype("u1")
    as_files(tmp_path, [rgb])
    with emulated() as camera:
        camera.set("pixel_type", "BGR8Packed")
        device = camera._device
        device.TestImageSelector.Value = "Off"
        device.ImageFilename.Value = str(tmp_path)
        device.ImageFileMode.Value = "On"
        camera.start()
        np.testing.assert_array_equal(read(camera)[0], rgb.transpose(2, 0, 1))


def test_a_mosaic_is_said_to_be_one():
    with emulated() as camera:
        assert "mosaic" not in camera.info
        camera.set("pixel_type", "BayerRG12")
        assert "RG" in camera.info["mosaic"]
        assert (camera.shape, camera.bit_depth) == ((48, 64), 12)


# lost frames, and cameras that are gone


def test_failed_buffers_are_lost_frames():
    with emulated() as camera:
        camera.start()
        infos_of(camera, 3)
        camera._device.ForceFailedBufferCount.Value = 5
        camera._device.ForceFailedBuffer.Execute()
        infos = infos_of(camera, 20)
        assert camera.stats.lost == sum(info.lost_before for info in infos) == 5
        assert camera.stats.delivered == 23
        assert camera.stats.incomplete == 0
        assert all(info.complete for info in infos)
        assert infos[-1].device_index == 27


def test_failed_buffers_at_the_end_are_lost_as_well():
    with emulated() as camera:
        camera.start()
        infos_of(camera, 3)
        camera._device.ForceFailedBufferCount.Value = 1000
        camera._device.ForceFailedBuffer.Execute()
        out = np.empty(camera.shape, camera.dtype)
        end = time.perf_counter() + 0.5
        while time.perf_counter() < end:
            camera.read_into(out, 0.1)
        camera.stop()
        assert camera.stats.lost > 10


def test_a_slow_reader_loses_nothing():
    """The emulator waits for a free buffer, and its numbers show no gap."""
    with emulated() as camera:
        camera.start()
        infos_of(camera, 2)
        time.sleep(1.0)
        infos = infos_of(camera, 120)
        assert [info.device_index for info in infos] == list(range(2, 122))
        assert camera.stats.lost == 0


def test_unplugged():
    with emulated() as camera:
        camera.start()
        infos_of(camera, 3)
        camera._device.FirePnPCallback.Execute()
        with pytest.raises(CameraLost, match="unplugged"):
            infos_of(camera, 1000)
        out = np.empty(camera.shape, camera.dtype)
        with pytest.raises(CameraLost):  # and stays so
            camera.read_into(out, 0.2)
        with pytest.raises(CameraError, match="removed"):
            camera.set("exposure_ms", 2)
        camera.stop()
        camera.close()
        camera.open()  # plugged in again
        camera.start()
        infos_of(camera, 3)


def test_no_frame_is_not_a_camera_that_is_gone():
    with emulated() as camera:
        camera.set("trigger", "On")
        assert camera.frame_rate is None
        camera.start()
        out, start = np.empty(camera.shape, camera.dtype), time.perf_counter()
        assert camera.read_into(out, 0.2) is None
        assert time.perf_counter() - start > 0.15  # it was waited for
        camera._device.TriggerSoftware.Execute()
        assert read(camera)[1].index == 0


def test_two_cameras_at_once():
    with ExitStack() as stack:
        cameras = [stack.enter_context(emulated(number)) for number in (0, 1)]
        cameras[1].set("width", 32)
        for camera in cameras:
            camera.start()
        for _ in range(30):
            assert [read(camera)[0].shape for camera in cameras] == [(48, 64), (48, 32)]
        assert [camera.stats.lost for camera in cameras] == [0, 0]


# settings


def test_settings_of_the_device():
    with emulated() as camera:
        assert camera.info["model"] == "Emulation"
        gain = setting_of(camera, "gain")
        assert (gain.minimum, gain.unit) == (0, "dB")
        assert not gain.locked_while_running
        assert camera.frame_rate == 100
        assert camera.set("exposure_ms", 100) == 100
        assert camera.frame_rate <= 10
        before = setting_of(camera, "offset_x").maximum
        camera.set("width", 1024)
        assert setting_of(camera, "offset_x").maximum == before + 64 - 1024
        assert camera.set("binning", 2) == 2
        assert camera._device.BinningVertical.Value == 2


# the end of a program


def test_a_program_that_forgets_to_close_exits_with_0():
    script = """
import numpy as np
from napari_zarr_stream.cameras.basler import BaslerCamera, find
camera = next(iter(find().values()))()
camera.open()
camera.set("width", 64), camera.set("height", 48), camera.set("frame_rate", 100)
camera.start()
out = np.empty(camera.shape, camera.dtype)
while camera.stats.delivered < 5:
    camera.read_into(out, 0.2)
print(camera.stats.delivered)
"""
    done = run_python(script, options=["-W", "error"], PYLON_CAMEMU="1")
    assert done.stdout.strip() == "5"
