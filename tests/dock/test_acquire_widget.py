"""The Acquire widget in a real window, with the simulated microscope."""

import importlib.util
import itertools
import threading
import warnings

import numpy as np
import pytest
import zarr
from buckets import local_files
from qtpy.QtWidgets import QApplication, QMessageBox
from waiting import PATIENCE_S
from windows import click, messages, wait_until

from napari_zarr_stream import WriteFailed
from napari_zarr_stream._acquire_widget import AcquireWidget
from napari_zarr_stream._acquisition.asked import AskedPosition
from napari_zarr_stream._viewer import run_layers
from napari_zarr_stream._viewer.run_layers import RunLayers
from napari_zarr_stream._writer import memory, system
from napari_zarr_stream._writer.image_set import ImageSet
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream.cameras.micromanager import simulated

if importlib.util.find_spec("pymmcore_plus") is None:
    pytest.skip("pymmcore-plus is not installed", allow_module_level=True)

HEIGHT, WIDTH = 64, 96
STAGE = [AskedPosition("a", 0, 0), AskedPosition("b", 100, 0), AskedPosition("c", 0, 9)]


@pytest.fixture
def dock(viewer, tmp_path, monkeypatch):
    """The widget, with a small simulated microscope."""
    monkeypatch.setattr(simulated, "_SHAPE", (HEIGHT, WIDTH))
    widget = AcquireWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Acquire (Micro-Manager)")
    widget.uri.value = tmp_path / "out"
    widget.tile_width.value = widget.tile_height.value = 32
    widget.simulated.native.click()
    acquiring = widget._acquiring
    wait_until(lambda: acquiring.followed.microscope is not None)
    widget.form.channels.choose(["DAPI", "FITC"])
    yield widget
    acquiring.stop()
    wait_until(lambda: not acquiring.is_busy)
    widget._dock_closed()
    acquiring.followed.end_simulation()


def run(widget, qtbot):
    wait_until(lambda: widget.run.enabled)
    click(widget.run, qtbot)
    assert widget._acquiring.is_busy, messages()[-1:]


def end(widget):
    wait_until(lambda: not widget._acquiring.is_busy)
    return widget._acquiring.status()


def stored(status, image, *place):
    return zarr.open_group(status.path, mode="r")[f"{image}/0"][place]


def test_a_run_of_positions_is_looked_through(dock, viewer, qtbot):
    form, acquiring = dock.form, dock._acquiring
    form.loops.value, form.interval_s.value = 2, 600
    form.z_range_um.value, form.z_step_um.value = 1, 1
    form.where.value = "A list"
    form.list.extend(STAGE)
    wait_until(lambda: dock.run.enabled)
    assert "24 planes of 96 × 64 px: 3 positions" in dock.plan_line.value
    run(dock, qtbot)
    assert not dock.run.enabled
    wait_until(lambda: acquiring.status().committed == 12)  # and then it waits
    wait_until(lambda: acquiring.layers is not None)
    live = list(viewer.layers)
    assert [layer.name for layer in live] == ["Live: DAPI", "Live: FITC"]
    assert {layer.data.shape for layer in live} == {(3, 2, 2, HEIGHT, WIDTH)}
    assert live[0].axis_labels == ("p", "t", "z", "y", "x")
    assert not dock.tile_planes.native.isVisibleTo(dock.native)
    dock._run.show_status()
    assert "next in 1" in dock.counts.value
    click(dock.pause, qtbot)
    wait_until(lambda: "Paused" in dock.counts.value)
    assert "next in" not in dock.counts.value
    assert dock.pause.text == "Go on"
    click(dock.pause, qtbot)
    wait_until(lambda: "next in" in dock.counts.value)
    assert dock.pause.text == "Pause"
    # What is not there yet is black, and said.
    viewer.dims.set_current_step((0, 1, 2), (2, 1, 1))
    assert dock.live.text == "Back to live"
    assert dock.looked_at.value == "c, t 1, z 1; DAPI not acquired; FITC not acquired"
    assert not np.asarray(live[1].data[2, 1, 1]).any()
    # What is there comes from the store.
    viewer.dims.set_current_step((0, 1, 2), (1, 0, 1))
    status = acquiring.status()
    for c, layer in enumerate(live):
        wait_until(lambda layer=layer: np.asarray(layer.data[1, 0, 1]).any())
        np.testing.assert_array_equal(layer.data[1, 0, 1], stored(status, 1, 0, c, 1))
    click(dock.live, qtbot)
    assert dock.live.text == "Live"
    click(dock.cancel, qtbot)
    status = end(dock)
    assert status.finish_reason is FinishReason.CANCELED
    assert (status.committed, status.missing) == (12, 12)
    assert [layer.name for layer in viewer.layers] == ["DAPI", "FITC"]
    for c, layer in enumerate(viewer.layers):
        for p, z in itertools.product(range(3), range(2)):
            np.testing.assert_array_equal(
                layer.data[0][p, 0, z], stored(status, p, 0, c, z)
            )
    assert dock.saved.value == "Cancelled, saved recording_0001.zarr"
    assert "recording_0002.zarr" in dock.state.value


