"""Micro-Manager: its demo cameras, and Python cameras of UniMMCore."""

import gc
import logging
import sys
import time
from contextlib import closing
from functools import partial

import numpy as np
import pytest
import zarr
from camera_contract import CameraContract, Place, read
from emulators import (
    CHIP_HEIGHT,
    CHIP_WIDTH,
    CONFIGURATION,
    StampedCamera,
    both,
    shared_core,
)
from programs import run_python
from pymmcore_plus.experimental.unicore import UniMMCore
from tables import long_but
from useq import MDAEvent
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import StorageProperties
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream._sources.take import Take
from napari_zarr_stream.cameras import (
    CameraError,
    CameraLost,
    CameraThread,
    channel_names,
)
from napari_zarr_stream.cameras.micromanager import MicroManagerCamera, find
from napari_zarr_stream.cameras.micromanager.core import running_core
from napari_zarr_stream.cameras.micromanager.frames import Format, FrameSets
from napari_zarr_stream.cameras.protocol import SINGLE_FRAMES, SingleFrames

# importing pymmcore_plus turns on the debug messages of all libraries
logging.root.setLevel(logging.WARNING)


@pytest.fixture
def share():
    # What is there already is no garbage of this test: to look through all of it, twice
    # a test, takes 0.2 s each time. Not where there are windows: garbage is then found
    # more often, in any thread, and Qt's must not be.
    gc.freeze()
    with shared_core() as start:
        yield start
    gc.unfreeze()


@pytest.fixture
def cfg(tmp_path):
    path = tmp_path / "demo.cfg"
    path.write_text(CONFIGURATION)
    return path


def opened(**options):
    camera = MicroManagerCamera(**options)
    camera.open()
    return camera


def read_to_the_end(camera):
    """Return all frames there are, their infos, and what was said at the end."""
    frames, infos = [], []
    while True:
        try:
            frame, info = read(camera)
        except CameraLost as end:
            return frames, infos, str(end)
        frames.append(frame)
        infos.append(info)


class TestConfigurationFile(CameraContract, has=("region", "pixel_type", "binning")):
    @pytest.fixture
    def make(self, cfg):
        return partial(MicroManagerCamera, str(cfg))


class TestRunningCore(CameraContract, has=("region", "pixel_type", "binning")):
    @pytest.fixture
    def make(self, share):
        share()
        return MicroManagerCamera


class TestPythonCamera(CameraContract, has=("region",)):
    @pytest.fixture
    def make(self, share):
        share(UniMMCore, StampedCamera())
        return MicroManagerCamera


class TestTwoCameras(CameraContract, has=("region", "binning")):
    @pytest.fixture
    def make(self, share):
        both(share())
        return MicroManagerCamera


# whose core it is


def test_looking_imports_and_makes_nothing():
    code = """
import sys
from napari_zarr_stream.cameras import micromanager
print(sorted(micromanager.find()), {"pymmcore", "pymmcore_plus"} & set(sys.modules))
from pymmcore_plus.core import _mmcore_plus
micromanager.find()
print(_mmcore_plus._instance)
"""
    expected = ["['Micro-Manager: configuration file'] set()", "None"]
    assert run_python(code).stdout.splitlines() == expected


def test_the_running_core_is_found_once_it_has_a_camera(share):
    core = share()
    assert "Micro-Manager: Cam" in find()
    core.setCameraDevice("")
    assert list(find()) == ["Micro-Manager: configuration file"]
    with pytest.raises(CameraError, match="no camera"):
        opened()


def test_the_running_core_is_left_as_it_was(share):
    core = share()
    core.setROI(10, 20, 30, 40)
    core.setExposure(7)
    core.setProperty("Cam", "PixelType", "16bit")
    before = core.getSystemState().dict()
    with closing(opened()) as camera:
        assert camera.shape == (40, 30)
        camera.start()
        read(camera)
    assert core.getROI() == [10, 20, 30, 40]
    assert core.getExposure() == 7
    assert core.getLoadedDevices() == ("Cam", "Core")
    assert core.getSystemState().dict() == before
    assert not core.isSequenceRunning()
    core.snapImage()  # it still works


