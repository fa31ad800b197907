"""Drives a recording through the dock as a user does, and says how late the window is.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.dock

From the opening of the dock to the pyramid: 2048 x 2048 uint16 at 60 frames a second,
while frame 0, the middle and the newest are looked at in turn, zoomed in and out. With
`--early` Record is clicked as soon as it can be, else after the dock has stood for
some seconds. With `--lapse` it is a time lapse of 20 frames, one every half second, and
how late they were is said as well.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream.cameras import FrameInfo, SimulatedCamera

from .lateness import Lateness
from .seen import Glass, Scrubber, write_number

SIDE, RATE = 2048, 60.0
NAME = "Numbered"
PATIENCE_S = 120.0
STANDS_S = 6.0
LAPSE_FRAMES, LAPSE_S = 20, 0.5


class NumberedCamera(SimulatedCamera):
    """Its frames carry their numbers, in a way that can be read from the screen.

    Attributes
    ----------
    made_at : list of float
        When each frame was given, by `time.perf_counter`.
    """

    made_at: list[float] = []  # noqa: RUF012 - of the one that records

    def start(self) -> None:
        """See `Camera.start`."""
        self.made_at.clear()
        self._frame = np.empty(self.shape, self.dtype)
        super().start()

    def read_into(self, out: Any, timeout_s: float) -> FrameInfo | None:
        """See `Camera.read_into`."""
        info = super().read_into(self._frame, timeout_s)
        if info is not None:
            write_number(self._frame, info.index)
            out[...] = self._frame
            self.made_at.append(time.perf_counter())
        return info


def wait(condition: Callable[[], bool], timeout_s: float = PATIENCE_S) -> None:
    """Have the window go on until something is so."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, timer = QEventLoop(), QTimer()
    deadline = time.perf_counter() + timeout_s
    timer.timeout.connect(
        lambda: loop.quit() if condition() or time.perf_counter() > deadline else None
    )
    timer.start(20)
    loop.exec()


def pause(seconds: float) -> None:
    """Have the window go on for so long."""
    until = time.perf_counter() + seconds
    wait(lambda: time.perf_counter() > until)


def _drive(folder: Path, seconds: float, early: bool, lapse: bool) -> Lateness:
    # Nothing is as somebody has chosen it here before, and nothing is kept.
    os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(1300, 950)
    pause(2.0)
    late = Lateness("napari alone")
    pause(1.0)
    late.phase = "dock opens"
    _, widget = viewer.window.add_plugin_dock_widget(
        "napari-zarr-stream", "Record to Zarr"
    )
    wait(lambda: widget.is_filled)
    late.phase = "dock stands"
    cameras = widget.cameras
    wait(lambda: not cameras.is_searching)
    cameras.found = replace(cameras.found, cameras={NAME: _camera})
    cameras.found_changed.emit()
    widget.uri.value = folder / "out"
    widget.source.value = NAME
    if lapse:
        widget.interval_s.value = LAPSE_S
        widget.frame_count.value = LAPSE_FRAMES
    wait(lambda: cameras.first.is_ready and widget.record.enabled)
    if not early:
        pause(STANDS_S)
    late.phase = "Record"
    if lapse:
        _record_lapse(viewer, widget, late)
    else:
        _record(viewer, widget, late, seconds)
    late.stop()
    viewer.close()
    return late


def _camera() -> NumberedCamera:
    return NumberedCamera(width=SIDE, height=SIDE, frame_rate=RATE)


def _record(viewer: Any, widget: Any, late: Lateness, seconds: float) -> None:
    from napari_zarr_stream._viewer.session import session_of

    session = session_of(viewer)
    glass = Glass(viewer, NumberedCamera.made_at)
    clicked = time.perf_counter()
    widget.record.native.click()
    glass.is_live = lambda: session.look_back is not None and session.look_back.is_live
    wait(lambda: session.status().frames_committed > 0 or not session.is_busy)
    print(f"first frame committed after {time.perf_counter() - clicked:.2f} s")
    viewer.reset_view()  # the dock has folded, and the canvas is as large as it stays
    late.phase = "looked at"
    scrubber = Scrubber(viewer, session, glass)
    pause(seconds)
    scrubber.stop()
    late.phase = "pyramid"
    widget.stop.native.click()
    wait(lambda: not session.is_busy)
    pause(2.0)
    status = session.status()
    print(
        f"{status.frames_committed} of {status.frames_acquired} frames committed, "
        f"{status.frames_lost} lost, {scrubber.looks} looks, wrong: {scrubber.wrong}"
    )


def _record_lapse(viewer: Any, widget: Any, late: Lateness) -> None:
    """A frame every half second; by what is recorded of each, how late it was."""
    import zarr  # else it were there before the dock

    from napari_zarr_stream._viewer.session import session_of

    session = session_of(viewer)
    widget.record.native.click()
    wait(lambda: not session.is_starting)
    late.phase = "time lapse"
    wait(lambda: not session.is_busy)
    status = session.status()
    group = zarr.open_group(status.path, mode="r")
    record = dict(group.attrs)["napari_zarr_stream"]
    begun = datetime.fromisoformat(record["start_time"]).timestamp()
    due = begun + LAPSE_S * np.arange(LAPSE_FRAMES)
    late_ms = 1e3 * (np.asarray(group["frame_log/time_ns"][:]) / 1e9 - due)
    print(
        f"{status.frames_committed} frames every {LAPSE_S} s, {status.frames_lost} "
        f"lost; after they were due: median {np.median(late_ms):.0f} ms, most "
        f"{late_ms.max():.0f} ms"
    )


def main() -> None:
    """Drive, and print what was late."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", default="/dev/shm")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--early", action="store_true")
    parser.add_argument("--lapse", action="store_true")
    parser.add_argument("--causes", type=int, default=0, help="of so many late turns")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as folder:
        late = _drive(Path(folder), given.seconds, given.early, given.lapse)
    print(late.table())
    print(late.causes(given.causes))


if __name__ == "__main__":
    main()
