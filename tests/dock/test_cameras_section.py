"""Cameras found, those that are missing, and several at once."""

import threading
from types import SimpleNamespace

import pytest
import zarr
from docks import CELLS, SINE, SMALL, is_waiting, let_find, let_go, small, start, stop
from windows import click, messages, wait_until

import napari_zarr_stream._dock.cameras_section as cameras_section
from napari_zarr_stream._dock.source_section import ONE_STORE
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget
from napari_zarr_stream.cameras import CameraLost, FoundCameras, SimulatedCamera
from napari_zarr_stream.cameras.registry import simulated_cameras


def test_without_extras_it_says_how_to_get_cameras(viewer, monkeypatch):
    import napari_zarr_stream.cameras.registry as registry

    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Record to Zarr")
    assert {CELLS, SINE} <= set(widget.source.choices)  # at once
    wait_until(lambda: widget.record.enabled)
    wait_until(lambda: not widget.cameras.is_searching)
    assert set(widget.source.choices) == set(simulated_cameras())
    text = widget.cameras.missing.text()
    for extra in ("micromanager", "genicam", "basler", "gentl", "opencv"):
        assert f"pip install &quot;napari-zarr-stream[{extra}]&quot;" in text
    wait_until(lambda: widget.cameras._more.isVisible())


def test_what_failed_is_listed_and_refresh_finds_more(dock, qtbot, monkeypatch):
    widget = dock()
    name = "Simulated: plugged in later"
    let_find(monkeypatch, failed={"Basler": "no <driver>"}, **{name: SimulatedCamera})
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


def test_what_a_camera_cannot_be_asked_is_said(dock):
    class Reticent(SimulatedCamera):
        @property
        def info(self):
            return {"name": "Reticent", "left out": "gain: ValueError: no such node"}

    widget = dock(Reticent=Reticent)
    widget.source.value = "Reticent"
    message = widget.cameras.first.message
    wait_until(lambda: "cannot tell gain: ValueError: no such node" in message.text())
    wait_until(lambda: widget.cameras.first.is_ready)
    assert widget.record.enabled


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


def await_frames(viewer):
    """A layer may be there before the first frame is."""
    statuses = session_of(viewer).statuses
    wait_until(lambda: all(status.frames_acquired for _, status in statuses()))


@pytest.mark.parametrize("one_store", [False, True])
def test_two_cameras_at_once(dock, viewer, qtbot, one_store):
    widget = dock()
    two_cameras(widget, qtbot)
    if one_store:
        widget.stores.value = ONE_STORE
    start(widget, viewer, qtbot)
    lives = [layer for layer in viewer.layers if layer.name.startswith("Live")]
    assert len(lives) == 2
    # side by side
    assert lives[1].extent.world[0][-1] >= lives[0].extent.world[1][-1]
    await_frames(viewer)
    stop(widget, viewer, qtbot)
    statuses = [status for _, status in session_of(viewer).statuses()]
    frames = [s.frames_committed for s in statuses]
    assert all(frames), messages()
    assert frames == [s.frames_acquired for s in statuses]
    shapes = [zarr.open_array(s.path / "0", mode="r").shape for s in statuses]
    assert shapes == [(frames[0], 120, 160), (frames[1], 48, 64)]
    same = statuses[0].path.parent == statuses[1].path.parent
    assert same
    assert (statuses[0].path.parent.suffix == ".zarr") == one_store
    assert len(viewer.layers) == 2
    assert CELLS in widget.counts.value
    assert widget.counts.value.count("acquired") == 2


class Unplugged(SimulatedCamera):
    """Until the event is set it is a camera as any other."""

    is_out = threading.Event()

    def read_into(self, out, timeout_s):
        if self.is_out.is_set():
            raise CameraLost("unplugged")
        return super().read_into(out, timeout_s)


def test_if_one_camera_fails_the_others_go_on(dock, viewer, qtbot, monkeypatch):
    name = "Unplugged"
    monkeypatch.setattr(Unplugged, "is_out", threading.Event())
    widget = dock(**{name: lambda: Unplugged(**SMALL)})
    small(widget)
    click(widget.cameras.add_camera, qtbot)
    [second] = widget.cameras.others
    second.source.value = name
    wait_until(lambda: second.is_ready and second.control.name == name)
    session = start(widget, viewer, qtbot)
    await_frames(viewer)
    Unplugged.is_out.set()
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
    assert widget._what.stores_row.isVisible()
    click(second.remove, qtbot)
    assert not widget.cameras.others
    assert not widget._what.stores_row.isVisible()
    assert widget.record.enabled


def test_cameras_appear_as_they_are_found_and_who_hangs_is_named(
    viewer, tmp_path, monkeypatch
):
    searched = SimpleNamespace(
        found=FoundCameras(simulated_cameras(), awaited=("Quick", "Hanging"))
    )
    monkeypatch.setattr(cameras_section, "CameraSearch", lambda: searched)
    widget = RecordWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Record to Zarr")
    title = widget.cameras._more.button
    assert widget.cameras.is_searching
    wait_until(lambda: "Looking for cameras: Quick, Hanging" in title.text())
    assert CELLS in widget.source.choices
    more = {**simulated_cameras(), "Quick one": SimulatedCamera}
    searched.found = FoundCameras(more, awaited=("Hanging",))
    wait_until(lambda: "Quick one" in widget.source.choices)
    assert "Looking for cameras: Hanging" in title.text()
    searched.found = FoundCameras(more, failed={"Hanging": "no answer: it hangs"})
    wait_until(lambda: not widget.cameras.is_searching)
    assert "it hangs" in widget.cameras.missing.text()
    assert "Quick one" in widget.source.choices
    let_go(widget)
