"""What there is is not looked through for garbage while somebody waits for the window.

To look through all of it takes 0.2 to 0.3 s in napari, in whichever thread, and holds
the GIL. Python does so where a quarter has come since: imports bring that much.
"""

import gc
import threading
import weakref
from typing import Any

from qtpy.QtCore import QObject, QTimer

from .napari_compat import DockWatch

_lock = threading.Lock()
_not_searched: set[object] = set()  # guarded by _lock


def leave_from_search(who: object) -> None:
    """What there is now is not looked through for garbage until `who` says so.

    What comes later is: it can be garbage by then. `gc.get_freeze_count` does not say
    whether somebody has asked for it: Python 3.12 begins with 375.
    """
    with _lock:
        if not _not_searched:
            gc.freeze()
        _not_searched.add(who)


def leave_new_from_search() -> None:
    """Nor is what has come meanwhile, if somebody has asked for it: it is to stay."""
    with _lock:
        if _not_searched:
            gc.freeze()


def search_again(who: object) -> None:
    """End that, if all who asked for it have; may be called twice."""
    with _lock:
        _not_searched.discard(who)
        if not _not_searched:
            gc.unfreeze()


def remove_layer(viewer: Any, layer: Any) -> None:
    """Take a layer of ours away, and have only what is new looked through for garbage.

    napari 0.9 has all there is looked through with each layer that goes (`VispyCanvas.
    _clean_and_update_scenegraph`), which takes 0.2 s of the 0.24 s of a removal.
    """
    leave_from_search(layer)
    try:
        viewer.layers.remove(layer)
    finally:
        search_again(layer)


class UnsearchedWhileOpen(QObject):
    """From the opening of a dock to its end, what was there before is left out.

    Where the user takes a layer away, napari looks through all of it as ever: a large
    one is not kept. With PySide6 what Qt deletes later holds the layer until then, and
    it is looked for once more.

    Parameters
    ----------
    viewer : napari.Viewer
    watch : DockWatch
        Its parent as well.
    """

    def __init__(self, viewer: Any, watch: DockWatch) -> None:
        super().__init__(watch)
        self._after_removal = QTimer(self)
        self._after_removal.setSingleShot(True)
        self._after_removal.timeout.connect(self._see_removed)
        self._removed: list[weakref.ref[Any]] = []
        self._layers = viewer.layers
        watch.closed.connect(self._end)
        watch.opened.connect(self._begin)
        viewer.layers.events.removing.connect(self._see_removing)
        if not watch.is_closed:
            self._begin()

    def _begin(self) -> None:
        leave_from_search(self)

    def _end(self) -> None:
        self._after_removal.stop()
        search_again(self)

    def _see_removed(self) -> None:
        if any(layer() is not None for layer in self._removed):
            gc.collect()
        self._removed.clear()
        self._begin()

    def _see_removing(self, event: Any) -> None:
        with _lock:
            others = _not_searched - {self}
        layer = self._layers[event.index]
        if layer not in others:
            search_again(self)
            self._removed.append(weakref.ref(layer))
            self._after_removal.start(0)
