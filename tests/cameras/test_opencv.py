"""OpenCV: video files whose pixels are known, a server of pictures, webcams."""

import re
import time
from contextlib import closing
from functools import partial

import numpy as np
import pytest
import zarr
from camera_contract import CameraContract, read
from emulators import (
    FRAMES,
    HEIGHT,
    RATE,
    WIDTH,
    picture_server,
    pictures,
    smooth_pictures,
    write,
)
from servers import nobody_answering

from napari_zarr_stream import cli
from napari_zarr_stream.cameras import CameraError, CameraLost
from napari_zarr_stream.cameras.opencv import OpenCVCamera, find


def opened(source):
    camera = OpenCVCamera(str(source))
    camera.open()
    return camera


def read_all(camera):
    """Return all frames, their infos and what was said at the end."""
    frames, infos = [], []
    camera.start()
    while True:
        try:
            frame, info = read(camera)
        except CameraLost as end:
            camera.stop()
            return np.stack(frames), infos, str(end)
        frames.append(frame)
        infos.append(info)


class TestColourFile(CameraContract):
    @pytest.fixture
    def make(self, tmp_path):
        path = write(tmp_path / "colour.avi", "MJPG", smooth_pictures())
        return partial(OpenCVCamera, str(path))


class TestGreyFile(CameraContract):
    @pytest.fixture
    def make(self, tmp_path):
        path = write(tmp_path / "grey.mkv", "FFV1", pictures(np.uint16, False))
        return partial(OpenCVCamera, str(path))


class TestStream(CameraContract):
    @pytest.fixture
    def make(self, server):
        return partial(OpenCVCamera, server())


# files