def test_a_core_of_its_own_is_never_shared(cfg, share):
    with closing(opened(address=str(cfg))):
        assert running_core() is None
        assert list(find()) == ["Micro-Manager: configuration file"]
        core = share()
        with closing(opened()):
            assert running_core() is core


def test_looking_sets_no_region(share):
    """A Python camera would copy every frame once more, to crop it."""
    device = StampedCamera()
    share(UniMMCore, device)
    with closing(opened()):
        assert device._roi is None


def test_two_cameras_have_two_cores(cfg, share):
    share()
    with closing(opened()) as one, closing(opened(address=str(cfg))) as other:
        other.set("width", 32)  # of different sizes
        for camera in (one, other):
            camera.set("exposure_ms", 2)
            camera.start()
        for _ in range(20):
            assert read(one)[0].shape == (CHIP_HEIGHT, CHIP_WIDTH)
            assert read(other)[0].shape == (CHIP_HEIGHT, 32)
        assert one.stats.lost == other.stats.lost == 0


def test_the_running_core_has_gone(share):
    with pytest.raises(CameraError, match="does not run"):
        opened()


def test_a_running_sequence_is_not_disturbed(share):
    core = share()
    core.setROI(0, 0, 40, 40)
    core.startContinuousSequenceAcquisition()
    with closing(opened()) as camera:
        assert camera.shape == (40, 40)
        with pytest.raises(CameraError, match="live view"):
            camera.start()
    assert core.isSequenceRunning()
    core.stopSequenceAcquisition()
    with closing(opened()) as camera:
        camera.start()
        read(camera)


def test_another_camera_of_the_core_is_running(share):
    core = share()
    core.loadDevice("Other", "DemoCamera", "DCam")
    core.initializeDevice("Other")
    with closing(opened()) as camera:
        core.prepareSequenceAcquisition("Other")
        core.startSequenceAcquisition("Other", 1000, 0, True)
        with pytest.raises(CameraError, match="Other is running"):
            camera.start()
        core.stopSequenceAcquisition("Other")
        core.setCameraDevice("Other")
        with pytest.raises(CameraError, match="Other now"):
            camera.start()


def test_a_camera_that_stands_for_two_gives_both_as_channels(share):
    """pymmcore-plus#376, #518, pycro-manager#50."""
    core = share()
    both(core)
    core.setProperty("Second", "FastImage", 1)  # of which nothing was ever drawn
    with closing(opened()) as camera:
        assert channel_names(camera.info) == ("Cam", "Second")
        assert camera.shape == (2, CHIP_HEIGHT, CHIP_WIDTH)
        camera.start()
        for number in range(20):
            frame, info = read(camera)
            assert (info.index, info.device_index, info.complete) == (number, number, 1)
            assert [plane.any() for plane in frame] == [True, False]
        assert camera.stats.lost == camera.stats.incomplete == 0
        camera.stop()
        assert camera.set("width", 32) == 32
        assert camera.shape == (2, CHIP_HEIGHT, 32)
        camera.start()
        assert read(camera)[0].shape == camera.shape


@pytest.mark.parametrize(
    ("name", "value"), [("OnCameraCCDXSize", 64), ("PixelType", "16bit")]
)
def test_cameras_that_cannot_be_channels_are_refused_when_chosen(share, name, value):
    core = share()
    both(core)
    core.setProperty("Second", name, value)
    with closing(opened()) as camera:
        for ask in (lambda: camera.shape, lambda: camera.dtype, camera.start):
            with pytest.raises(
                CameraError, match=r"Cam: 96.*Second: .* set them alike"
            ):
                ask()
        assert camera.settings


def test_a_frame_that_one_of_two_cameras_lost_is_incomplete(share):
    core = share()
    both(core)
    with closing(opened()) as camera:
        camera.start()
        read(camera)
        wait_until(lambda: core.getRemainingImageCount() >= 6)
        core.popNextImage()  # by another program
        infos = [read(camera)[1] for _ in range(6)]
        assert [info.complete for info in infos].count(False) == 1
        assert camera.stats.incomplete == 1
        assert camera.stats.lost == 0
        assert [info.device_index for info in infos] == list(range(1, 7))