class StandingDisk:
    """A disk that stands still from `stop` on, until `go_on`."""

    def __init__(self, monkeypatch):
        self.write_at, self.gate, self.waiting = system.write_at, threading.Event(), 0
        self.go_on()
        monkeypatch.setattr(system, "write_at", self._write_at)

    def _write_at(self, *arguments):
        self.waiting += not self.gate.is_set()
        self.gate.wait()
        self.write_at(*arguments)

    def stop(self):
        self.gate.clear()

    def go_on(self):
        self.gate.set()


@pytest.fixture
def disk(monkeypatch):
    disk = StandingDisk(monkeypatch)
    # A window that waits for it does so until then, and is found out.
    too_late = threading.Timer(PATIENCE_S, disk.go_on)
    too_late.start()
    yield disk
    disk.go_on()
    too_late.cancel()
    too_late.join()


def test_the_window_goes_on_while_the_disk_stands_still(
    dock, viewer, qtbot, monkeypatch, disk
):
    monkeypatch.setattr(memory, "MAX_SLOTS", 0)  # no more than workers need
    acquiring = dock._acquiring
    dock.form.loops.value = 10**5
    dock.form.where.value = "A list"
    dock.form.list.extend(STAGE)
    dock.records_others.value = True
    run(dock, qtbot)
    wait_until(lambda: acquiring.status().committed > 12)
    # The sliders follow the newest: they are not at the first, nor where napari begins.
    wait_until(lambda: 0 < viewer.dims.current_step[1] < 10**4)
    disk.stop()
    wait_until(lambda: disk.waiting >= memory.WORKERS)
    acquired = acquiring.status().acquired
    # All that a user does meanwhile, and what the window does by the clock.
    for step in range(3):
        viewer.dims.set_current_step((0, 1), (step, 0))
        wait_until(lambda: dock.live.text == "Back to live")
        click(dock.live, qtbot)
        click(dock.pause, qtbot)
        for _ in range(5):
            acquiring._poll()
            acquiring.follow_core()
            dock._run.show_status()
            QApplication.processEvents()
        click(dock.pause, qtbot)
        viewer.dims.set_current_step((0, 1), (step, 0))
        click(dock.live, qtbot)
    click(dock.cancel, qtbot)
    assert not disk.gate.is_set(), "the window waited for the disk"
    # What had no place in the queue waited in the thread of the run.
    assert acquiring.status().acquired < acquired + 100
    assert acquiring.is_busy
    disk.go_on()
    status = end(dock)
    assert status.finish_reason is FinishReason.CANCELED
    assert status.committed == status.acquired


@pytest.mark.long
def test_what_came_between_two_looks_is_shown_once(dock, viewer, qtbot, monkeypatch):
    acquiring = dock._acquiring
    dock.form.loops.value = 30
    refreshed = []
    monkeypatch.setattr(
        run_layers, "refresh_pixels", lambda _, layer: refreshed.append(layer)
    )
    monkeypatch.setattr(RunLayers, "_go_to", lambda *_: False)
    run(dock, qtbot)
    acquisition = acquiring.acquisition
    wait_until(lambda: acquiring.layers is not None)
    acquisition.wait(PATIENCE_S)  # the window stands still, and planes come
    before, layers = len(refreshed), acquiring.layers
    layers.follow(acquisition.status())
    assert len(refreshed) - before == 2  # its channels
    layers.follow(acquisition.status())
    assert len(refreshed) - before == 2
    assert end(dock).committed == 60


