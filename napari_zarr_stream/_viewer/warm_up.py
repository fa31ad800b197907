"""What takes long at the first click is done while the user looks at the new dock."""

import contextlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pint
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._writer.downsample import TileHalver, compile_apart

from .background import in_background
from .garbage import leave_new_from_search

if TYPE_CHECKING:
    from concurrent.futures import Future

WARM_UP_MS = 1000
"""Long enough for the widget and the settings of its camera to be there first: beside
imports, which hold the GIL, these took the window's thread 0.3 to 0.5 s, else 0.15."""

DTYPES = (np.uint8, np.uint16, np.int16, np.float32)
"""Of nearly all cameras; of others it is compiled at the click."""

OF_A_LAYER = ("scipy.ndimage", "xarray")
"""napari 0.9 imports them with the first layer that is added, in the window's thread,
the second one wherever it is installed (`_check_xarray`): 0.6 s at the click."""

OF_OURS = ("zarr", "napari_zarr_stream._reading.zarr_array")
"""What the end of a recording needs, and the first look back."""

POLL_MS = 50

GIVE_WAY_S = 0.0005
"""Instead of 5 ms. A paint gives the GIL away at each of some fifty calls of OpenGL."""


class WarmUp(QObject):
    """The warming up of this process; `over` says that it is done.

    Parameters
    ----------
    parent : QObject
    """

    over = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.is_over = False
        self._warmed: Future[Any] | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    def begin(self) -> None:
        """Warm up, if nobody has begun; may be called again."""
        if self._warmed is None:
            self._warmed = _warmed()
            self._timer.start()
            self._poll()

    def _poll(self) -> None:
        assert self._warmed is not None
        if not self._warmed.done():
            return
        self._timer.stop()
        with contextlib.suppress(Exception):  # what fails is said where it is needed
            _use_units(self._warmed.result())
        self.is_over = True
        self.over.emit()


@cache
def _warmed() -> "Future[Any]":
    """Begin, once in this process."""
    return in_background(warm_up)


def warm_up() -> Any:
    """Import and compile, and make a registry of units; it takes a second or two.

    Thread "background". No layer is made here: that is for the window's thread.
    """
    with _giving_way():
        units: Any = pint.UnitRegistry(on_redefinition="raise")  # as of pint's own
        for name in (*OF_A_LAYER, *OF_OURS):
            with contextlib.suppress(ImportError):  # nothing of ours needs the others
                import_module(name)
            leave_new_from_search()
    compile_apart(DTYPES)
    for dtype in DTYPES:
        TileHalver(np.dtype(dtype))
    leave_new_from_search()
    return units


@contextlib.contextmanager
def _giving_way() -> Iterator[None]:
    """Let other threads have the GIL soon after they ask for it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(GIVE_WAY_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def _use_units(units: Any) -> None:
    """Have napari use a registry, unless it has units of another one already.

    It makes its own with the first layer, which takes 0.3 s. In the window's thread,
    which is the one that would.
    """
    of_program: Any = pint.application_registry
    if isinstance(of_program.get(), pint.registry.LazyRegistry):
        of_program.set(units)
