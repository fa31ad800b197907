"""The camera part of the Record widget, in real windows with real camera software."""

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import zarr
from emulators import (
    CONFIGURATION,
    StampedCamera,
    gige_port,
    picture_server,
    pictures,
    shared_core,
    write,
)
from pymmcore_plus.experimental.unicore import UniMMCore
from windows import click, messages, wait_until

import napari_zarr_stream._dock.cameras_section as cameras_section
import napari_zarr_stream._recording.recording as recording_module
import napari_zarr_stream._recording.together as together_module
from napari_zarr_stream._dock.remembered import Remembered
from napari_zarr_stream._recording.recording import FinishReason
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import ONE_STORE, RecordWidget
from napari_zarr_stream.cameras import (
    Fault,
    FoundCameras,
    SimulatedCamera,
)
from napari_zarr_stream.cameras.registry import simulated_cameras

CELLS, SINE = "Simulated: cells", "Simulated: radial sine"


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 900)
    return viewer


@pytest.fixture
def dock(viewer, tmp_path, monkeypatch):
    """Open the widget where only some cameras are found; the simulated ones always."""
    docks = []

    def open_widget(**cameras):
        found = FoundCameras({**simulated_cameras(), **cameras})
        monkeypatch.setattr(cameras_section, "find_cameras", lambda: found)
        widget = RecordWidget(viewer)
        docks.append(widget)
        viewer.window.add_dock_widget(widget, name="Record to Zarr")
        widget.uri.value = tmp_path / "out"
        widget.tile_width.value = widget.tile_height.value = 32
        wait_until(lambda: not widget.cameras.is_searching)
        return widget

    yield open_widget
    for widget in docks:
        widget.cameras.close()
        wait_until(lambda w=widget: not any(is_waiting(s) for s in w.cameras.sections))


def is_waiting(section):
    return section.control.is_waiting


def choose(widget, name, **settings):
    widget.source.value = name
    control = widget.cameras.first.control
    wait_until(lambda: control.view is not None)
    for setting, value in settings.items():
        widget.camera_settings[setting].value = value
        wait_until(lambda: not control.is_waiting)
    return control


def small(widget, name=CELLS, **settings):
    settings = {"width": 160, "height": 120, "frame_rate": 100} | settings
    return choose(widget, name, **settings)


def record(widget, viewer, qtbot, frames=8):
    """Record; the layer that was reopened and the status."""
    widget.frame_count.value = frames
    click(widget.record, qtbot)
    session = session_of(viewer)
    assert session.is_busy, messages()[-1:]
    wait_until(lambda: not session.is_busy)
    status = session.status()
    assert status.finish_reason is FinishReason.COMPLETED, status.error
    assert status.frames_acquired == status.frames_committed
    stored = zarr.open_array(status.path / "0", mode="r")
    assert stored.shape[0] == status.frames_acquired
    layer = viewer.layers[-1]
    assert layer.multiscale
    assert layer.data[0].shape[0] == status.frames_acquired
    return status, stored


def only(found, start):
    """Of what a stack finds, one camera by the start of its name."""
    [name] = [name for name in found if name.startswith(start)]
    return {name: found[name]}


# each stack, recorded through the widget


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
    assert (status.frames_acquired, status.frames_lost) == (8, 0)
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
        assert [plane.max() for plane in stored[:]] == list(range(8))
        assert status.frames_lost == 0
        widget.cameras.close()
        wait_until(lambda: not is_waiting(widget.cameras.first))
        del core, share


def test_the_emulator_of_pylon(dock, viewer, qtbot, monkeypatch):
    from napari_zarr_stream.cameras.basler import find

    monkeypatch.setenv("PYLON_CAMEMU", "1")
    [(name, make)] = find().items()
    widget = dock(**{name: make})
    choose(widget, name, width=64, height=48, exposure_ms=1, frame_rate=100)
    status, _ = record(widget, viewer, qtbot)
    assert (status.frames_acquired, status.frames_lost) == (8, 0)