def test_cameras_that_part_are_not_put_together():
    sets = FrameSets(("A", "B"), Format((4, 4), np.dtype("u1")))
    sets._most = 3
    plane = np.zeros((4, 4), "u1")
    sets.add("B", 0, plane, 0, {})

    def run_on():
        for number in range(5):
            sets.add("A", number, plane, 0, {})
            sets.next()

    with pytest.raises(CameraLost, match="B is 4 frames behind"):
        run_on()


def test_an_acquisition_is_not_disturbed(share):
    core = share()
    thread = core.run_mda([MDAEvent(), MDAEvent(min_start_time=60)])
    wait_until(core.mda.is_running)
    with closing(opened()) as camera, pytest.raises(CameraError, match="acquisition"):
        camera.start()
    core.mda.cancel()
    thread.join()


def test_messages_of_other_libraries_stay_as_they_are(cfg):
    code = f"""
import logging
from napari_zarr_stream.cameras.micromanager import MicroManagerCamera
before = logging.root.level
MicroManagerCamera({str(cfg)!r}).open()
assert logging.root.level == before
"""
    run_python(code)


@pytest.mark.parametrize("own", long_but([True, False], True))
def test_exits_cleanly(own, cfg):
    """Without the cure, the interpreter aborts in every second run or so."""
    address = str(cfg) if own else None
    code = f"""
from pymmcore_plus import CMMCorePlus
from napari_zarr_stream.cameras.micromanager import MicroManagerCamera
if not {own}:
    core = CMMCorePlus.instance()
    core.loadSystemConfiguration()
camera = MicroManagerCamera({address!r})
camera.open()
camera.start()
"""
    for _ in range(5):
        run_python(code)


# configuration files


def test_an_address_comes_first(cfg):
    camera = find()["Micro-Manager: configuration file"]()
    camera.open()
    [setting] = camera.settings
    assert (setting.name, setting.value, setting.is_path) == ("address", "", True)
    with pytest.raises(CameraError, match="address"):
        _ = camera.shape
    with pytest.raises(CameraError, match="address"):
        camera.start()
    assert camera.set("address", str(cfg)) == str(cfg)
    assert camera.shape == (CHIP_HEIGHT, CHIP_WIDTH)
    assert camera.info["name"] == "Micro-Manager: Cam"
    camera.start()
    read(camera)
    camera.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Device,Cam,NoSuchAdapter,DCam", "NoSuchAdapter"),
        ("Property,Core,Initialize,1", "no camera"),
    ],
)
def test_a_file_that_does_not_do(text, said, tmp_path, cfg):
    path = tmp_path / "other.cfg"
    path.write_text(text)
    camera = MicroManagerCamera()
    with pytest.raises(CameraError, match=said):
        opened(address=str(path))
    with pytest.raises(CameraError, match=r"none\.cfg"):
        opened(address=str(tmp_path / "none.cfg"))
    camera = opened(address=str(cfg))
    with pytest.raises(CameraError, match=said):
        camera.set("address", str(path))
    assert camera.get("address") == ""
    camera.set("address", str(cfg))  # and all is well again
    camera.start()
    read(camera)
    camera.close()


def test_the_demonstration_of_micromanager():
    """Its own file, with a microscope around the camera, found by its name."""
    with closing(opened(address="MMConfig_demo.cfg")) as camera:
        assert camera.shape == (512, 512)
        assert camera.pixel_size_um == 1.0  # 10x
        camera.set("binning", "2")
        assert camera.pixel_size_um == 2.0
        camera.start()
        assert read(camera)[0].shape == (256, 256)


