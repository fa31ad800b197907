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
from typing import TYPE_CHECKING

from napari_zarr_stream.cameras.protocol import CameraError

if TYPE_CHECKING:
    # a third of a second, which nobody shall wait for who only looks
    from pymmcore_plus import CMMCorePlus

_MODULE_OF_THE_INSTANCE = "pymmcore_plus.core._mmcore_plus"

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
    """Return `CMMCorePlus.instance()`, which would make one, only if it is there."""
    module = sys.modules.get(_MODULE_OF_THE_INSTANCE)
    reference = None if module is None else vars(module)["_instance"]
    return None if reference is None else reference()


def own_core(configuration: Path) -> "CMMCorePlus":
    """Return a core for a file, never the one that other programs share."""
    level = logging.root.level
    from pymmcore_plus import CMMCorePlus
    from pymmcore_plus.experimental.unicore import UniMMCore

    # importing it turns on the debug messages of all libraries
    logging.root.setLevel(level)
    text = ""
    if configuration.is_file():  # else the core looks beside its adapters
        text = configuration.read_text("utf-8", errors="replace")
    python_devices = any(line.startswith("#py ") for line in text.splitlines())
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
