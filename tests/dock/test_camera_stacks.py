"""Each camera stack, recorded through the dock with its real software."""

import os
from pathlib import Path

import numpy as np
from docks import choose, let_go, only, record
from emulators import (
    CONFIGURATION,
    StampedCamera,
    both,
    gige_port,
    picture_server,
    pictures,
    shared_core,
    write,
)
from pymmcore_plus.experimental.unicore import UniMMCore
from windows import click, wait_until


def test_micro_manager_through_its_configuration_file(dock, viewer, qtbot, tmp_path):
    from napari_zarr_stream.cameras.micromanager import find

    path = tmp_path / "demo.cfg"
    path.write_text(CONFIGURATION)
    name = "Micro-Manager: configuration file"
    widget = dock(**only(find(), name))
    section = widget.cameras.first
    choose(widget, name)
    assert "address" in section.message.text()
    assert section.message.isVisible()
    assert not widget.record.enabled
    assert not widget.preview.enabled
    widget.camera_settings["address"].value = str(path)
    wait_until(lambda: section.is_ready)
    assert not section.message.isVisible()
    assert widget.record.enabled
    choose(widget, name, exposure_ms=2.5)
    status, _ = record(widget, viewer, qtbot)
    assert status.frames_acquired == status.frames_committed == 8
    np.testing.assert_allclose(viewer.layers[-1].scale[1:], 0.325)


def test_a_python_camera_of_the_running_core(dock, viewer, qtbot):
    from napari_zarr_stream.cameras.micromanager import find

    with shared_core() as share:
        core = share(UniMMCore, StampedCamera())
        widget = dock(**only(find(), "Micro-Manager: Cam"))
        choose(widget, "Micro-Manager: Cam", exposure_ms=500)
        # Its driver clamps without a word.
        assert widget.camera_settings["exposure_ms"].value == 100
        choose(widget, "Micro-Manager: Cam", exposure_ms=2)
        status, stored = record(widget, viewer, qtbot)
        numbers = [int(plane.max()) for plane in stored[:]]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == status.frames_committed == 8
        if status.frames_lost == 0:
            assert numbers == list(range(numbers[0], numbers[0] + 8))
        let_go(widget)
        del core, share


def test_two_cameras_that_are_one_to_micro_manager(dock, viewer, qtbot):
    from napari_zarr_stream.cameras.micromanager import find

    with shared_core() as share:
        core = share()
        both(core)
        name = "Micro-Manager: Both"
        widget = dock(**only(find(), name))
        section = widget.cameras.first
        core.setProperty("Second", "PixelType", "16bit")
        choose(widget, name)
        wait_until(lambda: "set them alike" in section.message.text())
        assert not widget.record.enabled
        core.setProperty("Cam", "PixelType", "16bit")
        section.control.refresh()
        wait_until(lambda: section.is_ready)
        click(widget.preview, qtbot)
        wait_until(lambda: len(viewer.layers) == 1)
        click(widget.snap, qtbot)
        wait_until(lambda: len(viewer.layers) == 2)
        live, snap = viewer.layers
        assert live.data.shape == (64, 2 * 96)  # side by side
        assert snap.data.shape == (2, 64, 96)
        status, stored = record(widget, viewer, qtbot)
        assert stored.shape == (8, 2, 64, 96)
        assert status.frames_acquired == status.frames_committed == 8
        assert [layer.name for layer in viewer.layers][-2:] == ["Cam", "Second"]
        let_go(widget)
        del core, share


def test_the_emulator_of_pylon(dock, viewer, qtbot, monkeypatch):
    from napari_zarr_stream.cameras.basler import find

    monkeypatch.setenv("PYLON_CAMEMU", "1")
    [(name, make)] = find().items()
    widget = dock(**{name: make})
    choose(widget, name, width=64, height=48, exposure_ms=1, frame_rate=100)
    status, _ = record(widget, viewer, qtbot)
    assert status.frames_acquired == status.frames_committed == 8


def test_a_gige_camera_without_software_of_its_maker(dock, viewer, qtbot):
    from viva_genicam.testing import FakeGigeCamera

    from napari_zarr_stream.cameras.genicam import find

    with gige_port(), FakeGigeCamera(64, 48, fps=60, pixel_format="Mono16"):
        found = find(loopback=True)
        [name] = found
        widget = dock(**found)
        choose(widget, name)
        status, _ = record(widget, viewer, qtbot)
        assert status.frames_acquired == status.frames_committed == 8
        assert status.frames_incomplete == 0
        let_go(widget)


def test_a_producer_of_gentl(dock, viewer, qtbot, monkeypatch):
    import genicam

    from napari_zarr_stream.cameras.gentl import find

    viky = Path(genicam.__file__).with_name("viky.cti")
    monkeypatch.setenv("GENICAM_GENTL64_PATH", os.pathsep.join(["", str(viky.parent)]))
    name = "GenTL: Machine Vision Games Ltd. Viky 0"
    widget = dock(**only(find(), name))
    choose(widget, name, frame_rate=100)
    status, _ = record(widget, viewer, qtbot)
    assert status.frames_acquired == status.frames_committed == 8


def test_a_video_file(dock, viewer, qtbot, tmp_path):
    from napari_zarr_stream.cameras.opencv import find

    frames = pictures(np.uint16, False)
    path = write(tmp_path / "grey.mkv", "FFV1", frames)
    name = "OpenCV: file or stream"
    widget = dock(**only(find(), name))
    choose(widget, name, address=str(path))
    status, stored = record(widget, viewer, qtbot, frames=0)
    assert status.frames_acquired == len(frames)
    assert np.array_equal(stored[:], frames)
    assert "lost unknown" in widget.counts.value
    assert "0 lost" not in widget.counts.value


def test_a_stream_from_the_network(dock, viewer, qtbot):
    from napari_zarr_stream.cameras.opencv import find

    name = "OpenCV: file or stream"
    with picture_server() as start:
        widget = dock(**only(find(), name))
        choose(widget, name, address=start())
        assert widget.camera_settings["address"].value.startswith("http://")
        status, stored = record(widget, viewer, qtbot)
        assert status.frames_acquired == 8
        assert stored.shape == (8, 3, 48, 64)
        assert "lost unknown" in widget.counts.value
        let_go(widget)