def test_python_cameras_of_a_file(tmp_path, monkeypatch):
    (tmp_path / "labcameras.py").write_text(
        "from emulators import StampedCamera as Camera\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "python.cfg"
    path.write_text(
        "#py pyDevice,Py,labcameras,Camera\n"
        "Property,Core,Initialize,1\n"
        "#py Property,Core,Camera,Py\n"
    )
    with closing(opened(address=str(path))) as camera:
        camera.start()
        assert [read(camera)[0].max() for _ in range(3)] == [0, 1, 2]
    del sys.modules["labcameras"]


# settings


def still(core):
    """Make a demo camera give the picture that is returned, again and again."""
    core.setProperty("Cam", "FastImage", 0)
    core.snapImage()  # draws it
    core.setProperty("Cam", "FastImage", 1)
    core.snapImage()
    picture = core.getImage()
    assert picture.std() > 0
    return picture


def test_what_is_said_of_a_demo_camera(cfg):
    with closing(opened(address=str(cfg))) as camera:
        assert [setting.name for setting in camera.settings] == [
            "address",
            "exposure_ms",
            "binning",
            "pixel_type",
            "gain",
            "offset_x",
            "offset_y",
            "width",
            "height",
        ]
        assert camera.info["vendor"] == "DemoCamera"
        assert camera.info["model"] == "DCam"
        assert camera.pixel_size_um == 0.325
        assert camera.frame_rate is None
        assert camera.set("exposure_ms", 4.5) == 4.5
        assert camera.set("gain", 99) == 8
        assert camera.set("binning", "4") == "4"
        assert camera.shape == (CHIP_HEIGHT // 4, CHIP_WIDTH // 4)
        assert camera.pixel_size_um is None  # not in the file


# Grey of 4 bytes is float in all of Micro-Manager: micro-manager PR2331, PR2391.
@pytest.mark.parametrize(
    ("pixel_type", "dtype", "bit_depth"),
    [("8bit", "u1", 8), ("16bit", "u2", 16), ("32bit", "f4", 32)],
)
def test_pixel_types(share, pixel_type, dtype, bit_depth):
    core = share()
    with closing(opened()) as camera:
        camera.set("pixel_type", pixel_type)
        assert (camera.dtype, camera.bit_depth) == (dtype, bit_depth)
        expected = still(core)
        camera.start()
        frame, _ = read(camera)
        np.testing.assert_array_equal(frame, expected.view(dtype))
        assert 0 <= frame.min() < frame.max() < 2**bit_depth
        assert pixel_type != "32bit" or frame.max() > 0.5  # no bits of an integer


# Python cameras say what they give: any of numpy's, in any byte order.
@pytest.mark.parametrize("channels", [(), (1,), (3,)], ids=["grey", "one", "colour"])
@pytest.mark.parametrize(
    "dtype", ["u1", "i1", "u2", ">u2", "i2", "u4", "i4", "f4", "f8", "u8", "i8"]
)
def test_pixel_types_of_python_cameras(share, dtype, channels):
    class Camera(StampedCamera):
        def dtype(self):
            return np.dtype(dtype)

        def snap(self, buffer):
            time.sleep(0.002)
            buffer[...] = self.number if np.dtype(dtype).kind == "u" else -self.number
            self.number += 1
            return {}

    share(UniMMCore, Camera(channels=channels))
    sign = 1 if np.dtype(dtype).kind == "u" else -1
    with closing(opened()) as camera:
        assert camera.dtype == np.dtype(dtype).newbyteorder("=")
        assert camera.dtype.isnative
        colours = channels if channels == (3,) else ()
        assert camera.shape == (*colours, CHIP_HEIGHT, CHIP_WIDTH)
        assert camera.bit_depth == 8 * camera.dtype.itemsize
        camera.start()
        for number in range(4):
            frame, _ = read(camera)
            assert frame.dtype == camera.dtype
            assert (frame == sign * number).all()


def test_bit_depth_is_that_of_the_converter(share):
    core = share()
    core.setProperty("Cam", "PixelType", "16bit")
    core.setProperty("Cam", "BitDepth", "12")
    with closing(opened()) as camera:
        assert (camera.dtype, camera.bit_depth) == (np.uint16, 12)


@pytest.mark.parametrize(
    ("pixel_type", "dtype"), [("32bitRGB", "u1"), ("64bitRGB", "u2")]
)
def test_colour_becomes_channels(share, pixel_type, dtype):
    core = share()
    core.setProperty("Cam", "PixelType", pixel_type)
    core.setProperty("Cam", "Mode", "Color Test Pattern")
    with closing(opened()) as camera:
        assert (camera.shape, camera.dtype) == ((3, CHIP_HEIGHT, CHIP_WIDTH), dtype)
        expected = np.moveaxis(still(core), -1, 0)  # R, G, B, by pymmcore-plus
        assert len({plane.tobytes() for plane in expected}) == 3
        camera.start()
        np.testing.assert_array_equal(read(camera)[0], expected)


def test_a_region_stays_on_the_sensor(share):
    """The demo camera itself would take any, and give pixels from nowhere."""
    core = share()
    with closing(opened()) as camera:
        assert camera.set("offset_x", 10) == 0  # there is no room
        assert camera.set("width", 50) == 50
        assert camera.set("offset_x", 1000) == CHIP_WIDTH - 50
        assert camera.set("width", 1000) == 50
        assert camera.set("height", 0) == 1
        assert core.getROI() == [CHIP_WIDTH - 50, 0, 50, 1]
        camera.set("binning", "2")
        assert camera.get("width") == camera.shape[1] == 25
        assert camera.set("offset_x", 0) == 0
        assert camera.set("width", 1000) == CHIP_WIDTH // 2


def test_the_region_is_locked_by_us(share):
    """The demo camera would let it be changed, and frames would not fit any more."""
    share()
    with closing(opened()) as camera:
        camera.start()
        with pytest.raises(CameraError, match="width is locked"):
            camera.set("width", 10)
        assert camera.set("exposure_ms", 1) == 1
        assert read(camera)[0].shape == (CHIP_HEIGHT, CHIP_WIDTH)


# losses


def overrun(core, camera, pause_s=0.5):
    """Read a few frames, then none for so long that the ring runs full."""
    camera.start()
    frames, infos = zip(*[read(camera) for _ in range(3)], strict=True)
    wait_until(core.isBufferOverflowed)
    time.sleep(pause_s)  # it may go on, into a ring that stays full
    more, more_infos, end = read_to_the_end(camera)
    return [*frames, *more], [*infos, *more_infos], end


def test_a_full_ring_ends_the_stream_after_its_contiguous_head(share):
    core = share()
    core.setProperty("Cam", "PixelType", "16bit")
    core.setProperty("Cam", "OnCameraCCDXSize", 512)
    core.setProperty("Cam", "OnCameraCCDYSize", 512)
    core.setCircularBufferMemoryFootprint(8)
    with closing(opened()) as camera:
        camera.set("exposure_ms", 1)
        expected = still(core)
        for _ in range(2):  # it can be started anew
            frames, infos, end = overrun(core, camera)
            ring = core.getBufferTotalCapacity()
            assert ring <= len(frames) <= ring + 3
            assert [info.device_index for info in infos] == list(range(len(frames)))
            assert not any(info.lost_before for info in infos)
            assert (np.stack(frames) == expected).all()
            assert f"ring of {ring} frames" in end
            assert f"after frame {len(frames) - 1}" in end
            assert camera.stats.delivered == len(frames)
            assert camera.stats.lost == 1
            with pytest.raises(CameraLost):  # and stays so
                read(camera)
            camera.stop()


def test_a_camera_that_goes_on_when_the_ring_is_full(share):
    """Nothing more gets into the ring; its stop reports the overflow once more."""
    adapter = "SequenceTester", "TCamera-0"
    core = share(adapter=adapter, ImageMode="MachineReadable")
    core.setCircularBufferMemoryFootprint(1)
    with closing(opened()) as camera:
        camera.start()
        wait_until(core.isBufferOverflowed)
        assert core.isSequenceRunning()
        ring = core.getBufferTotalCapacity()
        frames, infos = zip(*[read(camera) for _ in range(2)], strict=True)
        time.sleep(0.5)
        more, more_infos, _ = read_to_the_end(camera)
        assert len(frames) + len(more) == ring
        numbers = [info.device_index for info in (*infos, *more_infos)]
        assert numbers == list(range(ring))
        # the camera writes its own count into them
        assert len({frame.tobytes() for frame in (*frames, *more)}) == ring
        assert camera.stats.lost == 1
        camera.stop()
        camera.start()  # and can be started anew
        assert read(camera)[1].device_index == 0


def test_a_python_camera_overruns(share):
    core = share(UniMMCore, StampedCamera())
    core.setCircularBufferMemoryFootprint(1)
    with closing(opened()) as camera:
        frames, infos, end = overrun(core, camera)
        assert core.getBufferTotalCapacity() <= len(frames)
        for number, (frame, info) in enumerate(zip(frames, infos, strict=True)):
            assert (frame == number).all()
            assert info.device_index == number
            assert info.meta["sensor"] == f"frame {number}"
        assert "ran full" in end
        assert camera.stats.lost == 1


def test_a_python_camera_is_recorded_whole(share):
    share(UniMMCore, StampedCamera())
    with closing(opened()) as camera:
        assert camera.frame_rate == 500
        assert camera.set("exposure_ms", 1e6) == 100
        camera.set("exposure_ms", 1)
        with pytest.raises(CameraError, match="out of range"):
            camera.set("gain", 100)
        assert camera.get("gain") == 1.5
        camera.start()
        for number in range(200):
            frame, info = read(camera)
            assert (frame == number).all()
            assert info.device_index == number
        assert camera.stats.lost == 0


def test_a_python_camera_with_colours(share):
    share(UniMMCore, StampedCamera(channels=(3,)))
    with closing(opened()) as camera:
        assert (camera.shape, camera.dtype) == ((3, CHIP_HEIGHT, CHIP_WIDTH), np.uint16)
        camera.start()
        frame, _ = read(camera)
        assert frame[:, 0, 0].tolist() == [0, 1000, 2000]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_python_camera_that_raises(share):
    share(UniMMCore, StampedCamera(raises_at=7))
    with closing(opened()) as camera:
        for _ in range(2):
            camera.start()
            frames, _, end = read_to_the_end(camera)
            assert [frame.max() for frame in frames] == list(range(7))
            assert "stopped by itself after 7 frames" in end
            camera.stop()


def test_another_program_interferes(share):
    core = share()
    with closing(opened()) as camera:
        camera.set("exposure_ms", 20)
        camera.start()
        read(camera)
        core.stopSequenceAcquisition()
        assert "another program" in read_to_the_end(camera)[2]
        camera.stop()

        camera.start()
        for _ in range(3):
            read(camera)
        core.stopSequenceAcquisition()
        core.startSequenceAcquisition(1000, 0, True)
        assert "anew" in read_to_the_end(camera)[2]
        camera.stop()

        camera.start()
        read(camera)
        core.setROI(0, 0, 10, 10)
        assert "another program" in read_to_the_end(camera)[2]


def test_a_frame_of_another_shape(share):
    share(UniMMCore, StampedCamera(shrinks_at=5))
    with closing(opened()) as camera:
        camera.start()
        frames, _, end = read_to_the_end(camera)
        assert len(frames) == 5
        assert "(10, 10) uint16" in end


def test_frames_that_another_program_took_are_lost(share):
    core = share()
    with closing(opened()) as camera:
        camera.set("exposure_ms", 20)
        camera.start()
        read(camera)
        wait_until(lambda: core.getRemainingImageCount() >= 2)
        core.popNextImage()
        _, info = read(camera)
        assert (info.device_index, info.lost_before) == (2, 1)
        assert camera.stats.lost == 1


def test_reading_waits_no_longer_than_asked(share):
    share()
    with closing(opened()) as camera:
        camera.set("exposure_ms", 400)
        camera.start()
        place = Place(camera)
        assert camera.read_into(place, 0.05) is None
        assert not place.frames
        assert read(camera)[1].index == 0


# recorded


def recorded(camera, path, frames=4):
    """Record some frames; return level 0 and the attributes, by zarr."""
    with closing(CameraThread(lambda: camera)) as thread:
        thread.call(lambda camera: camera.open())
        source = CameraSource(thread, "Cam", frames)
        recording = Recording(source, StorageProperties(path))
        recording.start()
        recording.wait()
    group = zarr.open_group(path, mode="r")
    return group["0"][:], group.attrs["ome"]


def test_cameras_of_one_device_are_recorded_as_channels(share, tmp_path):
    core = share()
    both(core)
    core.setProperty("Second", "FastImage", 1)  # of which nothing was ever drawn
    pixels, ome = recorded(MicroManagerCamera(), tmp_path / "both.zarr")
    assert pixels.shape == (4, 2, CHIP_HEIGHT, CHIP_WIDTH)
    assert pixels.any((2, 3)).tolist() == [[True, False]] * 4
    assert [channel["label"] for channel in ome["omero"]["channels"]] == [
        "Cam",
        "Second",
    ]
    assert [axis["name"] for axis in ome["multiscales"][0]["axes"]] == list("tcyx")


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("i2", -(2**15), 2**15 - 1), ("i1", -128, 127), ("u2", 0, 2**16 - 1)],
)
def test_the_range_of_a_channel_is_that_of_its_type(share, tmp_path, dtype, low, high):
    class Camera(StampedCamera):
        def dtype(self):
            return np.dtype(dtype)

    share(UniMMCore, Camera())
    pixels, ome = recorded(MicroManagerCamera(), tmp_path / "typed.zarr")
    assert pixels.dtype == dtype
    window = ome["omero"]["channels"][0]["window"]
    assert (window["min"], window["max"]) == (low, high)


