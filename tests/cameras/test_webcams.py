"""Webcams: as Linux lists them, and as they are probed elsewhere.

There is none here: the numbers of OpenCV open video files instead.
"""

import sys
from contextlib import closing

import cv2
import numpy as np
import pytest
from camera_contract import read
from emulators import pictures, write

from napari_zarr_stream.cameras import CameraError
from napari_zarr_stream.cameras.opencv import OpenCVCamera, opens
from napari_zarr_stream.cameras.webcams import listed, probed, webcams


def test_webcams_that_linux_lists(tmp_path):
    for node, name, index in (
        ("video0", "Integrated Camera", 0),
        ("video1", "Integrated Camera", 1),  # its metadata
        ("video10", "USB Microscope", 0),
    ):
        folder = tmp_path / node
        folder.mkdir()
        (folder / "name").write_text(f"{name}\n")
        (folder / "index").write_text(f"{index}\n")
    assert dict(listed(tmp_path)) == {
        "OpenCV: Integrated Camera (video0)": 0,
        "OpenCV: USB Microscope (video10)": 10,
    }
    assert list(listed(tmp_path / "none")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="programs are no scripts there")
@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"SPCameraDataType": []}', []),
        (
            '{"SPCameraDataType": [{"_name": "FaceTime HD Camera"}, '
            '{"_name": "USB Microscope", "spcamera_unique-id": "0x14"}]}',
            [("OpenCV: FaceTime HD Camera (0)", 0), ("OpenCV: USB Microscope (1)", 1)],
        ),
        ("no such data type", None),
    ],
)
def test_on_macos_no_webcam_is_opened_to_be_found(tmp_path, monkeypatch, said, found):
    """It would ask for permission, and turn its light on."""
    program = tmp_path / "system_profiler"
    program.write_text(f"#!/bin/sh\ntest $2 = SPCameraDataType && echo '{said}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setattr(sys, "platform", "darwin")

    def refuse(number):
        raise AssertionError("it was opened")

    if found is None:
        with pytest.raises(ValueError, match="Expecting value"):
            list(webcams(refuse))
    else:
        assert list(webcams(refuse)) == found


def test_probing_is_quiet(capfd):
    level = cv2.utils.logging.getLogLevel()
    for name, index in probed(opens):
        assert name.endswith(str(index))
    assert cv2.utils.logging.getLogLevel() == level
    assert capfd.readouterr() == ("", "")


def test_a_webcam_without_a_name_hides_no_other(tmp_path):
    for number, files in enumerate([("index", "name"), ("index",), ()]):
        folder = tmp_path / f"video{number}"
        folder.mkdir()
        for file in files:
            (folder / file).write_text("0" if file == "index" else "My webcam")
    (tmp_path / "videos").mkdir()
    assert list(listed(tmp_path)) == [
        ("OpenCV: My webcam (video0)", 0),
        ("OpenCV: webcam (video1)", 1),
        ("OpenCV: webcam (video2)", 2),
    ]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Have three webcams, which are files; return the numbers that were opened."""
    path = write(tmp_path / "webcam.avi", "MJPG", pictures(np.uint8, True))
    numbers, open_file = [], cv2.VideoCapture

    def open_number(number):
        numbers.append(number)
        return open_file(str(path) if number < 3 else "none")

    monkeypatch.setattr(cv2, "VideoCapture", open_number)
    return numbers


NAMES = [(f"OpenCV: webcam {number}", number) for number in range(3)]


def test_a_search_opens_no_webcam_that_is_ours(opened):
    assert list(probed(opens)) == NAMES
    assert opened == [0, 1, 2, 3]
    with closing(OpenCVCamera(1)) as camera:
        camera.open()
        for step in (camera.start, lambda: read(camera), camera.stop):
            opened.clear()
            assert list(probed(opens)) == NAMES
            assert opened == [0, 2, 3]  # it may be started at any moment
            step()
    opened.clear()
    assert list(probed(opens)) == NAMES
    assert opened == [0, 1, 2, 3]


def test_a_webcam_that_could_not_be_opened_is_not_ours(opened):
    with pytest.raises(CameraError, match="webcam 3"):
        OpenCVCamera(3).open()
    opened.clear()
    assert list(probed(opens)) == NAMES
    assert 3 in opened
