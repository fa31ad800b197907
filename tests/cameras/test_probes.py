"""What a camera cannot be asked takes nothing else away, in every stack, and is heard.

The cameras are those that run everywhere else in the tests; only what is asked of their
driver fails, as drivers fail: with any exception.
"""

import os
from contextlib import closing
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from camera_contract import names_of, read, setting_of
from emulators import CONFIGURATION, pictures, write

from napari_zarr_stream.cameras import CameraError, CameraLost
from napari_zarr_stream.cameras import genicam as genicam_module
from napari_zarr_stream.cameras import opencv as opencv_module
from napari_zarr_stream.cameras.basler import BaslerCamera
from napari_zarr_stream.cameras.basler import find as find_basler
from napari_zarr_stream.cameras.features import (
    FRAME_RATE_ENABLE,
    RESULTING_FRAME_RATE,
    STANDARD,
)
from napari_zarr_stream.cameras.genicam import GenICamCamera
from napari_zarr_stream.cameras.gentl import GenTLCamera
from napari_zarr_stream.cameras.gentl import find as find_gentl
from napari_zarr_stream.cameras.micromanager import MicroManagerCamera
from napari_zarr_stream.cameras.micromanager import camera as micromanager_camera
from napari_zarr_stream.cameras.opencv import OpenCVCamera
from napari_zarr_stream.cameras.probes import LEFT_OUT, Probes

genicam = pytest.importorskip("genicam")
fakes = pytest.importorskip("viva_genicam.testing")
pytest.importorskip("pypylon")

NEEDED = {"Width", "Height", "PixelFormat"}  # without which nobody knows a frame
OPTIONAL = {
    *(feature for standard in STANDARD for feature in standard.features),
    *FRAME_RATE_ENABLE,
    *RESULTING_FRAME_RATE,
    *("AcquisitionMode", "PayloadSize", "GevTimestampTickFrequency"),
    *("DeviceVendorName", "DeviceModelName", "DeviceSerialNumber"),
} - NEEDED


def says_no(*_args):
    raise ValueError("the driver says no")


def basler(wrapped, monkeypatch):
    monkeypatch.setenv("PYLON_CAMEMU", "1")
    [make] = find_basler().values()
    return wrapped(BaslerCamera)(*make.args)


def gentl(wrapped, monkeypatch):
    directory = Path(genicam.__file__).parent
    monkeypatch.setenv("GENICAM_GENTL64_PATH", os.fspath(directory))
    return wrapped(GenTLCamera)(*next(iter(find_gentl().values())).args)


def u3v(wrapped, monkeypatch):
    fake = fakes.FakeU3vCamera(64, 48, "Mono8")
    return wrapped(GenICamCamera)(fake.connect, {"name": "GenICam: fake"})


STANDARD_STACKS = pytest.mark.parametrize("stack", [basler, gentl, u3v])


def failing(features, kind):
    """A kind of camera whose features cannot be read."""

    class Failing(kind):
        def _feature(self, name):
            return says_no() if name in features else super()._feature(name)

    return Failing


def without_limits(kind):
    """A kind of camera that says values, and nothing else of its features."""

    class WithoutLimits(kind):
        def _with(self, feature, name, more):
            more = {p: ask if p == "writable" else says_no for p, ask in more.items()}
            return super()._with(feature, name, more)

    return WithoutLimits


@STANDARD_STACKS
def test_features_that_cannot_be_read(stack, monkeypatch, caplog):
    with closing(stack(partial(failing, OPTIONAL), monkeypatch)) as camera:
        camera.open()
        assert {"width", "height", "pixel_type"} <= set(names_of(camera))
        assert camera.frame_rate is None
        camera.start()
        frame, info = read(camera)
        assert (frame.shape, info.index) == (camera.shape, 0)
        assert "ValueError: the driver says no" in camera.info[LEFT_OUT]
        for name in ("gain", "exposure_ms", "frame_rate"):
            assert name not in names_of(camera)
            assert f"{name}: " in camera.info[LEFT_OUT]
            assert f"cannot tell its {name}, which is left out" in caplog.text
            with pytest.raises(CameraError, match=f"no setting '{name}'"):
                camera.set(name, 1)


@pytest.mark.parametrize("feature", sorted(OPTIONAL))
def test_one_feature_that_cannot_be_read_hides_no_other(feature, monkeypatch):
    with closing(basler(lambda kind: kind, monkeypatch)) as whole:
        whole.open()
        all_names = set(names_of(whole))
    with closing(basler(partial(failing, {feature}), monkeypatch)) as camera:
        camera.open()
        lost = {each.name for each in STANDARD if feature in each.features}
        assert all_names - lost <= set(names_of(camera)) <= all_names


@STANDARD_STACKS
def test_features_that_fail_later(stack, monkeypatch):
    with closing(stack(lambda kind: kind, monkeypatch)) as camera:
        camera.open()
        names = names_of(camera)
        kept = camera._feature
        monkeypatch.setattr(
            camera,
            "_feature",
            lambda name: says_no() if name in OPTIONAL else kept(name),
        )
        gone = set(names) - set(names_of(camera))
        assert gone
        for name in gone:
            with pytest.raises(CameraError, match="the driver says no"):
                camera.set(name, 1)
        monkeypatch.undo()
        assert names_of(camera) == names  # nothing is left out for good
        assert LEFT_OUT not in camera.info


@STANDARD_STACKS
def test_limits_that_cannot_be_asked(stack, monkeypatch):
    with closing(stack(without_limits, monkeypatch)) as camera:
        camera.open()
        width = setting_of(camera, "width")
        assert width.value == camera.shape[-1]
        if stack is not u3v:  # its driver says all of a feature in one answer
            assert width.minimum is width.maximum is None
            assert "maximum of Width" in camera.info[LEFT_OUT]
        camera.start()
        read(camera)


