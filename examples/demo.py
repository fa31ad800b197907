"""The main job: napari with the Record widget on a simulated camera.

Behind it lies the dock of a microscope, a simulated one, where pymmcore-plus is there.
With `--by-itself` it clicks Record, waits for the pyramid, takes a screenshot of the
window and prints what happened. `--small` is for computers that are slow.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_zarr_stream._acquire_widget import AcquireWidget
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import RecordWidget

FOLDER = Path("demo-output").absolute()


def main() -> int:
    """Open napari; record if nobody is there to click."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--by-itself", action="store_true")
    parser.add_argument("--small", action="store_true")
    arguments = parser.parse_args()
    side, frames, frame_rate = (512, 60, 5.0) if arguments.small else (2048, 300, 30.0)

    viewer = napari.Viewer(title="napari-zarr-stream")
    viewer.window.resize(1500, 950)
    viewer.canvas.overlays.scale_bar.visible = True
    widget = RecordWidget(viewer)
    has_microscope = not arguments.by_itself and find_spec("pymmcore_plus")
    if has_microscope:
        show_microscope(viewer)
    viewer.window.add_dock_widget(
        widget, name="Record to Zarr", area="right", tabify=bool(has_microscope)
    )
    widget.uri.value = FOLDER
    widget.camera_settings["width"].value = side
    widget.camera_settings["height"].value = side
    widget.camera_settings["frame_rate"].value = frame_rate
    widget.pixel_size_um.value = 0.325
    if not arguments.by_itself:
        napari.run()
        return 0
    widget.frame_count.value = frames
    return record(viewer, widget)


def show_microscope(viewer: napari.Viewer) -> None:
    """Dock what runs a microscope, with a simulated one: a click on Run is left."""
    widget = AcquireWidget(viewer)
    name = "Acquire (Micro-Manager)"
    viewer.window.add_dock_widget(widget, name=name, area="right")
    widget.uri.value = FOLDER
    widget.simulated.native.click()


def record(viewer: napari.Viewer, widget: RecordWidget) -> int:
    """Click Record and wait, as a user would; exit code 0 if nothing was lost."""
    QApplication.processEvents()
    session = session_of(viewer)
    loop = QEventLoop()
    session.ended.connect(loop.quit)
    while not widget.record.enabled:  # the disk is being looked at
        QApplication.processEvents()
    widget.record.native.click()
    loop.exec()
    # Let the pyramid be drawn and the counts be written.
    QTimer.singleShot(1500, loop.quit)
    loop.exec()
    status = session.status()
    screenshot = FOLDER / f"{status.path.stem}.png"
    viewer.screenshot(screenshot, canvas_only=False, flash=False)
    print(f"store:      {status.path}")
    print(f"screenshot: {screenshot}")
    print(
        f"frames:     {status.frames_acquired} acquired, "
        f"{status.frames_committed} committed, {status.frames_lost} lost"
    )
    viewer.close()
    complete = (
        status.frames_committed == widget.frame_count.value and status.frames_lost == 0
    )
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