@pytest.mark.parametrize("name", ["video.avi", "video.mkv"])
def test_lossless_colour_is_exact(tmp_path, name):
    sent = pictures(np.uint8, True)
    with closing(opened(write(tmp_path / name, "FFV1", sent))) as camera:
        assert camera.shape == (3, HEIGHT, WIDTH)
        assert (camera.dtype, camera.bit_depth) == (np.uint8, 8)
        got, _, _ = read_all(camera)
    # OpenCV writes B, G, R
    np.testing.assert_array_equal(got, np.moveaxis(sent[..., ::-1], -1, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_grey_is_exact_and_has_no_channels(tmp_path, dtype):
    sent = pictures(dtype, False)
    with closing(opened(write(tmp_path / "video.mkv", "FFV1", sent))) as camera:
        assert camera.shape == (HEIGHT, WIDTH)
        assert (camera.dtype, camera.bit_depth) == (dtype, 8 * np.dtype(dtype).itemsize)
        assert [setting.name for setting in camera.settings] == ["address"]
        got, _, _ = read_all(camera)
    np.testing.assert_array_equal(got, sent)


def test_lossy_colour_is_what_was_seen(tmp_path):
    sent = smooth_pictures()
    with closing(opened(write(tmp_path / "video.avi", "MJPG", sent))) as camera:
        got, _, _ = read_all(camera)
    error = got.astype(int) - np.moveaxis(sent[..., ::-1], -1, 1)
    assert len(got) == FRAMES
    assert np.abs(error).mean() < 3
    assert np.abs(error).max() < 20


def test_colour_may_be_taken_as_grey(tmp_path):
    sent = smooth_pictures()
    with closing(opened(write(tmp_path / "video.avi", "FFV1", sent))) as camera:
        assert camera.set("colour", False) is False
        assert camera.shape == (HEIGHT, WIDTH)
        got, _, _ = read_all(camera)
    luminance = sent.astype(float) @ (0.114, 0.587, 0.299)
    assert np.abs(got - luminance).max() <= 1


def test_a_file_tells_its_times_and_ends(tmp_path):
    path = write(tmp_path / "video.avi", "FFV1", pictures(np.uint8, True))
    with closing(opened(path)) as camera:
        assert camera.frame_rate == RATE
        for _ in range(2):  # from its beginning every time
            start = time.perf_counter()
            frames, infos, end = read_all(camera)
            assert time.perf_counter() - start < FRAMES / RATE  # not at its own pace
            assert len(frames) == FRAMES
            times_ms = [info.device_time_ns / 1e6 for info in infos]
            np.testing.assert_allclose(np.diff(times_ms), 1000 / RATE)
            assert "end of file" in end
            assert f"{FRAMES} frames" in end
            assert (camera.stats.delivered, camera.stats.lost) == (FRAMES, None)
            assert {info.device_index for info in infos} == {None}


def test_what_is_no_video_is_refused(tmp_path):
    text = tmp_path / "text.avi"
    text.write_text("no video" * 1000)
    for source, said in ((tmp_path / "none.avi", "no file"), (text, "text.avi")):
        camera = OpenCVCamera(str(source))
        with pytest.raises(CameraError, match=said):
            camera.open()
        with pytest.raises(CameraError, match="open it first"):
            camera.start()


def test_an_address_comes_first(tmp_path):
    path = write(tmp_path / "video.avi", "MJPG", smooth_pictures())
    camera = OpenCVCamera()
    camera.open()
    assert [setting.name for setting in camera.settings] == ["address"]
    assert camera.settings[0].is_path
    with pytest.raises(CameraError, match="address"):
        _ = camera.shape
    with pytest.raises(CameraError, match="no file"):
        camera.set("address", str(tmp_path / "other.avi"))
    assert camera.get("address") == ""
    with pytest.raises(CameraError, match="address"):
        camera.start()
    assert camera.set("address", str(path)) == str(path)
    assert camera.shape == (3, HEIGHT, WIDTH)
    camera.start()
    read(camera)
    camera.close()


def test_a_file_that_goes_before_the_start(tmp_path):
    path = write(tmp_path / "video.avi", "MJPG", smooth_pictures())
    with closing(opened(path)) as camera:
        path.unlink()
        with pytest.raises(CameraError, match="no file"):
            camera.start()


def test_a_file_is_recorded_whole_from_the_command_line(tmp_path, capsys):
    sent = pictures(np.uint16, False)
    path, out = write(tmp_path / "video.mkv", "FFV1", sent), tmp_path / "out.zarr"
    options = ["--camera", "OpenCV: file", "--frames", str(FRAMES)]
    options += ["--set", f"address={path}"]
    assert cli.main(["record", str(out), *options]) == 0
    assert "lost unknown" in capsys.readouterr().out
    np.testing.assert_array_equal(zarr.open_array(str(out / "0"), mode="r")[:], sent)


# streams


@pytest.fixture
def server():
    with picture_server() as start:
        yield start


def test_a_stream_is_live(server):
    with closing(opened(server())) as camera:
        assert camera.shape == (3, HEIGHT, WIDTH)
        # FFmpeg makes up a rate and times
        assert camera.frame_rate is None
        camera.start()
        frame, info = read(camera)
        assert info.device_time_ns is None
        assert camera.stats.lost is None
    expected = np.moveaxis(smooth_pictures()[0, ..., ::-1], -1, 0)
    assert np.abs(frame.astype(int) - expected).mean() < 5


def test_a_stalled_server_is_noticed(server):
    with closing(opened(server(until=40, then="stall"))) as camera:
        camera.start()
        for _ in range(40):
            read(camera)
        with pytest.raises(CameraLost, match="stalled"):
            read(camera)
        with pytest.raises(CameraLost):  # and stays so
            read(camera)
        camera.stop()
        camera.start()  # another connection
        read(camera)


def test_a_stream_that_ends_did_not_stall(server):
    with closing(opened(server(until=10))) as camera:
        _, _, end = read_all(camera)
    assert "ended its stream" in end


def test_nobody_listens():
    with (
        nobody_answering() as address,
        pytest.raises(CameraError, match=re.escape(address)),
    ):
        opened(f"{address}/live")


def test_a_stream_never_changes_its_shape(server):
    def frames():
        for side in [1] * 20 + [2] * 200:
            yield smooth_pictures()[0].repeat(side, 0).repeat(side, 1)

    with closing(opened(server(frames=frames))) as camera:
        camera.start()
        for _ in range(60):
            frame, _ = read(camera)  # which has the shape
    expected = np.moveaxis(smooth_pictures()[0, ..., ::-1], -1, 0)
    assert np.abs(frame.astype(int) - expected).mean() < 5  # scaled


# webcams


def test_what_is_found():
    cameras = find()
    assert cameras["OpenCV: file or stream"]().info["name"] == "OpenCV: file or stream"


def test_a_webcam_that_is_not_there():
    camera = OpenCVCamera(99)
    with pytest.raises(CameraError, match="webcam 99"):
        camera.open()
    camera.close()