def test_a_gige_camera_without_software_of_its_maker(dock, viewer, qtbot):
    from viva_genicam.testing import FakeGigeCamera

    from napari_zarr_stream.cameras.genicam import find

    with gige_port(), FakeGigeCamera(64, 48, fps=60, pixel_format="Mono16"):
        found = find(loopback=True)
        [name] = found
        widget = dock(**found)
        choose(widget, name)
        status, _ = record(widget, viewer, qtbot)
        assert (status.frames_acquired, status.frames_lost) == (8, 0)
        assert status.frames_incomplete == 0
        widget.cameras.close()
        wait_until(lambda: not is_waiting(widget.cameras.first))


def test_a_producer_of_gentl(dock, viewer, qtbot, monkeypatch):
    import genicam

    from napari_zarr_stream.cameras.gentl import find

    viky = Path(genicam.__file__).with_name("viky.cti")
    monkeypatch.setenv("GENICAM_GENTL64_PATH", os.pathsep.join(["", str(viky.parent)]))
    name = "GenTL: Machine Vision Games Ltd. Viky 0"
    widget = dock(**only(find(), name))
    choose(widget, name, frame_rate=100)
    status, _ = record(widget, viewer, qtbot)
    assert (status.frames_acquired, status.frames_lost) == (8, 0)


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
        widget.cameras.close()
        wait_until(lambda: not is_waiting(widget.cameras.first))


# what is found


def test_without_extras_it_says_how_to_get_cameras(viewer, monkeypatch):
    import napari_zarr_stream.cameras.registry as registry

    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Record to Zarr")
    assert {CELLS, SINE} <= set(widget.source.choices)  # at once
    assert widget.record.enabled
    wait_until(lambda: not widget.cameras.is_searching)
    assert set(widget.source.choices) == set(simulated_cameras())
    text = widget.cameras.missing.text()
    for extra in ("micromanager", "genicam", "basler", "gentl", "opencv"):
        assert f"pip install &quot;napari-zarr-stream[{extra}]&quot;" in text
    assert widget.cameras._more.isVisible()


def test_what_failed_is_listed_and_refresh_finds_more(dock, qtbot, monkeypatch):
    widget = dock()
    name = "Simulated: plugged in later"
    found = FoundCameras(
        {**simulated_cameras(), name: SimulatedCamera}, {}, {"Basler": "no <driver>"}
    )
    monkeypatch.setattr(cameras_section, "find_cameras", lambda: found)
    click(widget.cameras.refresh, qtbot)
    wait_until(lambda: not widget.cameras.is_searching)
    assert name in widget.source.choices
    assert widget.source.value == CELLS
    assert "no &lt;driver&gt;" in widget.cameras.missing.text()


def test_a_camera_that_does_not_open_says_why(dock):
    def broken():
        raise OSError("no such device")

    widget = dock(**{"Broken": broken})
    widget.source.value = "Broken"
    message = widget.cameras.first.message
    wait_until(lambda: "no such device" in message.text())
    assert not widget.record.enabled
    widget.source.value = CELLS
    wait_until(lambda: widget.cameras.first.is_ready)
    assert widget.record.enabled


# settings


def test_ranges_are_read_anew_after_every_change(dock):
    widget = dock()
    small(widget, frame_rate=50)
    exposure = widget.camera_settings["exposure_ms"]
    assert exposure.max == pytest.approx(20)
    choose(widget, CELLS, frame_rate=200)
    assert exposure.max == exposure.value == pytest.approx(5)


