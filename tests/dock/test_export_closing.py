"""napari ends while an export runs: the user is asked, and nothing is left."""

import os
import signal

import pytest
from programs import run_python

QUIT = """
import os, sys
from pathlib import Path
import dask.array as da
import napari
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QMessageBox
from napari_zarr_stream._viewer.exporting import exporting_of
from napari_zarr_stream._widget import ExportWidget
folder, how = sys.argv[1:]
viewer = napari.Viewer()
endless = da.zeros((20_000, 512, 512), "u2", chunks=(16, 512, 512))
layer = viewer.add_image(endless, name="endless", axis_labels=("z", "y", "x"))
widget = ExportWidget(viewer)
viewer.window.add_dock_widget(widget)
widget.uri.value = Path(folder) / "a.zarr"
exporting, window = exporting_of(viewer), viewer.window._qt_window
answers = [QMessageBox.StandardButton.No, QMessageBox.StandardButton.Yes]

def answer():
    box = QApplication.activeModalWidget()
    if box is None:
        QTimer.singleShot(20, answer)
    else:
        print(box.text(), any(Path(folder).iterdir()))
        box.button(answers.pop(0)).click()
        if answers:
            act(exporting.planes[0] + 3)

def act(after=3):
    widget.export.native.click()  # as soon as it can be clicked; once
    if exporting.planes[0] < after:
        QTimer.singleShot(50, lambda: act(after))
    elif how.isdecimal():
        os.kill(os.getpid(), int(how))
    elif how == "program":
        viewer.close()
    else:
        QTimer.singleShot(0, answer)
        QApplication.postEvent(window.windowHandle(), QEvent(QEvent.Type.Close))

act()
napari.run()
print("ended:", exporting.said)
"""

WAYS = [
    pytest.param("corner", 2, marks=pytest.mark.long),
    pytest.param("program", 0, marks=pytest.mark.long),
]
if os.name != "nt":  # there is no such signal
    WAYS.append(pytest.param(int(signal.SIGTERM), 0, marks=pytest.mark.long))


@pytest.mark.parametrize(("how", "asked"), WAYS)
def test_nothing_is_cut_off_unasked_and_nothing_left(tmp_path, how, asked):
    """Where somebody is asked, "no" goes on, and "yes" comes a moment later."""
    told = run_python(QUIT, tmp_path, how).stdout
    question = (
        "An export is under way. Cancel it, which leaves nothing of it, and close?"
    )
    assert told.count(f"{question} True") == asked
    assert "ended: Cancelled: nothing was saved" in told
    assert not list(tmp_path.iterdir())
