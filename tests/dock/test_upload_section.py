"""The dock brings a recording to another place, and says how that goes."""

import pytest
from docks import CELLS, small, start
from qtpy.QtGui import QCloseEvent
from windows import wait_until

from napari_zarr_stream._upload.progress import UploadPhase, UploadStatus
from napari_zarr_stream._viewer.uploading import Uploads


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("disk µ")


def files_of(root):
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_recording_goes_to_another_disk(viewer, dock, qtbot, tmp_path, place):
    widget = dock()
    section = widget._where_to
    widget.upload_to.value = "gs://bucket"
    assert "Google's buckets are not supported" in section._problem.text()
    widget.upload_to.value = "s3://bucket"
    assert not section._bucket.isHidden()
    widget.upload_to.value = str(place)
    assert section._problem.isHidden()
    assert section._bucket.isHidden()
    widget.frame_count.value = 12
    small(widget, CELLS)
    session = start(widget, viewer, qtbot)
    wait_until(lambda: not session.is_busy)
    status = session.status()
    wait_until(lambda: not session.uploads.is_busy)
    wait_until(lambda: "Uploaded to" in widget.upload.value)
    assert f"Uploaded to {place / status.path.name}" in widget.upload.value
    assert "12</b> uploaded" in widget.counts.value
    assert files_of(place / status.path.name) == files_of(status.path)
    # No keys are kept: there is no field for them among those that are.
    names = {field.name for field in widget._kept.fields}
    assert {"upload_to", "upload_endpoint", "delete_local"} <= names
    assert not any("key" in name or "secret" in name for name in names)


class Slow:
    """An upload under way, as far as a window knows of it."""

    def __init__(self):
        self.phase = UploadPhase.SWEEPING
        self.stops = 0

    def status(self):
        return UploadStatus(
            self.phase, "s3://bucket/a.zarr", bytes_behind=3 * 10**9, files_behind=12,
            bytes_per_second=10**7,
        )  # fmt: skip

    def stop(self):
        self.stops += 1
        self.phase = UploadPhase.STOPPED

    def delete_when(self, may_delete):
        pass


CLOSING = [("stay", True, 0), ("finish", True, 0), ("now", False, 1)]


def test_a_window_that_closes_asks(viewer, monkeypatch):
    module = "napari_zarr_stream._viewer.uploading"
    closed = []
    monkeypatch.setattr(f"{module}.is_taken_apart", lambda window: False)
    monkeypatch.setattr(f"{module}.close_as_asked", lambda window: closed.append(1))
    for answer, stays, stops in (
        ("stay", True, 0),
        ("finish", True, 0),
        ("now", False, 1),
    ):
        uploads, slow = Uploads(viewer), Slow()
        uploads.follow([slow], waits=lambda: False)
        monkeypatch.setattr(uploads, "_ask", lambda answer=answer: answer)
        window = uploads._window()
        assert uploads.eventFilter(window, QCloseEvent()) is stays
        assert slow.stops == stops
        if answer == "finish":
            slow.phase = UploadPhase.DONE
            wait_until(lambda: closed)
        uploads._stop()
        window.removeEventFilter(uploads)
    assert closed == [1]
