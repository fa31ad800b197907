"""Counts and trouble, as the dock tells them."""

import re
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import zarr
from docks import SMALL, choose, record, small, start, stop
from qtpy.QtCore import Qt
from windows import click, messages, wait_until

import napari_zarr_stream._recording.recording as recording_module
import napari_zarr_stream._recording.run as run_module
import napari_zarr_stream._recording.together as together_module
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream.cameras import Fault, SimulatedCamera


def test_little_disk_space_is_said(dock, viewer, qtbot, monkeypatch):
    import napari_zarr_stream._recording.disk as module

    widget = dock()
    small(widget)
    nearly_full = module.RESERVE_BYTES + 2**20
    monkeypatch.setattr(module, "free_bytes", lambda path: nearly_full)
    start(widget, viewer, qtbot)
    wait_until(lambda: widget.trouble.visible)
    assert "Disk space for" in widget.trouble.value
    stop(widget, viewer, qtbot)
    assert not widget.trouble.visible


def test_a_recording_that_stops_itself_says_why(
    dock, viewer, qtbot, small_disk, monkeypatch
):
    """On a real disk of 1 MiB, of which 0.4 are kept, and which others fill as well."""
    widget = dock()
    small(widget, width=64, height=64, frame_rate=2)
    widget.device_kind.value, widget.multiscale.value = "ZarrV3", False
    widget.tile_width.value = widget.tile_height.value = 0
    widget.uri.value = small_disk
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    refused = "are kept in reserve. Free some space, record elsewhere"
    assert refused in messages()[-1]
    assert refused in widget.trouble.value
    smaller = partial(recording_module.Recording, reserve_bytes=400 * 2**10)
    monkeypatch.setattr(together_module, "Recording", smaller)
    start(widget, viewer, qtbot)
    little = r"Disk space for \d+ (s|min) at this rate: make room or stop"
    wait_until(lambda: re.search(little, widget.trouble.value))
    free = shutil.disk_usage(small_disk).free
    (small_disk / "of another").write_bytes(bytes(free - 380 * 2**10))
    wait_until(lambda: not session.is_busy)
    status = session.status()
    for said in (messages()[-1], widget.trouble.value):
        assert said.startswith("The recording stopped itself: ")
        assert (
            "kB are free on the disk and 410 kB are kept in reserve. Make room" in said
        )
        counted = f"{status.frames_committed} committed, {status.frames_lost} lost. "
        assert f"{counted}Saved in {status.path}" in said
    assert status.frames_committed == status.frames_acquired > 0
    assert widget.record.enabled
    viewer.layers.clear()  # they read from the disk that is to go


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
        pytest.param({"shift": -1}, "1 out of order", marks=pytest.mark.long),
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
    assert messages()[-1].startswith("Saved recording_0001.zarr, 20 frames, ")
    assert "20 frames acquired, 20 committed, " in messages()[-1]
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
    widget = dock(Unplugged=lambda: SimulatedCamera(faults=faults, **SMALL))
    choose(widget, "Unplugged")
    assert_fails_with("unplugged at frame 5", widget, viewer, qtbot)


def assert_fails_with(words, widget, viewer, qtbot):
    """After five frames, which are kept; and it can be tried again."""
    for _ in range(2):
        start(widget, viewer, qtbot)
        session = session_of(viewer)
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
    monkeypatch.setattr(run_module, "SILENT_S", 0.3)
    faults = [Fault(5, "stall", seconds=1.5)]
    widget = dock(Silent=lambda: SimulatedCamera(faults=faults, **SMALL))
    choose(widget, "Silent")
    widget.frame_count.value = 300
    start(widget, viewer, qtbot)
    wait_until(lambda: widget.trouble.visible)
    said = widget.trouble.value
    assert said.startswith("No frame for ")
    assert "is the camera connected, and triggered? Stop keeps what came." in said
    session = session_of(viewer)
    wait_until(lambda: session.status().frames_acquired > 5)  # it came back
    wait_until(lambda: "No frame" not in widget.trouble.value)
    status = stop(widget, viewer, qtbot)
    assert status.frames_committed == status.frames_acquired
    assert session.status().finish_reason is FinishReason.STOPPED


def test_progress_of_a_colour_camera_counts_frames(dock, viewer, qtbot):
    """Not the three planes of each: the bar ended at a third."""
    widget = dock(Colour=Colour)
    choose(widget, "Colour")
    widget.frame_count.value = 6
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    assert session.status().frames_acquired == 6
    assert widget.progress.value == widget.progress.max == 6


class Colour(SimulatedCamera):
    _is_reading = False

    def __init__(self):
        super().__init__("cells", width=64, height=48, frame_rate=100)

    @property
    def shape(self):
        flat = super().shape
        return flat if self._is_reading else (3, *flat)

    def read_into(self, out, timeout_s):
        frame = np.empty(self.shape[1:], self.dtype)
        self._is_reading = True
        info = super().read_into(frame, timeout_s)
        self._is_reading = False
        if info is not None:
            out[...] = np.stack([frame] * 3)
        return info


MARKUP = "<b>Zyla</b> & <img src=x>"


def test_names_are_shown_letter_by_letter(dock, viewer, qtbot, tmp_path):
    def broken():
        raise OSError(f"no {MARKUP}")

    widget = dock(**{MARKUP: Small, "Broken": broken})
    small(widget)
    click(widget.cameras.add_camera, qtbot)
    [second] = widget.cameras.others
    second.source.value = MARKUP
    wait_until(lambda: second.is_ready and second.control.name == MARKUP)
    widget.uri.value = tmp_path / "a <b>bold<b> place"
    widget.frame_count.value = 3
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    assert "&lt;b&gt;Zyla&lt;/b&gt; &amp; &lt;img" in widget.counts.value
    assert "<img" not in widget.counts.value
    widget.source.value = "Broken"
    message = widget.cameras.first.message
    wait_until(lambda: MARKUP in message.text())
    for label in (message, widget.plan_line.native, widget.trouble.native):
        assert label.textFormat() == Qt.TextFormat.PlainText


class Small(SimulatedCamera):
    def __init__(self):
        super().__init__("cells", width=64, height=48, frame_rate=100)
