"""What the settings come to."""

import re
import threading

import pytest
from docks import CELLS, choose
from qtpy.QtCore import QObject, QTimer
from waiting import PATIENCE_S
from windows import wait_until

import napari_zarr_stream._dock.place as place

SETTINGS = [
    ("tile_width", 48, "8 tiles of 48 × 64 px per frame"),
    ("tile_height", 40, "9 tiles of 64 × 40 px per frame"),
    ("multiscale", False, "1 level: 160 × 120"),
    ("sharded", False, "4,096 frames per chunk, 16 MiB"),
    ("max_chunk_mib", 3, "chunk cap raised"),
    ("frame_count", 100, "2.52 MB in all before compression"),
    ("device_kind", "Zarr", "4,096 frames per chunk, 16 MiB"),
    ("uri", "elsewhere.zarr", "elsewhere.zarr"),
    ("width", 320, "10 tiles of 64 × 64 px per frame"),
    ("height", 60, "3 tiles of 64 × 60 px per frame"),
    ("pixel_type", "uint16 (16 bit)", "0.00781 MiB"),
    ("frame_rate", 50, "1.26 MB/s"),
]
OF_THE_CAMERA = ("width", "height", "pixel_type", "frame_rate")


def without_disk(plan):
    """Other tests fill it meanwhile, or empty it."""
    return re.sub("disk space for .*", "disk space for …", plan)


def test_the_plan_follows_every_setting(widget, tmp_path):
    def put(field, value):
        if field in OF_THE_CAMERA:
            choose(widget, CELLS, **{field: value})
        else:
            getattr(widget, field).value = value

    for field, value, words in SETTINGS:
        plan = without_disk(widget.plan_line.value)
        assert "6 tiles of 64 × 64 px per frame" in plan, field
        assert "3 levels: 160 × 120, 80 × 60, 40 × 30" in plan, field
        assert "2.52 MB/s, disk space for …" in plan, field
        assert str(tmp_path / "out" / "recording_0001.zarr") in plan, field
        assert words not in plan, field
        of_camera = field in OF_THE_CAMERA
        settings = widget.camera_settings
        before = (settings[field] if of_camera else getattr(widget, field)).value
        put(field, tmp_path / value if field == "uri" else value)
        wait_until(lambda w=words: w in widget.plan_line.value)
        assert widget.record.enabled, field
        put(field, before)
        wait_until(lambda p=plan: without_disk(widget.plan_line.value) == p)


def test_a_disk_that_does_not_answer_keeps_no_window_waiting(widget, monkeypatch):
    answers = threading.Event()
    free_bytes = place.free_bytes

    def slow(path):
        answers.wait(PATIENCE_S)
        return free_bytes(path)

    monkeypatch.setattr(place, "free_bytes", slow)
    widget.uri.value = "/tmp"
    assert widget.plan_line.value == "Looking at /tmp …"
    assert not widget.record.enabled
    ticks = []
    timer = QTimer(widget.native)
    timer.timeout.connect(lambda: ticks.append(None))
    timer.start(5)
    wait_until(lambda: len(ticks) > 20)
    assert widget.plan_line.value == "Looking at /tmp …"
    answers.set()
    wait_until(lambda: widget.record.enabled)
    assert "Saves to /tmp/recording_" in widget.plan_line.value


def test_what_was_looked_at_ahead_is_not_looked_at_again(qapp, tmp_path, monkeypatch):
    looked_at, look = [], place._look
    monkeypatch.setattr(place, "_look", lambda *of: looked_at.append(of) or look(*of))
    parent = QObject()
    of_dock = place.PlaceLook(parent)
    of_dock.look_ahead(tmp_path, 1)

    def is_known():
        try:
            return bool(of_dock.place_of(tmp_path, 1).paths)
        except place.PlaceIsAwaited:
            return False

    wait_until(is_known)
    assert looked_at == [(tmp_path, 1, "")]
    parent.deleteLater()


def test_a_disk_without_holes_is_found_by_trying(widget, tmp_path, monkeypatch):
    monkeypatch.setattr(place.system, "has_holes", lambda folder: False)
    folder = tmp_path / "stick"
    folder.mkdir()
    widget.uri.value = folder
    wait_until(lambda: "no holes in files" in widget.plan_line.value)
    assert widget.record.enabled
    widget.sharded.value = False
    wait_until(lambda: "no holes in files" not in widget.plan_line.value)


def test_an_impossible_setting_is_said_and_record_is_off(widget):
    settings = widget.camera_settings
    settings["width"].value = settings["height"].value = 8192
    widget.tile_width.value = widget.tile_height.value = 0
    widget.sharded.value = False
    widget.max_chunk_mib.value = 2**20
    assert "blosc" in widget.plan_line.value
    assert not widget.record.enabled
    widget.max_chunk_mib.value = 2000
    assert "of memory" in widget.plan_line.value
    widget.sharded.value = True
    widget.tile_width.value = widget.tile_height.value = 512
    assert "levels" in widget.plan_line.value
    assert widget.record.enabled


@pytest.mark.parametrize("place", ["a file", "a file/deeper/a.zarr", "a" * 300])
def test_a_place_that_cannot_be_written_is_said(widget, tmp_path, place):
    (tmp_path / "a file").write_text("mine")
    widget.uri.value = tmp_path / place
    wait_until(lambda: not widget.record.enabled)
    assert "Saves to" not in widget.plan_line.value
    widget.uri.value = tmp_path
    wait_until(lambda: widget.record.enabled)
