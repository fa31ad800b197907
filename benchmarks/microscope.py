"""How late the window is while a microscope's run is recorded onto a slow disk.

    xvfb-run -a -s "-screen 0 1600x1000x24" python -m benchmarks.microscope

The same run of Micro-Manager's demo microscope is started by napari-micromanager's own
Run button: unrecorded, then recorded, then recorded by the Acquire dock, which shows it
as well. Every write takes 100 ms. What the thread of the window spends for a plane is
counted in seconds of its processor, which others who keep the machine busy do not
change much; how late it is by the clock they do.
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from napari_zarr_stream import Acquisition, StorageProperties
from napari_zarr_stream._acquisition.engine import RunRecorder
from napari_zarr_stream._writer import system
from napari_zarr_stream.cameras.micromanager.core import running_core

from .dock import pause, wait
from .lateness import Lateness

WRITE_S = 0.1
SIDE = 512
EXPOSURE_MS = 50.0
"""Unrecorded a run takes about as long then, and what a window does anyway, too."""

CHANNELS, POSITIONS, DEPTH = ("DAPI", "FITC"), 2, 3
UNRECORDED, RECORDED, BY_DOCK = "unrecorded", "recorded", "recorded by the dock"


@contextmanager
def slow_disk(seconds: float) -> Iterator[None]:
    """Have every write of ours take so long."""
    write_at = system.write_at

    def slowly(*arguments: Any) -> None:
        time.sleep(seconds)
        write_at(*arguments)

    with patch.object(system, "write_at", slowly):
        yield


@contextmanager
def no_icons() -> Iterator[None]:
    """Have pymmcore-widgets draw none: it would ask the network for each, and wait."""
    with (
        patch("superqt.iconify.svg_path", side_effect=OSError("not asked for")),
        warnings.catch_warnings(action="ignore", category=UserWarning),
    ):
        yield


def _stored(folder: Path) -> StorageProperties:
    number = len(list(folder.iterdir()))
    return StorageProperties(folder / f"{number}.zarr", tile_width=SIDE)


class Bench:
    """A napari with napari-micromanager and the demo microscope."""

    def __init__(self, folder: Path, times: int) -> None:
        import napari
        import useq
        from napari_micromanager.main_window import MainWindow

        self.folder = folder
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1400, 950)
        self.window = MainWindow(self.viewer)
        self.viewer.window.add_dock_widget(
            self.window, name="Micro-Manager", area="top"
        )
        self.core: Any = running_core()
        self.core.loadSystemConfiguration("MMConfig_demo.cfg")
        self.core.setProperty("Camera", "OnCameraCCDXSize", SIDE)
        self.core.setProperty("Camera", "OnCameraCCDYSize", SIDE)
        self.core.setProperty("Camera", "PixelType", "16bit")
        self.window._show_dock_widget("MDA")  # noqa: SLF001 - as its menu does
        self._dialog = self.window._dock_widgets["MDA"].widget()  # noqa: SLF001
        self.planes = times * POSITIONS * len(CHANNELS) * DEPTH
        self._dialog.setValue(
            useq.MDASequence(
                axis_order="tpcz",
                time_plan={"interval": 0, "loops": times},
                stage_positions=[(10.0 * n, 0, 0) for n in range(POSITIONS)],
                channels=[
                    {"config": name, "exposure": EXPOSURE_MS} for name in CHANNELS
                ],
                z_plan={"range": DEPTH - 1, "step": 1},
            )
        )
        self.dock: Any = None

    def run(self) -> None:
        """Click on Run, and return when the run is over and shown."""
        self._dialog.control_btns.run_btn.click()
        wait(self.core.mda.is_running)
        wait(lambda: self.core.mda.status.phase == "idle")
        if self.dock is not None:
            wait(lambda: self.acquiring.acquisition is not None)
            wait(lambda: not self.acquiring.is_busy)
        self.viewer.layers.clear()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record without a window of ours."""
        made: list[Acquisition] = []

        def new() -> Acquisition:
            made.append(Acquisition(_stored(self.folder)))
            return made[-1]

        recorder = RunRecorder(self.core, new)
        yield
        recorder.stop()
        _check(made[-1], self.planes)

    @property
    def acquiring(self) -> Any:
        """What records in the viewer."""
        from napari_zarr_stream._viewer.acquiring import acquiring_of

        return acquiring_of(self.viewer)

    @contextmanager
    def recording_by_dock(self) -> Iterator[None]:
        """Record by the dock, opened for the first time here."""
        if self.dock is None:
            _, self.dock = self.viewer.window.add_plugin_dock_widget(
                "napari-zarr-stream", "Acquire (Micro-Manager)"
            )
            self.dock.uri.value = self.folder / "dock"
            self.dock.tile_width.value = self.dock.tile_height.value = SIDE
            wait(lambda: self.acquiring.microscope is not None)
        self.dock.records_others.value = True
        wait(lambda: self.acquiring.new_properties is not None)
        pause(1.0)
        yield
        _check(self.acquiring.acquisition, self.planes)
        self.dock.records_others.value = False


def _check(acquisition: Acquisition, planes: int) -> None:
    status = acquisition.status()
    if status.committed != planes:
        raise RuntimeError(f"{status.committed} of {planes} planes: {status.error}")


def main() -> None:
    """Run in turn, and print what that cost the thread of the window."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", default=None)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--causes", type=int, default=0, help="of so many late turns")
    given = parser.parse_args()
    cpu_ms: defaultdict[str, list[float]] = defaultdict(list)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir=given.directory))
        stack.enter_context(no_icons())
        bench = Bench(Path(folder), given.times)
        pause(2.0)
        late = Lateness("before")
        bench.run()  # what is done once is done
        ways: dict[str, Callable[[], Any]] = {
            UNRECORDED: ExitStack,
            RECORDED: bench.recording,
            BY_DOCK: bench.recording_by_dock,
        }
        stack.enter_context(slow_disk(WRITE_S))
        for _ in range(given.rounds):
            for phase, way in ways.items():
                with way():
                    late.phase, began = phase, time.thread_time()
                    bench.run()
                    cpu_ms[phase].append(1e3 * (time.thread_time() - began))
                    late.phase = "between"
                pause(1.0)
        late.stop()
        bench.window._cleanup()  # noqa: SLF001 - it has no public end
        bench.viewer.close()
    print(late.table())
    for phase, spent in cpu_ms.items():
        print(
            f"{phase}: {statistics.median(spent) / bench.planes:.1f} ms of the "
            f"window's processor a plane, median of {len(spent)} runs of "
            f"{bench.planes} planes ({', '.join(f'{each:.0f}' for each in spent)} ms)"
        )
    print(late.causes(given.causes))


if __name__ == "__main__":
    main()
