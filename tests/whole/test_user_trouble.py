"""What users do to a recording: in a real window with real clicks, or from a script."""

import os
import signal
import time
from dataclasses import replace
from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import zarr
from programs import run_python
from qtpy.QtCore import Qt
from waiting import PATIENCE_S
from windows import click, messages, wait_until

import napari_zarr_stream._dock.cameras_section as cameras_section
from napari_zarr_stream import (
    InvalidProperties,
    StorageProperties,
    StoreExists,
    WriteFailed,
    ZarrStream,
)
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._saving.export import default_properties, export
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget
from napari_zarr_stream._writer.lock import StoreLock
from napari_zarr_stream.cameras import CameraError, FoundCameras, SimulatedCamera

CAMERA = "Small"


@pytest.fixture
def viewer(make_napari_viewer):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1300, 800)
    return viewer


@pytest.fixture
def widget(viewer, tmp_path, monkeypatch):
    def small():
        return SimulatedCamera("cells", width=64, height=48, frame_rate=100)

    found = FoundCameras({CAMERA: small})
    searched = SimpleNamespace(found=found)
    monkeypatch.setattr(cameras_section, "CameraSearch", lambda: searched)
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Record to Zarr")
    widget.uri.value = tmp_path / "out"
    wait_until(lambda: not widget.cameras.is_searching)
    choose(widget, CAMERA)
    return widget


def choose(widget, name):
    widget.source.value = name
    wait_until(lambda: widget.cameras.first.is_ready or name != CAMERA)


def is_ready_again(widget, viewer, qtbot, folder):
    """Record once more, all of it, and with no trouble left in the dock."""
    session = session_of(viewer)
    wait_until(lambda: not session.is_busy)
    widget.uri.value = folder
    choose(widget, CAMERA)
    widget.frame_count.value = 3
    click(widget.record, qtbot)
    assert session.is_busy, widget.plan_line.value
    wait_until(lambda: not session.is_busy)
    assert session.status().frames_committed == 3
    assert not widget.trouble.visible
    return True


# clicks