LIGHT = [
    # shutter, autoshutter, what is said
    (True, True, "Shutter is closed"),
    (True, False, "Shutter stays as it is: autoshutter is off"),
    (False, True, "no shutter to close"),
]


@pytest.mark.parametrize(("shutter", "auto", "said"), LIGHT)
def test_what_becomes_of_the_light_between_single_frames(cfg, shutter, auto, said):
    with closing(with_shutter(cfg) if shutter else opened(address=str(cfg))) as camera:
        camera._core.setAutoShutter(auto)
        assert said in camera.info[SINGLE_FRAMES]


def with_shutter(cfg):
    device = "Device,Shutter,DemoCamera,DShutter\n"
    lines = cfg.read_text().replace("Device,Cam", f"{device}Device,Cam")
    cfg.write_text(f"{lines}Property,Core,Shutter,Shutter\n")
    return opened(address=str(cfg))


def test_single_frames_close_the_shutter_and_start_no_sequence(cfg):
    with closing(with_shutter(cfg)) as camera:
        assert isinstance(camera, SingleFrames)
        core, opened_by = camera._core, []
        core.events.propertyChanged.connect(lambda *said: opened_by.append(said))
        camera.start_single()
        for number in range(3):
            frame, info = read(camera)
            assert frame.any()
            assert (info.index, info.device_index, info.lost_before) == (
                number,
                number,
                0,
            )
            assert not core.getShutterOpen()
            assert not core.isSequenceRunning()
        assert [state for device, _, state in opened_by if device == "Shutter"] == [
            *"10"
        ] * 3
        with pytest.raises(CameraError, match="locked"):
            camera.set("width", 32)
        with pytest.raises(CameraError, match="runs already"):
            camera.start()
        camera.stop()
        camera.start()  # a sequence again
        assert core.isSequenceRunning()
        assert read(camera)[1].device_time_ns is not None


def test_single_frames_of_several_cameras(share):
    core = share()
    both(core)
    with closing(opened()) as camera:
        assert core.getNumberOfCameraChannels() == 2
        camera.start_single()
        frame, info = read(camera)
        assert frame.shape[0] == 2
        assert info.complete


def test_a_time_lapse_rests_between_frames(cfg, tmp_path):
    path = tmp_path / "a.zarr"
    thread = CameraThread(partial(with_shutter, cfg), "Cam")
    with closing(thread):
        source = CameraSource(thread, "Cam", 0, Take(3600.0))
        recording = Recording(source, StorageProperties(path, sharded=True))
        recording.start()
        wait_until(lambda: recording.status().frames_committed == 1)
        core = thread._camera._core
        assert not core.getShutterOpen()
        assert not core.isSequenceRunning()
        recording.stop()
        assert recording.wait(PATIENCE_S)
    status = recording.status()
    assert (status.frames_lost, status.frames_untimed) == (0, 0)
    record = dict(zarr.open_group(path, mode="r").attrs)["napari_zarr_stream"]
    assert record["between_frames"] == "the camera rested"
