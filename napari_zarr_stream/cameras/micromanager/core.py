"""Whose core it is: that of the running Micro-Manager, or one of our own for a file.

A callback that is left at exit may be called while the interpreter is taken down, which
aborts the process: cores in use are silenced before that.
"""

import atexit
import logging
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_zarr_stream.cameras.protocol import CameraError

if TYPE_CHECKING:
    # a third of a second, which nobody shall wait for who only looks
    from pymmcore_plus import CMMCorePlus

_MODULE_OF_THE_INSTANCE = "pymmcore_plus.core._mmcore_plus"
_MODULE_OF_THE_WINDOW = "napari_micromanager.main_window"

_in_use: "weakref.WeakSet[CMMCorePlus]" = weakref.WeakSet()


@atexit.register
def _silence_cores() -> None:
    for core in _in_use:
        _silence(core)


def _silence(core: "CMMCorePlus") -> None:
    import pymmcore

    # the method of CMMCorePlus refuses
    pymmcore.CMMCore.registerCallback(core, None)


def running_core() -> "CMMCorePlus | None":
    """Return the core that others use, which may be another one each time; makes none.

    It is that of napari-micromanager's window, which makes its own and changes it, or
    else `CMMCorePlus.instance()`.
    """
    window = sys.modules.get(_MODULE_OF_THE_WINDOW)
    if window is not None:
        try:
            core: CMMCorePlus = window.get_core()
        except RuntimeError:
            pass  # no viewer, or none with that window in it
        else:
            return core
    module = sys.modules.get(_MODULE_OF_THE_INSTANCE)
    reference = None if module is None else vars(module)["_instance"]
    return None if reference is None else reference()


@contextmanager
def microscope(configuration: str) -> Iterator["CMMCorePlus"]:
    """Load a configuration file into a core of its own, and free it afterwards.

    Raises
    ------
    CameraError
        It cannot be loaded.
    """
    path = Path(configuration).expanduser()
    with asking(f"load {configuration}"):
        core = own_core(path)
    use(core)
    try:
        with asking(f"load {configuration}"):
            core.loadSystemConfiguration(path)
        yield core
    finally:
        release(core)


def own_core(configuration: Path) -> Any:
    """Return a core for a file, never the one that other programs share."""
    text = ""
    if configuration.is_file():  # else the core looks beside its adapters
        text = configuration.read_text("utf-8", errors="replace")
    return new_core(any(line.startswith("#py ") for line in text.splitlines()))


def new_core(python_devices: bool) -> Any:
    """Return a core that has no devices yet, which may be Python objects, too."""
    level = logging.root.level
    from pymmcore_plus import CMMCorePlus
    from pymmcore_plus.experimental.unicore import UniMMCore

    # importing it turns on the debug messages of all libraries
    logging.root.setLevel(level)
    module = vars(sys.modules[_MODULE_OF_THE_INSTANCE])
    before = module["_instance"]
    try:
        return UniMMCore() if python_devices else CMMCorePlus()
    finally:
        # the first core that is made becomes the instance
        module["_instance"] = before


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Turn any error of the core or a device, which may be Python, into ours."""
    try:
        yield
    except CameraError:
        raise
    except Exception as error:
        raise CameraError(f"Micro-Manager cannot {what}: {error}") from error


def use(core: "CMMCorePlus") -> None:
    """Have a core silenced at exit."""
    _in_use.add(core)


def release(core: "CMMCorePlus") -> None:
    """Free the devices of a core of our own, and the core."""
    try:
        core.unloadAllDevices()
    finally:
        _silence(core)


def light_between(core: "CMMCorePlus") -> str:
    """What becomes of the light between frames that are taken one by one."""
    if not (shutter := core.getShutterDevice()):
        return "the camera rests, Micro-Manager has no shutter to close"
    if not core.getAutoShutter():
        return f"the camera rests, {shutter} stays as it is: autoshutter is off"
    return f"the camera rests, {shutter} is closed"
