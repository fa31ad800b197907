"""Pictures of the Acquire dock in a real napari window, with the simulated microscope.

`python tools/acquire_screenshots.py --folder docs/images` draws those of the docs anew;
with `--all` also those that are only for looking at.
"""

import argparse
import itertools
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

# Nothing that was chosen before is shown, and nothing is kept.
os.environ["NAPARI_CONFIG"] = ""

import napari
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_zarr_stream import WriteFailed
from napari_zarr_stream._acquire_widget import AcquireWidget
from napari_zarr_stream._acquisition.asked import AskedPosition
from napari_zarr_stream._viewer.acquiring import acquiring_of
from napari_zarr_stream._writer.image_set import ImageSet
from napari_zarr_stream.cameras.micromanager import simulated

OF_THE_DOCS = ("acquire-form", "acquire-running", "acquire-plate")
PATIENCE_S = 300.0
DRAWN_S = 1.0
COLOURS = 256
STAGE = [
    AskedPosition("centre", 0, 0, 0),
    AskedPosition("right", 330, 0, 0),
    AskedPosition("below", 0, -330, 0),
    AskedPosition("corner", 330, -330, 0),
]


class Stage:
    """A napari window with the dock, and the hands and eyes of a user."""

    def __init__(self, folder: Path, out: Path, only: tuple[str, ...]) -> None:
        self.out, self.only = out, only
        self.viewer = napari.Viewer(title="napari", show=True)
        self.viewer.window.resize(1150, 860)
        self.widget = widget = AcquireWidget(self.viewer)
        dock = self.viewer.window.add_dock_widget(
            widget, name="Acquire (Micro-Manager)"
        )
        widget.uri.value = folder
        dock.window().resizeDocks([dock], [360], Qt.Orientation.Horizontal)
        self.acquiring = acquiring_of(self.viewer)
        widget.simulated.native.click()
        self.wait_for(lambda: self.acquiring.followed.microscope is not None)
        widget.form.channels.choose(["DAPI", "FITC"])

    def look(self, seconds: float) -> None:
        """Let the window go on."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Let the window go on until something is true."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("it never came true")
            self.look(0.02)

    def run(self) -> None:
        """Click on Run."""
        self.wait_for(lambda: self.widget.run.enabled)
        self.widget.run.native.click()

    def end(self) -> None:
        """Wait for the end of the run."""
        self.wait_for(lambda: not self.acquiring.is_busy)
        self.look(0.5)

    def take(self, name: str) -> None:
        """Take a picture, if it is asked for."""
        if name not in self.only:
            return
        self.viewer.reset_view()
        window = self.widget.native.window()
        for message in window.findChildren(NapariQtNotification):
            message.close()  # those that fade lie over each other
        self.look(DRAWN_S)
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        picture = Image.fromarray(pixels).convert("RGB")
        path = self.out / f"{name}.png"
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)

    def close(self) -> None:
        """Close the window."""
        self.acquiring.followed.end_simulation()
        self.viewer.close()
        QApplication.processEvents()


def draw(stage: Stage) -> None:
    """All scenes, one after the other."""
    form = stage.widget.form
    form.where.value = "A list"
    form.list.extend(STAGE)
    form.loops.value, form.interval_s.value = 3, 600
    form.z_range_um.value, form.z_step_um.value = 4, 2
    stage.wait_for(lambda: stage.widget.run.enabled)
    stage.take("acquire-form")
    stage.run()
    stage.wait_for(lambda: stage.acquiring.status().committed == 24)
    stage.viewer.dims.set_current_step((0, 1, 2), (1, 0, 1))
    stage.look(2.0)
    stage.take("acquire-running")
    stage.widget.cancel.native.click()
    stage.end()

    stage.viewer.layers.clear()
    form.loops.value = 1
    stage.widget.opened_as.value = "side by side"
    stage.run()
    stage.end()
    stage.take("acquire-positions")

    stage.viewer.layers.clear()
    form.where.value, form.plate.value = "A plate", "6-well"
    form.wells.value = "A1:B3"
    form.z_range_um.value = 0
    stage.run()
    stage.end()
    stage.take("acquire-plate")

    stage.viewer.layers.clear()
    form.where.value, form.loops.value = "Where the stage is", 4
    form.interval_s.value = 0
    picture, calls = simulated.picture, itertools.count()

    def fail_once(bench: object) -> object:
        if next(calls) == 3:
            raise RuntimeError("the camera gave no frame")
        return picture(bench)

    simulated.picture = fail_once
    stage.run()
    stage.end()
    stage.take("acquire-incomplete")
    simulated.picture = picture

    stage.viewer.layers.clear()
    put, count = ImageSet.put, itertools.count()

    def put_some(self: ImageSet, *given: object) -> None:
        if next(count) == 5:
            raise WriteFailed(28, "No space left on device", "/data")
        put(self, *given)

    ImageSet.put = put_some
    stage.run()
    stage.end()
    stage.take("acquire-error")
    ImageSet.put = put


def main() -> None:
    """Draw the pictures that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("docs/images"))
    parser.add_argument("--all", action="store_true")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    more = ("acquire-positions", "acquire-incomplete", "acquire-error")
    only = OF_THE_DOCS + more * asked.all
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder), asked.folder, only)
        try:
            draw(stage)
        finally:
            stage.close()


if __name__ == "__main__":
    main()