def test_locked_settings_are_grey_while_recording_and_others_live(dock, viewer, qtbot):
    widget = dock()
    control = small(widget)
    click(widget.record, qtbot)
    settings = widget.camera_settings
    assert not settings["width"].enabled
    assert settings["exposure_ms"].enabled
    settings["exposure_ms"].value = 2.5
    wait_until(lambda: not control.is_waiting)
    [exposure] = [s for s in control.view.settings if s.name == "exposure_ms"]
    assert exposure.value == 2.5
    click(widget.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    assert settings["width"].enabled


def test_choices_are_kept_between_sessions(dock, viewer, qtbot):
    widget = dock()
    small(widget, SINE, exposure_ms=1.25)
    widget.multiscale.value = False
    widget.pixel_size_um.value = 0.65
    widget._keep()
    other = dock()
    assert other.source.value == SINE
    control = other.cameras.first.control
    wait_until(lambda: control.view is not None)
    assert other.camera_settings["width"].value == 160
    assert other.camera_settings["exposure_ms"].value == 1.25
    assert not other.multiscale.value
    assert other.pixel_size_um.value == 0.65


def test_choices_that_make_no_sense_stop_nobody(dock):
    remembered = Remembered()
    remembered.choices |= {"device_kind": "floppy", "tile_width": -7, "camera": 3}
    remembered.cameras[CELLS] = {"width": "broad", "gone": 1, "frame_rate": 60.0}
    remembered.save()
    widget = dock()
    assert widget.record.enabled
    assert widget.device_kind.value == "ZarrV3Blosc1Lz4ByteShuffle"
    assert widget.camera_settings["frame_rate"].value == 60
    assert "broad" in widget.cameras.first.message.text()


# preview and snap


def test_preview_snap_and_record_on_the_same_camera(dock, viewer, qtbot, tmp_path):
    widget = dock()
    control = small(widget)
    widget.pixel_size_um.value = 0.5
    click(widget.preview, qtbot)
    wait_until(lambda: widget.cameras.first.histogram.isVisible())
    [live] = viewer.layers
    assert live.name == f"Live: {CELLS}"
    first = np.asarray(live.data).copy()
    wait_until(lambda: not np.array_equal(first, np.asarray(live.data)))
    assert not (tmp_path / "out").exists()  # nothing is recorded
    click(widget.snap, qtbot)
    wait_until(lambda: len(viewer.layers) == 2)
    snap = viewer.layers[-1]
    assert isinstance(snap.data, np.ndarray)
    np.testing.assert_allclose(snap.scale, 0.5)
    assert str(snap.units[0]) == "micrometer"
    assert snap.name in widget.source.choices
    assert control.preview is not None
    # A locked setting stops the camera for a moment only.
    choose(widget, CELLS, width=96)
    wait_until(lambda: viewer.layers[f"Live: {CELLS}"].data.shape == (120, 96))
    _, stored = record(widget, viewer, qtbot)
    assert stored.shape == (8, 120, 96)
    assert control.preview is None
    assert widget.preview.text == "Preview"
    assert [layer.name for layer in viewer.layers] == [snap.name, "recording_0001"]


def test_snap_without_a_preview(dock, viewer, qtbot):
    widget = dock()
    control = small(widget)
    click(widget.snap, qtbot)
    wait_until(lambda: len(viewer.layers) == 1)
    assert viewer.layers[0].data.shape == (120, 160)
    assert not control.is_waiting


def test_saturation_is_amber(dock, viewer, qtbot):
    widget = dock()
    section = widget.cameras.first
    small(widget, frame_rate=5, exposure_ms=0.5)
    click(widget.snap, qtbot)
    wait_until(lambda: section.brightness.text())
    assert section.brightness.text().startswith("saturated 0 %, maximum ")
    assert section.brightness.styleSheet() == ""
    choose(widget, CELLS, exposure_ms=200)
    click(widget.snap, qtbot)
    wait_until(lambda: "maximum 4095 of 4095" in section.brightness.text())
    assert "color" in section.brightness.styleSheet()


def test_a_preview_that_fails_says_so(dock, viewer, qtbot):
    name = "Unplugged"
    faults = [Fault(5, "unplug")]
    widget = dock(**{name: lambda: SimulatedCamera(faults=faults, frame_rate=100)})
    control = choose(widget, name)
    click(widget.preview, qtbot)
    wait_until(lambda: control.preview is None)
    assert "unplugged" in messages()[-1]
    assert len(viewer.layers) == 0


# region of interest


def test_a_region_from_a_rectangle_and_back(dock, viewer, qtbot):
    widget = dock()
    section = widget.cameras.first
    control = small(widget, "Simulated: empty")
    click(section.region_from_shape, qtbot)
    assert "rectangle" in messages()[-1]
    click(widget.preview, qtbot)
    corners = np.array([[19.5, 29.5], [19.5, 89.5], [79.5, 89.5], [79.5, 29.5]])
    viewer.add_shapes([corners], shape_type="rectangle")
    click(section.region_from_shape, qtbot)
    settings = widget.camera_settings
    wait_until(lambda: settings["width"].value == 60)
    region = [settings[n].value for n in ("offset_x", "offset_y", "width", "height")]
    assert region == [30, 20, 60, 60]
    wait_until(lambda: section.live.layer.data.shape == (60, 60))
    click(section.full_sensor, qtbot)
    wait_until(lambda: settings["width"].value == 160)
    assert settings["offset_x"].value == settings["offset_y"].value == 0
    control.stop_preview()


def test_a_region_from_the_view(dock, viewer, qtbot):
    widget = dock()
    small(widget, "Simulated: empty")
    click(widget.preview, qtbot)
    viewer.scene.camera.center = (60, 80)
    viewer.scene.camera.zoom = min(viewer.canvas.size) / 40
    click(widget.cameras.first.region_from_view, qtbot)
    settings = widget.camera_settings
    wait_until(lambda: settings["height"].value < 120 or settings["width"].value < 160)
    middle = settings["offset_x"].value + settings["width"].value / 2
    assert middle == pytest.approx(80.5, abs=1.5)
    assert 40 in (settings["height"].value, settings["height"].value - 1) or (
        settings["width"].value in (40, 41, 42)
    )
    click(widget.preview, qtbot)


# several cameras


def two_cameras(widget, qtbot):
    small(widget)
    click(widget.cameras.add_camera, qtbot)
    [second] = widget.cameras.others
    assert second.source.value != CELLS
    assert CELLS not in second.source.choices
    wait_until(lambda: second.is_ready)
    for name, value in {"width": 64, "height": 48, "frame_rate": 50}.items():
        second.settings[name].value = value
        wait_until(lambda: not is_waiting(second))
    return second


@pytest.mark.parametrize("one_store", [False, True])
def test_two_cameras_at_once(dock, viewer, qtbot, one_store):
    widget = dock()
    two_cameras(widget, qtbot)
    if one_store:
        widget.stores.value = ONE_STORE
    widget.frame_count.value = 10
    click(widget.record, qtbot)
    lives = [layer for layer in viewer.layers if layer.name.startswith("Live")]
    assert len(lives) == 2
    # side by side
    assert lives[1].extent.world[0][-1] >= lives[0].extent.world[1][-1]
    session = session_of(viewer)
    wait_until(lambda: not session.is_busy)
    statuses = [status for _, status in session.statuses()]
    assert [s.frames_committed for s in statuses] == [10, 10], messages()
    shapes = [zarr.open_array(s.path / "0", mode="r").shape for s in statuses]
    assert shapes == [(10, 120, 160), (10, 48, 64)]
    same = statuses[0].path.parent == statuses[1].path.parent
    assert same
    assert (statuses[0].path.parent.suffix == ".zarr") == one_store
    assert len(viewer.layers) == 2
    assert CELLS in widget.counts.value
    assert widget.counts.value.count("acquired") == 2


def test_if_one_camera_fails_the_others_go_on(dock, viewer, qtbot):
    name = "Unplugged"
    faults = [Fault(5, "unplug")]
    widget = dock(**{name: lambda: SimulatedCamera(faults=faults, frame_rate=50)})
    small(widget)
    click(widget.cameras.add_camera, qtbot)
    [second] = widget.cameras.others
    second.source.value = name
    wait_until(lambda: second.is_ready and second.control.name == name)
    click(widget.record, qtbot)
    session = session_of(viewer)
    wait_until(lambda: any("The others go on" in text for text in messages()))
    at = session.status().frames_acquired
    wait_until(lambda: session.status().frames_acquired > at + 20)
    click(widget.stop, qtbot)
    wait_until(lambda: not session.is_busy)
    reasons = [status.finish_reason for _, status in session.statuses()]
    assert reasons == [FinishReason.STOPPED, FinishReason.FAILED]
    assert len(viewer.layers) == 2


def test_a_second_camera_can_be_removed(dock, qtbot):
    widget = dock()
    second = two_cameras(widget, qtbot)
    assert widget._stores_row.isVisible()
    click(second.remove, qtbot)
    assert not widget.cameras.others
    assert not widget._stores_row.isVisible()
    assert widget.record.enabled


# how it fits


def test_the_dock_fits_a_small_window(viewer, dock):
    widget = dock()
    assert widget.native.minimumSizeHint().height() < 500
    assert widget.native.minimumSizeHint().width() <= 400


def test_little_disk_space_is_said(dock, viewer, qtbot, monkeypatch):
    import napari_zarr_stream._recording.disk as module

    widget = dock()
    small(widget)
    nearly_full = module.RESERVE_BYTES + 2**20
    monkeypatch.setattr(module, "free_bytes", lambda path: nearly_full)
    click(widget.record, qtbot)
    wait_until(lambda: widget.trouble.visible)
    assert "Disk space for" in widget.trouble.value
    click(widget.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    assert not widget.trouble.visible


def test_a_recording_that_stops_itself_says_why(
    dock, viewer, qtbot, small_disk, monkeypatch
):
    """On a real disk of 1 MiB, of which 0.4 are kept."""
    widget = dock()
    small(widget, width=64, height=64, frame_rate=50)
    widget.device_kind.value, widget.multiscale.value = "ZarrV3", False
    widget.tile_width.value = widget.tile_height.value = 0
    widget.uri.value = small_disk
    session = session_of(viewer)
    click(widget.record, qtbot)
    refused = "are kept in reserve. Free some space, record elsewhere"
    assert refused in messages()[-1]
    assert refused in widget.trouble.value
    assert not session.is_busy
    smaller = partial(recording_module.Recording, reserve_bytes=400 * 2**10)
    monkeypatch.setattr(together_module, "Recording", smaller)
    click(widget.record, qtbot)
    wait_until(lambda: widget.trouble.visible)
    assert re.match(
        "Disk space for . s at this rate: make room or st", widget.trouble.value
    )
    wait_until(lambda: not session.is_busy)
    status = session.status()
    for said in (messages()[-1], widget.trouble.value):
        assert said.startswith("The recording stopped itself: ")
        assert (
            "kB are free on the disk and 410 kB are kept in reserve. Make room" in said
        )
        assert (
            f"{status.frames_committed} committed, 0 lost. Saved in {status.path}"
            in said
        )
    assert status.frames_committed == status.frames_acquired > 5
    assert widget.record.enabled
    viewer.layers.clear()  # they read from the disk that is to go


# what goes wrong with a camera, as the dock tells it


class Troubled(SimulatedCamera):
    """From frame 5 on, something is changed in what comes."""

    def __init__(self, **changes):
        super().__init__("cells", width=160, height=120, frame_rate=100)
        self.changes = changes
        self.lost = 0

    @property
    def stats(self):
        return replace(super().stats, lost=self.lost)

    def read_into(self, out, timeout_s):
        frame = np.empty(self.shape, self.dtype)
        info = super().read_into(frame, timeout_s)
        if info is None:
            return None
        changes = self.changes if info.index >= 5 else {}
        shift = changes.get("shift", 0)
        out[...] = changes.get("frame", frame)
        lost = shift if info.index == 5 and shift > 0 else 0
        self.lost += lost
        return replace(
            info,
            device_index=info.index + shift,
            device_time_ns=changes.get("time", info.device_time_ns),
            lost_before=lost,
        )


@pytest.mark.parametrize(
    ("changes", "counted"),
    [
        ({"shift": 7}, "7 lost"),
        ({"shift": -1}, "1 out of order"),
        ({"shift": -4}, "1 out of order"),
        ({"time": None}, "15 without camera time"),
    ],
    ids=["jump", "repeat", "back", "no timestamps"],
)
def test_frames_that_come_oddly_are_kept_and_counted(
    dock, viewer, qtbot, changes, counted
):
    widget = dock(Troubled=lambda: Troubled(**changes))
    choose(widget, "Troubled")
    record(widget, viewer, qtbot, frames=20)
    assert messages()[-1].startswith("20 frames acquired, 20 committed, ")
    assert counted in messages()[-1]
    assert f"<b>{counted}</b>" in widget.counts.value.replace("&nbsp;", " ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame": np.zeros((119, 160), np.uint16)}, r"(119, 160).* (120, 160)"),
        ({"frame": np.zeros((120, 160), np.uint8)}, r"uint8.*uint16"),
    ],
    ids=["shape", "dtype"],
)
def test_a_frame_that_does_not_fit_ends_it_and_the_dock_says_so(
    dock, viewer, qtbot, changes, words
):
    widget = dock(Troubled=lambda: Troubled(**changes))
    choose(widget, "Troubled")
    assert_fails_with(
        words.replace("(", r"\(").replace(")", r"\)"), widget, viewer, qtbot
    )