def test_record_clicked_twice(widget, viewer, qtbot, tmp_path):
    click(widget.record, qtbot)
    click(widget.record, qtbot)
    qtbot.mouseDClick(widget.record.native, Qt.MouseButton.LeftButton)
    wait_until(lambda: "committed" in widget.counts.value)
    assert not widget.record.enabled
    click(widget.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    assert len(list((tmp_path / "out").iterdir())) == 1
    assert "Saved in" in messages()[-1]
    assert is_ready_again(widget, viewer, qtbot, tmp_path / "b")


def test_stop_while_it_starts(widget, viewer, qtbot, tmp_path):
    click(widget.record, qtbot)
    click(widget.stop, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    status = session_of(viewer).status()
    if status.path is None:  # it was stopped before it began
        assert "nothing was recorded" in messages()[-1]
        assert not (tmp_path / "out" / "recording_0001.zarr").exists()
    else:
        assert status.finish_reason is FinishReason.STOPPED
        assert f"{status.frames_acquired} frame" in messages()[-1]
        assert str(status.path) in messages()[-1]
    assert is_ready_again(widget, viewer, qtbot, tmp_path / "b")


# the layer that is recorded


@pytest.fixture
def slow_stack(viewer):
    """A layer that takes a second to read, each plane with its number in it."""

    def slowly(block, block_info=None):
        time.sleep(0.02)
        return block + np.uint16(block_info[0]["chunk-location"][0])

    planes = da.zeros((50, 32, 32), np.uint16, chunks=(1, 32, 32))
    planes = planes.map_blocks(slowly, dtype="u2", meta=np.empty((0, 0, 0), "u2"))
    return viewer.add_image(planes, name="stack", contrast_limits=(0, 50))


def delete(viewer, layer):
    viewer.layers.remove(layer)


def replace_data(viewer, layer):
    layer.data = np.zeros((3, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("change", "words"), [(delete, "was deleted"), (replace_data, "has other data now")]
)
def test_a_layer_that_changes_is_recorded_as_it_was(
    widget, viewer, qtbot, tmp_path, slow_stack, change, words
):
    """At the first napari alone ends in a segmentation fault: `free_in_own_context`."""
    widget.source.value = "stack"
    click(widget.record, qtbot)
    session = session_of(viewer)
    wait_until(lambda: session.status().frames_acquired > 3)
    live = viewer.layers[-1]
    change(viewer, slow_stack)
    [said] = [text for text in messages() if words in text]
    assert said == (
        f"Layer 'stack' {words}: the recording goes on with the data that it had at "
        "the start."
    )
    assert live in viewer.layers
    wait_until(lambda: not session.is_busy)
    pixels = zarr.open_array(session.status().path / "0", mode="r")[:, 0, 0]
    assert pixels.tolist() == list(range(50))
    assert "50 planes acquired, 50 committed" in messages()[-1]
    assert is_ready_again(widget, viewer, qtbot, tmp_path / "b")


def test_pixels_edited_in_place_are_recorded_as_they_are_read(tmp_path):
    """Nothing is copied before: each plane is the old or the new one, none is lost."""
    pixels = np.zeros((400, 256, 256), np.uint8)
    properties = StorageProperties(tmp_path / "a.zarr", frames_per_chunk=1)
    recording = Recording(LayerSource(pixels, {"name": "stack"}), properties)
    recording.start()
    pixels[:] = 1
    assert recording.wait(PATIENCE_S)
    stored = zarr.open_array(tmp_path / "a.zarr" / "0", mode="r")[:, 0, 0]
    assert len(stored) == 400
    assert set(stored) <= {0, 1}
    assert recording.status().finish_reason is FinishReason.COMPLETED


# one directory


def test_two_recordings_into_one_directory(widget, viewer, qtbot, tmp_path):
    lock = StoreLock(tmp_path / "mine.zarr")
    widget.uri.value = tmp_path / "mine.zarr"
    click(widget.record, qtbot)
    wait_until(lambda: not session_of(viewer).is_busy)
    for said in (messages()[-1], widget.trouble.value):
        assert f"is being written by process {os.getpid()}" in said
        assert "wait for its end, or choose another name" in said
    assert widget.trouble.visible
    assert len(viewer.layers) == 0
    lock.release()
    assert is_ready_again(widget, viewer, qtbot, tmp_path / "mine.zarr")


# places


def test_a_file_is_never_written_over(widget, viewer, qtbot, tmp_path):
    (tmp_path / "notes.zarr").write_text("mine")
    widget.uri.value = tmp_path / "notes.zarr" / "deeper"
    assert "notes.zarr is not a folder: choose another" in widget.plan_line.value
    assert not widget.record.enabled
    widget.uri.value = tmp_path / "notes.zarr"
    assert widget.plan_line.value.endswith("notes_0002.zarr")
    assert is_ready_again(widget, viewer, qtbot, tmp_path / "notes.zarr")
    assert (tmp_path / "notes.zarr").read_text() == "mine"
    with pytest.raises(StoreExists, match=r"notes\.zarr already exists"):
        script(tmp_path / "notes.zarr", overwrite=True)


def script(path, **options):
    """Record ten frames without a window."""
    properties = StorageProperties(path, **options)
    with ZarrStream(properties, axes="tyx", shape=(None, 8, 8), dtype="u1") as stream:
        stream.append(np.ones((10, 8, 8), "u1"))


def test_folders_that_are_missing_are_made(widget, viewer, qtbot, tmp_path):
    place = tmp_path / "no" / "such" / "folder"
    assert is_ready_again(widget, viewer, qtbot, place / "a.zarr")
    assert [each.name for each in place.iterdir()] == ["a.zarr"]


def test_a_name_with_everything_in_it(widget, viewer, qtbot, tmp_path):
    name = "Zellen 1.5 µm, 細胞 ✓ 'x' "
    name += "ü" * ((245 - len(name.encode())) // 2) + ".zarr"
    assert 249 <= len(name.encode()) <= 250
    place = tmp_path / "Ordner 一 mit Platz"
    assert is_ready_again(widget, viewer, qtbot, place / name)
    assert [each.name for each in place.iterdir()] == [name]
    assert viewer.layers[-1].name == name.removesuffix(".zarr")
    assert str(place / name) in messages()[-1]


def test_a_name_too_long(widget, viewer, qtbot, tmp_path):
    widget.uri.value = tmp_path / ("a" * 300 + ".zarr")
    assert "too long, choose another name" in widget.plan_line.value
    assert "Errno" not in widget.plan_line.value
    assert not widget.record.enabled
    assert is_ready_again(widget, viewer, qtbot, tmp_path / "b")


@pytest.mark.parametrize("by_link", [False, True])
def test_a_place_on_another_drive(small_disk, tmp_path, by_link):
    """Also a hidden folder that is renamed, and a store that is replaced."""
    folder = small_disk
    if by_link:
        folder = tmp_path / "link"
        folder.symlink_to(small_disk)
    source = LayerSource(np.ones((10, 8, 8), np.uint8), {"name": "stack"})
    exported = default_properties(folder / "export.zarr", sharded=False)
    for overwrite in (False, True):
        script(folder / "record.zarr", overwrite=overwrite)
        assert export(source, replace(exported, overwrite=overwrite))
    assert small_disk.stat().st_dev != tmp_path.stat().st_dev
    names = sorted(path.name for path in small_disk.iterdir())
    assert names == ["export.zarr", "record.zarr"]
    assert zarr.open_array(small_disk / "export.zarr" / "0", mode="r")[:].min() == 1


def test_a_store_that_is_a_link_to_another_drive(small_disk, tmp_path):
    script(small_disk / "there.zarr")
    (tmp_path / "here.zarr").symlink_to(small_disk / "there.zarr")
    script(tmp_path / "here.zarr", overwrite=True)
    assert (tmp_path / "here.zarr").is_symlink()
    assert [path.name for path in small_disk.iterdir()] == ["there.zarr"]


def test_a_drive_cannot_be_a_store(small_disk):
    with pytest.raises(WriteFailed, match="drive of its own: choose a folder in it"):
        script(small_disk)
    script(small_disk / "a.zarr")
    assert [path.name for path in small_disk.iterdir()] == ["a.zarr"]


# settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tile_width": -1}, "tile_width"),
        ({"max_bytes_per_chunk": -5}, "max_bytes_per_chunk"),
        ({"device_kind": "floppy"}, "floppy.*ZarrV3"),
        ({"device_kind": "Zarr", "sharded": True}, "shard"),
        ({"downsampling_method": "best"}, "best.*mean"),
    ],
)
def test_settings_out_of_range_from_a_script(tmp_path, changes, words):
    with pytest.raises(InvalidProperties, match=words):
        script(tmp_path / "a.zarr", **changes)
    assert list(tmp_path.iterdir()) == []


def test_settings_of_a_camera_out_of_range_from_a_script():
    camera = SimulatedCamera("cells")
    camera.open()
    assert camera.set("width", 10**9) == 8192  # what is in force is said
    for name, value in {"pixel_type": "broad", "speed": 1}.items():
        with pytest.raises(CameraError, match=f"{name}.*(one of|only)"):
            camera.set(name, value)


# the end of napari, in a process of its own


QUIT = """
import os, signal, sys
# It is ignored by what a shell was given to do in the background, and by its children.
signal.signal(signal.SIGINT, signal.default_int_handler)
import napari
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget
viewer = napari.Viewer()
widget = RecordWidget(viewer)
viewer.window.add_dock_widget(widget)
widget.uri.value, how = sys.argv[1:]
session, window = session_of(viewer), viewer.window._qt_window
answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]

def answer():
    box = QApplication.activeModalWidget()
    if box is None:
        QTimer.singleShot(20, answer)
    else:
        print(box.text(), flush=True)
        box.button(answers.pop(0)).click()
        if answers:
            QTimer.singleShot(300, act)

def act():
    widget.record.native.click()
    if session.status().frames_acquired < 5:
        QTimer.singleShot(50, act)
        return
    if how.isdecimal():
        os.kill(os.getpid(), int(how))
    elif how == "program":
        viewer.close()
    elif answers:
        QTimer.singleShot(0, answer)
        if how == "menu":  # what Ctrl+Q and Ctrl+W call
            window.close(quit_app=True)
        else:  # the window system asks, as at a click on the corner
            QApplication.postEvent(window.windowHandle(), QEvent(QEvent.Type.Close))

act()
napari.run()
"""

QUESTION = "A recording is under way. Stop it, save what was recorded, and close?"


WAYS_OUT = []
LONG = [("menu", 2, 0), ("corner", 2, 0), ("program", 0, 0)]
if os.name != "nt":  # there are no such signals
    WAYS_OUT += [(int(signal.SIGTERM), 0, 0), (int(signal.SIGINT), 0, -signal.SIGINT)]
WAYS_OUT += [pytest.param(*way, marks=pytest.mark.long) for way in LONG]


@pytest.mark.parametrize(("how", "asked", "code"), WAYS_OUT)
def test_napari_quits_and_nothing_is_lost(tmp_path, how, asked, code):
    """Where somebody is asked, "no" goes on, and "yes" comes a moment later."""
    done = run_python(QUIT, tmp_path, how, code=code)
    told = done.stdout + done.stderr
    assert told.count(QUESTION) == asked
    assert "Traceback" not in told or code
    [store] = tmp_path.iterdir()
    group = zarr.open_group(store, mode="r")
    record = group.attrs["napari_zarr_stream"]
    if asked:
        frames, lost = record["frames_committed"], record["frames_lost"]
        assert f"{frames} committed, {lost} lost. Saved in" in told
    assert record["finish_reason"] == "stopped"
    assert group["0"].shape[0] == record["frames_committed"] > 5
    assert record["frames_committed"] == record["frames_acquired"]
