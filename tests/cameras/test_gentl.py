"""GenTL cameras against Viky, a producer that is in the wheel of genicam.

Its three cameras play ping-pong, each in a colour of its own.
"""

import os
import time
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from camera_contract import CameraContract, infos_of, read, setting_of
from programs import run_python

from napari_zarr_stream.cameras import CameraError
from napari_zarr_stream.cameras.gentl import GenTLCamera, find

genicam = pytest.importorskip("genicam")
pytest.importorskip("harvesters")

VIKY = Path(genicam.__file__).with_name("viky.cti")
MAKER = "Machine Vision Games Ltd. Viky"


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setenv("GENICAM_GENTL64_PATH", os.pathsep.join(["", str(VIKY.parent)]))


def opened(stack, number=0, **settings):
    camera = stack.enter_context(closing(find()[f"GenTL: {MAKER} {number}"]()))
    camera.open()
    for name, value in settings.items():
        assert camera.set(name, value) == value
    return camera


class QuickCamera(GenTLCamera):
    def open(self):
        super().open()
        self.set("frame_rate", 200)


class TestContract(CameraContract, has=("pixel_type",)):
    @pytest.fixture
    def make(self):
        return partial(QuickCamera, *next(iter(find().values())).args)


class TestContractOfAnAddress(CameraContract, has=("pixel_type",)):
    @pytest.fixture
    def make(self):
        def made():
            camera = QuickCamera(*find()["GenTL: producer file"].args)
            assert camera.set("address", str(VIKY)) == str(VIKY)
            return camera

        return made


def test_find(monkeypatch):
    names = [f"GenTL: {MAKER} {number}" for number in range(3)]
    assert [*find()] == [*names, "GenTL: producer file"]
    monkeypatch.delenv("GENICAM_GENTL64_PATH")
    assert [*find()] == ["GenTL: producer file"]


def test_a_file_that_is_no_producer_hides_no_camera(monkeypatch, tmp_path, caplog):
    (tmp_path / "old.cti").write_text("nothing")
    directories = os.pathsep.join([str(tmp_path), str(VIKY.parent)])
    monkeypatch.setenv("GENICAM_GENTL64_PATH", directories)
    assert len(find()) == 4
    assert "old.cti" in caplog.text


def test_finding_does_not_disturb_a_camera_that_runs():
    with ExitStack() as stack:
        camera = opened(stack, frame_rate=50.0)
        camera.start()
        infos_of(camera, 2)
        assert len(find()) == 4
        assert [info.lost_before for info in infos_of(camera, 5)] == [0] * 5


# frames


def test_mono():
    with ExitStack() as stack:
        camera = opened(stack, pixel_type="Mono8", width=320, height=200)
        assert (camera.shape, camera.dtype, camera.bit_depth) == ((200, 320), "u1", 8)
        camera.start()
        frame, info = read(camera)
        assert frame.max() == 255
        assert info.device_time_ns is None  # it has no clock


@pytest.mark.parametrize("number", range(3))
def test_colour_is_red_green_blue(number):
    with ExitStack() as stack:
        camera = opened(stack, number, pixel_type="RGBa8", width=120, height=100)
        assert camera.shape == (3, 100, 120)
        camera.start()
        levels = read(camera)[0].astype(float).mean((1, 2))
        assert np.argmax(levels) == number


def test_a_slow_reader_loses_frames_and_they_are_counted():
    with ExitStack() as stack:
        camera = opened(stack, frame_rate=200.0, pixel_type="Mono8")
        camera.start()
        infos_of(camera, 2)
        time.sleep(1.0)
        infos = infos_of(camera, 80)
        assert camera.stats.lost == sum(info.lost_before for info in infos) > 20
        assert infos[-1].device_index == camera.stats.lost + 81


@pytest.mark.parametrize(
    "number_of",
    [
        pytest.param(lambda count: 0, id="always 0"),
        pytest.param(lambda count: count % 9, id="anew after 9"),
    ],
)
def test_numbers_that_do_not_rise_keep_every_frame(number_of):
    class Camera(QuickCamera):
        taken = -1

        def _number_of(self, buffer):
            self.taken += 1
            return number_of(self.taken)

    with closing(Camera(*next(iter(find().values())).args)) as camera:
        camera.open()
        camera.start()
        infos = infos_of(camera, 30)
        assert camera.stats.delivered == camera.taken + 1 == 30
        assert camera.stats.lost is None
        assert [info.device_index for info in infos] == [*map(number_of, range(30))]


def test_two_cameras_at_once():
    with ExitStack() as stack:
        cameras = [opened(stack, number, frame_rate=50.0) for number in (0, 1)]
        for camera in cameras:
            camera.start()
        for _ in range(20):
            for camera in cameras:
                read(camera)
        cameras[0].close()  # and the other runs on
        infos_of(cameras[1], 3)


# address and device


def test_an_address_is_needed_first():
    with closing(GenTLCamera({"name": "GenTL: producer file"})) as camera:
        camera.open()
        [address] = camera.settings
        assert (address.name, address.value, address.is_path) == ("address", "", True)
        for ask in (partial(getattr, camera, "shape"), camera.start):
            with pytest.raises(CameraError, match="address"):
                ask()
        camera.set("address", str(VIKY))
        assert camera.shape
        device = setting_of(camera, "device")
        assert device.choices == tuple(f"{MAKER} {number}" for number in range(3))
        assert camera.info["serial"] == "0"
        assert camera.set("device", device.choices[2]) == device.choices[2]
        assert camera.info["serial"] == "2"
        camera.start()
        read(camera)


def test_what_is_no_producer_is_refused_and_the_one_before_stays(tmp_path):
    wrong = tmp_path / "wrong.cti"
    wrong.write_text("nothing")
    with closing(GenTLCamera({"name": "GenTL: producer file"})) as camera:
        camera.open()
        camera.set("address", str(VIKY))
        for path in (wrong, tmp_path / "none.cti"):
            with pytest.raises(CameraError, match=path.name):
                camera.set("address", str(path))
        assert camera.get("address") == str(VIKY)
        camera.start()
        read(camera)


def test_a_camera_in_use_is_not_opened():
    with ExitStack() as stack:
        opened(stack)
        other = find()[f"GenTL: {MAKER} 0"]()
        with pytest.raises(CameraError, match="cannot be opened"):
            other.open()
        other.close()


# the end of a program


def test_a_program_that_forgets_to_close_exits_with_0():
    script = """
import numpy as np
from napari_zarr_stream.cameras.gentl import find
camera = next(iter(find().values()))()
camera.open()
camera.start()
out = np.empty(camera.shape, camera.dtype)
while camera.stats.delivered < 5:
    camera.read_into(out, 0.2)
print(camera.stats.delivered)
"""
    done = run_python(script, options=["-W", "error"])
    assert done.stdout.strip() == "5"
