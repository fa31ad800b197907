"""What is done while the user looks at the new dock, and waited for at the click."""

from concurrent.futures import Future

import numpy as np
import pint
import pytest
from frames import planes
from programs import run_python
from windows import messages, wait_until

import napari_zarr_stream._viewer.warm_up as warm_up_module
from napari_zarr_stream import StorageProperties
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._viewer.starting import Job

FIRST_LAYER = """
import sys, threading, time
import numpy as np
import pint
from napari.components import ViewerModel
from qtpy.QtCore import QCoreApplication
import napari_zarr_stream._viewer.warm_up as module
made, warmed = [], []
before = pint.UnitRegistry.__init__
def init(self, *args, **kwargs):
    made.append(threading.current_thread().name)
    before(self, *args, **kwargs)
pint.UnitRegistry.__init__ = init
compile_apart = module.compile_apart
def compiled(dtypes):
    warmed.append(threading.current_thread().name)
    compile_apart(dtypes)
module.compile_apart = compiled
app = QCoreApplication([])
interval = sys.getswitchinterval()
for warm_up in (module.WarmUp(app), module.WarmUp(app)):
    warm_up.begin()
    while not warm_up.is_over:
        app.processEvents()
        time.sleep(0.01)
assert sys.getswitchinterval() == interval
before = set(sys.modules)
ViewerModel().add_image(np.zeros((4, 4), np.uint16), units=["um", "um"])
large = {"pandas", "pint", "scipy", "skimage", "xarray", "zarr"}
print(sorted(large & {name.split(".")[0] for name in set(sys.modules) - before}))
print(made, warmed)
"""


def test_the_first_layer_imports_nothing_large_and_makes_no_units_at_the_click():
    imported, done = run_python(FIRST_LAYER).stdout.splitlines()
    assert imported == "[]"
    # Once, and not in the thread of the window.
    assert done == "['background'] ['background']"


@pytest.fixture
def warming(monkeypatch):
    """What is waited for; it is not over before it has a result."""
    future = Future()
    monkeypatch.setattr(warm_up_module, "_warmed", lambda: future)
    yield future
    future.cancel()


@pytest.fixture
def session(warming, viewer, tmp_path):
    layer = viewer.add_image(planes(4, (32, 32)))
    session = session_of(viewer)
    properties = StorageProperties(tmp_path / "a.zarr")
    session.start([Job(LayerSource.of(layer), properties)])
    yield session
    session.stop()
    wait_until(lambda: not session.is_busy)


def test_a_click_before_it_is_over_is_waited_for_while_the_window_goes_on(
    session, warming, viewer
):
    began = []
    session.began.connect(lambda: began.append(len(session.lives)))
    assert session.is_starting
    assert not session.lives
    units = viewer.layers[0].units
    warming.set_result(pint.UnitRegistry())
    wait_until(lambda: not session.is_busy)
    assert began == [1]
    assert session.status().frames_committed == 4
    # Those that are in use stay: units of two registries do not go together.
    assert viewer.layers[0].units == units
    assert np.array_equal(viewer.layers[-1].data, viewer.layers[0].data)


def test_a_recording_that_waits_for_it_can_be_stopped(session, warming, tmp_path):
    session.stop()
    wait_until(lambda: not session.is_busy)
    warming.set_result(pint.UnitRegistry())
    assert "nothing was recorded" in messages()[-1]
    wait_until(lambda: session.warm_up.is_over)
    assert not session.is_busy
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_warmed_up_is_no_trouble(session, warming):
    warming.set_exception(RuntimeError("no compiler"))
    wait_until(lambda: not session.is_busy)
    assert session.status().frames_committed == 4
