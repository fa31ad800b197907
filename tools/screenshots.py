"""Pictures of the real widget in a real napari window, as they stand in the docs.

`make screenshots` draws those that the docs show anew, so that they do not drift from
what the program is, and all of them, dark and light, into build/screenshots, to be
looked at. What each one shows is the docstring of its function.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# Nothing that was chosen before is shown, and nothing is kept.
os.environ["NAPARI_CONFIG"] = ""

import dask.array as da
import napari
import numpy as np
import numpy.typing as npt
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_zarr_stream._dock.source_section import ONE_STORE
from napari_zarr_stream._viewer.exporting import exporting_of
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._widget import ExportWidget, RecordWidget

CELLS = "Simulated: cells"
TYX = ("t", "y", "x")
SLOW = {"width": 1024, "height": 1024, "frame_rate": 5}
"""Of a camera that a busy machine can follow, drawing in software."""

PATIENCE_S = 600.0
COLOURS = 256
"""Of a picture: the window has few, and a picture is a third as large."""


class Stage:
    """A napari window with the dock, and the hands and eyes of a user.

    Parameters
    ----------
    folder : Path
        Recordings go into it.
    theme : str
    width_px : int
        Of the dock.
    """

    def __init__(self, folder: Path, theme: str, width_px: int = 340) -> None:
        self.viewer = napari.Viewer(title="napari", show=True)
        self.viewer.theme = theme
        self.viewer.window.resize(1150, 760)
        self.widget = RecordWidget(self.viewer)
        self.dock = self.viewer.window.add_dock_widget(
            self.widget, name="Record to Zarr"
        )
        self.widget.uri.value = folder
        self.session = session_of(self.viewer)
        self.wait_for(lambda: not self.widget.cameras.is_searching)
        self.widget.cameras.search = lambda: None
        self.resize(width_px)

    def resize(self, width_px: int) -> None:
        """Make the dock as wide as that."""
        window = self.dock.window()
        window.resizeDocks([self.dock], [width_px], Qt.Orientation.Horizontal)
        self.look(0.3)

    def look(self, seconds: float) -> None:
        """Let the window go on, and come to rest: what one round asks the next does."""
        end, rounds = time.monotonic() + seconds, 0
        while time.monotonic() < end or rounds < 10:
            QApplication.processEvents()
            time.sleep(0.005)
            rounds += 1

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Let the window go on until something is true."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("it never came true")
            self.look(0.02)

    def choose(self, name: str = CELLS, **settings: object) -> None:
        """Choose a camera and set it."""
        widget = self.widget
        widget.source.value = name
        control = widget.cameras.first.control
        self.wait_for(lambda: control.view is not None)
        for setting, value in settings.items():
            widget.camera_settings[setting].value = value
            self.wait_for(lambda: not control.is_waiting)

    def record(self, frames: int = 0) -> None:
        """Click on Record; wait for the end if there is one."""
        self.widget.frame_count.value = frames
        self.wait_for(lambda: self.widget.record.enabled)
        self.widget.record.native.click()
        if frames:
            self.wait_for(lambda: not self.session.is_busy)
            self.look(1.0)

    def wait_for_frames(self, count: int) -> None:
        """Wait until so many are committed."""
        self.wait_for(lambda: self.session.status().frames_committed >= count)

    def take(self, path: Path) -> None:
        """Take the picture."""
        self.viewer.reset_view()  # docks have moved the edges of the canvas
        self.look(0.7)
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        picture = Image.fromarray(pixels).convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)

    def close(self) -> None:
        """End what goes on, and close the window."""
        self.widget.cameras.first.control.stop_preview()
        self.session.stop()
        self.wait_for(lambda: not self.session.is_busy)
        exporting = exporting_of(self.viewer)
        exporting.cancel()
        self.wait_for(lambda: not exporting.is_busy)
        self.widget.cameras.close()
        self.viewer.close()
        QApplication.processEvents()


def idle(stage: Stage) -> None:
    """What is seen first."""


def preview(stage: Stage) -> None:
    """The live image before anything is recorded, with the histogram."""
    stage.choose(**SLOW)
    stage.widget.preview.native.click()
    stage.wait_for(lambda: stage.widget.cameras.first.light.isVisible())
    stage.look(1.0)


def recording(stage: Stage) -> None:
    """Live, with the red dot and the counts; the settings are folded away."""
    stage.choose(**SLOW)
    stage.widget.pixel_size_um.value = 0.325
    stage.record()
    stage.wait_for_frames(30)


def looking_back(stage: Stage) -> None:
    """An earlier frame is looked at while the recording goes on."""
    recording(stage)
    stage.viewer.dims.set_current_step(0, 10)
    stage.wait_for(lambda: not stage.widget.live.native.isChecked())


def finished(stage: Stage) -> None:
    """The pyramid has taken the place of the live image."""
    stage.choose(**SLOW)
    stage.widget.pixel_size_um.value = 0.325
    stage.record(frames=30)


def error(stage: Stage) -> None:
    """Nothing can be written where it should go: said before, and what to do."""
    notes = Path(str(stage.widget.uri.value)) / "notes.txt"
    notes.parent.mkdir(exist_ok=True)
    notes.write_text("A file, and no folder.")
    stage.widget.uri.value = notes
    stage.wait_for(lambda: not stage.widget.record.enabled)


def narrow(stage: Stage) -> None:
    """As narrow as 300 pixels, with everything unfolded."""
    stage.choose(**SLOW)
    stage.resize(300)


def two_cameras(stage: Stage) -> None:
    """Two cameras at the same time, side by side, as images of one store."""
    widget = stage.widget
    small = {"width": 512, "height": 512, "frame_rate": 2}
    stage.choose(**small)
    widget.cameras.add_camera.native.click()
    [second] = widget.cameras.others
    second.source.value = "Simulated: radial sine"
    for setting, value in small.items():
        stage.wait_for(lambda: second.is_ready and not second.control.is_waiting)
        second.settings[setting].value = value
    stage.wait_for(lambda: not second.control.is_waiting)
    widget.stores.value = ONE_STORE
    stage.record()
    stage.wait_for_frames(20)


def time_lapse(stage: Stage) -> None:
    """Between two frames of a time lapse, with the countdown to the next."""
    widget = stage.widget
    stage.choose(**SLOW)
    widget.interval_s.value = 12
    stage.record()
    stage.wait_for_frames(1)
    stage.wait_for(lambda: (stage.session.status().next_frame_s or 99) < 9)


def waves(t: int, side: int = 1024) -> npt.NDArray[np.uint16]:
    """One frame of something that moves."""
    y, x = np.mgrid[:side, :side] / (side / 13)
    return ((np.sin(x + 0.3 * t) * np.cos(y - 0.2 * t) + 1) * 2000).astype(np.uint16)


def layer(stage: Stage) -> None:
    """An image that is open is the source."""
    frames = np.stack([waves(t, 512) for t in range(24)])
    stage.viewer.add_image(frames, name="waves", axis_labels=TYX)
    stage.widget.source.value = "waves"
    stage.wait_for(lambda: stage.widget.record.enabled)


def export(stage: Stage) -> None:
    """Layers that are larger than the memory on their way into one store."""
    made = np.stack([waves(t) for t in range(16)])  # or they take longer than writing
    lazy = da.map_blocks(
        lambda block_info: made[block_info[None]["chunk-location"][0] % 16][np.newaxis],
        dtype=np.uint16,
        chunks=((1,) * 3000, 1024, 1024),
        meta=np.empty((0, 0, 0), np.uint16),
    )
    viewer = stage.viewer
    viewer.add_image(lazy, name="waves", axis_labels=TYX, contrast_limits=(0, 4000))
    viewer.add_labels((lazy > 3200).astype(np.uint8), name="crests", axis_labels=TYX)
    viewer.window.remove_dock_widget(stage.dock)
    widget = ExportWidget(viewer)
    stage.dock = viewer.window.add_dock_widget(widget, name="Export to Zarr")
    stage.resize(340)
    widget.uri.value = Path(str(stage.widget.uri.value)) / "waves.ome.zarr"
    widget.layers.value = list(viewer.layers)
    stage.wait_for(lambda: widget.export.enabled)
    widget.export.native.click()
    exporting = exporting_of(viewer)
    stage.wait_for(lambda: exporting.planes[0] > 100 or not exporting.is_busy)
    stage.wait_for(lambda: "left" in widget.state.value)


SCENES = {
    each.__name__.replace("_", "-"): each
    for each in (
        idle,
        preview,
        recording,
        looking_back,
        finished,
        error,
        narrow,
        two_cameras,
        time_lapse,
        layer,
        export,
    )
}

IN_DOCS = (
    "idle",
    "preview",
    "recording",
    "looking-back",
    "finished",
    "two-cameras",
    "time-lapse",
    "export",
)

LARGE = "large"
"""The scene `recording` on a screen of twice the pixels, in a process of its own."""


@contextmanager
def staged(theme: str) -> Iterator[Stage]:
    """A stage with a folder that goes with it."""
    with tempfile.TemporaryDirectory(prefix="cells-") as folder:
        stage = Stage(Path(folder) / "recordings", theme)
        try:
            yield stage
        finally:
            stage.close()


def main() -> None:
    """Draw the pictures that are asked for; all of them if none is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--theme", choices=["dark", "light"], default="dark")
    parser.add_argument("--only", nargs="*", choices=[*SCENES, LARGE])
    parser.add_argument("--docs", action="store_true", help="those that the docs show")
    parser.add_argument("--folder", type=Path, default=Path("build/screenshots"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name in IN_DOCS if asked.docs else asked.only or [*SCENES, LARGE]:
        if name == LARGE and os.environ.get("QT_SCALE_FACTOR") != "2":
            again = [*sys.argv[:1], "--theme", asked.theme, "--only", LARGE]
            again += ["--folder", str(asked.folder)]
            environment = {**os.environ, "QT_SCALE_FACTOR": "2"}
            subprocess.run([sys.executable, *again], env=environment, check=True)
            continue
        with staged(asked.theme) as stage:
            (recording if name == LARGE else SCENES[name])(stage)
            path = asked.folder / f"{name}.png"
            stage.take(path)
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