def test_an_unplugged_camera_is_told_in_the_dock(dock, viewer, qtbot):
    faults = [Fault(5, "unplug")]
    widget = dock(Unplugged=lambda: SimulatedCamera(faults=faults, frame_rate=100))
    choose(widget, "Unplugged")
    assert_fails_with("unplugged at frame 5", widget, viewer, qtbot)


def assert_fails_with(words, widget, viewer, qtbot):
    """After five frames, which are kept; and it can be tried again."""
    for _ in range(2):
        click(widget.record, qtbot)
        session = session_of(viewer)
        assert session.is_busy
        wait_until(lambda s=session: not s.is_busy)
        assert session.status().finish_reason is FinishReason.FAILED
        path = session.status().path
        kept = (
            f"5 frames acquired, 5 committed, 0 lost. What was committed is in {path}"
        )
        for said in (messages()[-1], widget.trouble.value):
            assert re.search(f"The recording failed: .*{words}", said)
            assert kept in said
        assert widget.trouble.visible
        assert zarr.open_array(path / "0", mode="r").shape[0] == 5
        assert widget.record.enabled


def test_a_silent_camera_is_told_and_waited_for(dock, viewer, qtbot, monkeypatch):
    monkeypatch.setattr(recording_module, "SILENT_S", 0.3)
    faults = [Fault(5, "stall", seconds=1.5)]
    widget = dock(Silent=lambda: SimulatedCamera(faults=faults, frame_rate=100))
    choose(widget, "Silent")
    widget.frame_count.value = 300
    click(widget.record, qtbot)
    wait_until(lambda: widget.trouble.visible)
    said = widget.trouble.value
    assert said.startswith("No frame for ")
    assert "is the camera connected, and triggered? Stop keeps what came." in said
    wait_until(lambda: not widget.trouble.visible)  # it came back
    click(widget.stop, qtbot)
    session = session_of(viewer)
    wait_until(lambda: not session.is_busy)
    assert session.status().frames_committed == session.status().frames_acquired > 5
    assert session.status().finish_reason is FinishReason.STOPPED