@pytest.mark.parametrize("now", [None, "Mono14p"])
def test_a_pixel_format_that_its_driver_cannot_decode_is_not_offered(now, monkeypatch):
    """harvesters#222, #190, mmCoreAndDevices PR526: it raised, or gave wrong pixels."""

    class OffersMono14p(GenTLCamera):
        written = now

        def _feature(self, name):
            feature = super()._feature(name)
            if name != "PixelFormat":
                return feature
            choices = (*feature.choices, "Mono14p", "Mono99p", None)
            value = self.written or feature.value
            return type(feature)(value, feature.writable, choices=choices)

        def _write(self, name, value):
            super()._write(name, value)
            if name == "PixelFormat":
                self.written = None

    with closing(gentl(lambda kind: OffersMono14p, monkeypatch)) as camera:
        camera.open()
        offered = setting_of(camera, "pixel_type")
        assert set(offered.choices) == {"RGBa8", "Mono8"}
        assert offered.value in offered.choices
        camera.start()
        assert read(camera)[0].shape == camera.shape


@pytest.mark.parametrize(
    "method",
    [
        "getDeviceDescription",
        "getVersionInfo",
        "getPixelSizeUm",
        "getImageBitDepth",
        "getExposure",
        "hasPropertyLimits",
        "getPropertyType",
        "getAllowedPropertyValues",
        "isPropertyReadOnly",
        "getROI",
        "clearROI",
        "isMultiROIEnabled",
        "getNumberOfCameraChannels",
        "isSequenceRunning",
    ],
)
def test_what_micromanager_cannot_be_asked(method, tmp_path, monkeypatch):
    path = tmp_path / "demo.cfg"
    path.write_text(CONFIGURATION)
    with closing(MicroManagerCamera(str(path))) as camera:
        camera.open()
        whole = set(names_of(camera))
        camera.close()
        make = micromanager_camera.own_core

        def own_core(path):
            core = make(path)
            monkeypatch.setattr(core, method, says_no)
            return core

        monkeypatch.setattr(micromanager_camera, "own_core", own_core)
        camera.open()
        left = set(names_of(camera))
        assert {"address"} < left <= whole
        assert camera.dtype == np.uint8
        assert camera.bit_depth == 8
        assert camera.pixel_size_um in (None, 0.325)
        camera.start()
        read(camera)
        assert "the driver says no" in camera.info[LEFT_OUT]


class Deaf:
    """A capture of OpenCV that gives pictures, and no answer."""

    def __init__(self, *args):
        self._capture = VIDEO_CAPTURE(*args)
        self.get = self.set = says_no

    def __getattr__(self, name):
        return getattr(self._capture, name)


VIDEO_CAPTURE = cv2.VideoCapture


def test_what_opencv_cannot_be_asked(tmp_path, monkeypatch):
    path = write(tmp_path / "video.avi", "MJPG", pictures(np.uint8, True))
    monkeypatch.setattr(cv2, "VideoCapture", Deaf)
    with closing(OpenCVCamera(str(path))) as camera:
        camera.open()
        assert camera.frame_rate is None
        camera.start()
        frame, info = read(camera)
        assert frame.shape == camera.shape
        assert info.device_time_ns is None
        assert "frame rate: ValueError" in camera.info[LEFT_OUT]


def test_a_camera_that_is_gone_is_no_question_that_failed():
    def gone():
        raise CameraLost("unplugged")

    probes = Probes("Acme")
    with pytest.raises(CameraLost):
        probes.ask("gain", gone, None)
    assert probes.info == {}


ALL_FORMATS = {
    f"{components}{bits}{packing}"
    for components in ("Mono", "BayerRG", "BayerGB", "RGB", "BGR", "RGBa", "BGRa")
    for bits in (8, 10, 12, 14, 16)
    for packing in ("", "p", "Packed")
}
MONO_8_TO_12 = {
    *("Mono8", "Mono10", "Mono12", "Mono14", "Mono16"),
    *("Mono10p", "Mono12p", "Mono10Packed", "Mono12Packed"),
}


@pytest.mark.parametrize(
    ("stack", "colours"),
    [
        (gentl, {"RGB8", "BGR8", "RGBa8", "BGRa8", "RGB16", "BGR16"}),
        (u3v, {"RGB8", "BGR8", "RGBa8", "BGRa8"}),
    ],
)
def test_formats_that_are_offered(stack, colours, monkeypatch):
    """Of each, a known sample comes out as it went in."""
    camera = stack(lambda kind: kind, monkeypatch)
    offered = {name for name in ALL_FORMATS if camera._is_usable(name)}
    assert offered >= MONO_8_TO_12 | colours
    assert "Mono14p" not in offered


def test_a_search_finds_what_can_be_asked(monkeypatch):
    """One driver that fails leaves what needs no driver."""
    monkeypatch.setattr(micromanager_camera, "running_core", lambda: Core())
    assert list(micromanager_camera.find()) == ["Micro-Manager: configuration file"]
    monkeypatch.setattr(opencv_module, "webcams", says_no)
    assert list(opencv_module.find()) == ["OpenCV: file or stream"]
    viva = pytest.importorskip("viva_genicam")
    monkeypatch.setattr(viva, "discover", says_no)
    monkeypatch.setattr(viva, "discover_u3v", lambda: [Nameless()])
    assert list(genicam_module.find()) == ["GenICam: Acme"]


class Core:
    """A core that answers nothing."""

    getCameraDevice = says_no


class Nameless:
    """A device that says who made it, and no more."""

    manufacturer = "Acme"
    model = serial = property(says_no)
