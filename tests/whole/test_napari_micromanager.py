"""A run that is started in napari-micromanager's own window, recorded."""

import threading
import time
from unittest.mock import Mock

import numpy as np
import pytest
import useq
from docks import viewer  # noqa: F401
from microscopes import DEMO, planes_of, small, stored
from windows import wait_until

from napari_zarr_stream import Acquisition
from napari_zarr_stream._acquisition.engine import RunRecorder
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream.cameras.micromanager import find
from napari_zarr_stream.cameras.micromanager.core import running_core

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]

WRITE_S = 0.1
PYTHON_DEVICES = """
#py pyDevice,Camera,emulators,StampedCamera
#py Property,Core,Initialize,1
#py Property,Core,Camera,Camera
"""


class SlowDisk(Acquisition):
    """Takes a tenth of a second for a plane."""

    def __init__(self, properties):
        super().__init__(properties)
        self.threads = set()

    def take(self, *arguments):
        self.threads.add(threading.current_thread())
        time.sleep(WRITE_S)
        super().take(*arguments)


@pytest.fixture
def window(viewer, monkeypatch):  # noqa: F811
    from napari_micromanager.main_window import MainWindow

    # Each icon is asked of the network: half a minute, where there is none.
    monkeypatch.setattr("superqt.iconify.svg_path", Mock(side_effect=OSError))
    # the console that tests have instead of napari's
    viewer.window._qt_viewer.console.push = lambda names: None
    window = MainWindow(viewer)
    viewer.window.add_dock_widget(window, name="Micro-Manager", area="top")
    yield window
    window._cleanup()


def test_its_run_button_is_recorded(window, viewer, tmp_path):  # noqa: F811
    core = running_core()
    assert core is window.core
    core.loadSystemConfiguration(DEMO)
    small(core, "Camera")
    assert "Micro-Manager: Camera" in find()
    before, made = core.mda.engine, []

    def new():
        made.append(SlowDisk(stored(tmp_path / f"{len(made)}.zarr")))
        return made[-1]

    recorder = RunRecorder(core, new)
    window._show_dock_widget("MDA")
    dialog = window._dock_widgets["MDA"].widget()
    dialog.setValue(
        useq.MDASequence(
            axis_order="tpcz",
            time_plan={"interval": 0, "loops": 2},
            stage_positions=[(0, 0, 0), (10, 5, 0)],
            channels=[
                {"config": "DAPI", "exposure": 1},
                {"config": "FITC", "exposure": 1},
            ],
            z_plan={"range": 2, "step": 1},
        )
    )
    ticks = []
    dialog.control_btns.run_btn.click()

    def has_ended():
        ticks.append(time.perf_counter())
        return made and made[0].status().finish_reason

    wait_until(has_ended)
    acquisition = made[0]
    status = acquisition.status()
    assert status.finish_reason is FinishReason.COMPLETED
    assert (status.acquired, status.missing) == (24, 0)
    assert threading.main_thread() not in acquisition.threads
    late = np.diff(ticks) * 1000
    print(f"lateness: 95 of 100 {np.percentile(late, 95):.0f} ms, {late.max():.0f} ms")

    (layer,) = [each for each in viewer.layers if each.data.ndim == 6]
    wait_until(lambda: np.asarray(layer.data).any((-1, -2)).all())
    shown = np.asarray(layer.data)
    for (image, t, c, z), plane in planes_of(acquisition).items():
        np.testing.assert_array_equal(plane, shown[t, image, c, z])
    recorder.stop()
    assert core.mda.engine is before


def test_a_core_that_it_changes_is_followed(window, tmp_path):
    first = running_core()
    first.loadSystemConfiguration(DEMO)
    small(first, "Camera")
    made = []

    def new():
        made.append(Acquisition(stored(tmp_path / f"{len(made)}.zarr")))
        return made[-1]

    recorder = RunRecorder(first, new)
    recorder.follow(running_core())
    assert first.mda.engine.inner is not None
    configuration = tmp_path / "python.cfg"
    configuration.write_text(PYTHON_DEVICES)
    first.loadSystemConfiguration(configuration)
    second = running_core()
    assert second is not first
    assert second is window.core
    assert "Micro-Manager: Camera" in find()
    recorder.follow(second)
    second.setAutoShutter(False)
    second.mda.run(useq.MDASequence(time_plan={"interval": 0, "loops": 2}))
    (acquisition,) = made
    assert acquisition.status().acquired == 2
    recorder.stop()