def test_a_run_is_brought_away_while_it_is_recorded(dock, qtbot, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    dock.upload_to.value = str(away)
    run(dock, qtbot)
    status = end(dock)
    wait_until(lambda: not dock._acquiring.uploads.is_busy)
    assert (status.committed, dock._acquiring.status().uploaded) == (2, 2)
    assert "<b>2</b> uploaded" in dock.counts.value
    assert local_files(away / status.path.name) == local_files(status.path)


@pytest.mark.long
def test_a_plate_that_is_cancelled_and_one_that_another_starts(dock, viewer, qtbot):
    form, acquiring = dock.form, dock._acquiring
    form.where.value, form.wells.value = "A plate", "A1, B2"
    form.loops.value, form.interval_s.value = 3, 600
    run(dock, qtbot)
    wait_until(lambda: acquiring.status().next_event_s)
    wait_until(lambda: acquiring.status().committed == 4)
    dock._run.show_status()
    assert "next in 10 min" in dock.counts.value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other wells are not there
        click(dock.cancel, qtbot)
        status = end(dock)
    assert status.finish_reason is FinishReason.CANCELED
    assert (status.committed, status.missing) == (4, 8)
    assert dock.saved.value.startswith("Cancelled, saved")
    assert {layer.data[0].shape[-2:] for layer in viewer.layers} == {
        (8 * HEIGHT, 12 * WIDTH)
    }
    # One that somebody else starts
    viewer.layers.clear()
    form.loops.value = 1
    dock.records_others.value = True
    core = acquiring.followed.core
    engine = core.mda.engine
    wait_until(lambda: acquiring.new_properties is not None)
    core.run_mda(form.sequence())
    wait_until(lambda: acquiring.is_busy)
    status = end(dock)
    assert (status.finish_reason, status.committed) == (FinishReason.COMPLETED, 4)
    assert len(viewer.layers) == 2
    dock.records_others.value = False
    wait_until(lambda: core.mda.engine is not engine)
    assert core.mda.engine is engine.inner


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_goes_wrong_is_told(dock, viewer, qtbot, monkeypatch):
    acquiring = dock._acquiring
    dock.form.loops.value = 4
    # A camera that fails once: the runner says that all went well.
    snap, calls = simulated.picture, itertools.count()

    def fail_once(bench):
        if next(calls) == 3:
            raise RuntimeError("no light")
        return snap(bench)

    monkeypatch.setattr(simulated, "picture", fail_once)
    run(dock, qtbot)
    status = end(dock)
    assert status.finish_reason is FinishReason.INCOMPLETE
    assert (status.committed, status.missing) == (7, 1)
    assert "Incomplete: " in dock.trouble.value
    # Once, and as who looks through a microscope says it.
    assert "1 of 8 planes did not come and are black (t 1, position " in (
        dock.trouble.value
    )
    assert dock.trouble.value.count("t 1") == dock.trouble.value.count("black") == 1
    assert "FITC" in dock.trouble.value
    assert any("Incomplete" in message for message in messages())
    # A disk that fails
    put, count = ImageSet.put, itertools.count()

    def put_some(self, *args):
        if next(count) == 2:
            raise WriteFailed(28, "no space left", "x")
        put(self, *args)

    monkeypatch.setattr(ImageSet, "put", put_some)
    run(dock, qtbot)
    status = end(dock)
    assert status.finish_reason is FinishReason.FAILED
    assert "The run failed" in dock.trouble.value
    assert not acquiring.followed.core.isSequenceRunning()
    monkeypatch.setattr(ImageSet, "put", put)
    run(dock, qtbot)
    assert end(dock).finish_reason is FinishReason.COMPLETED
    assert not dock.trouble.visible


@pytest.mark.long
def test_a_window_that_is_closed_asks_first(dock, viewer, qtbot, monkeypatch):
    asked = []

    def answer(_, title, question):
        asked.append(question)
        return QMessageBox.StandardButton.No

    monkeypatch.setattr(QMessageBox, "question", answer)
    dock.form.loops.value, dock.form.interval_s.value = 2, 600
    run(dock, qtbot)
    wait_until(lambda: dock._acquiring.status().acquired)
    assert not viewer.window._qt_window.close()
    assert len(asked) == 1
    assert "A run is being recorded" in asked[0]
    assert dock._acquiring.is_busy
    click(dock.cancel, qtbot)
    assert end(dock).finish_reason is FinishReason.CANCELED


@pytest.mark.long
def test_there_is_no_microscope(viewer, tmp_path):
    widget = AcquireWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Acquire (Micro-Manager)")
    widget._acquiring.followed._take(None)
    widget.uri.value = tmp_path / "out"
    wait_until(lambda: "no camera" in widget.plan_line.value)
    assert "No Micro-Manager in this program" in widget.microscope.value
    assert not widget.run.enabled
    widget._dock_closed()
