"""What is looked through for garbage, and when, while a dock is open."""

import gc
import weakref

import numpy as np
import pytest
from qtpy.QtWidgets import QWidget
from waiting import PATIENCE_S

import napari_zarr_stream._viewer.garbage as garbage
from napari_zarr_stream._viewer.garbage import (
    UnsearchedWhileOpen,
    leave_from_search,
    leave_new_from_search,
    remove_layer,
    search_again,
)
from napari_zarr_stream._viewer.napari_compat import DockWatch


class Ring:
    """Garbage that only a search finds."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def is_found(monkeypatch):
    """Whether a search of all there is finds something."""
    monkeypatch.setattr(garbage, "_not_searched", set())  # but for other tests' windows
    gc.unfreeze()
    gc.collect()
    immortal = gc.get_freeze_count()  # of Python 3.12, which keeps them there

    def ask(seen):
        gc.collect()
        return seen() is None

    yield ask
    assert gc.get_freeze_count() <= immortal, "all is looked through again"


def test_what_there_was_is_found_when_all_say_so(is_found):
    old = Ring()
    was, who = weakref.ref(old), object()
    leave_from_search(who)
    new = Ring()
    is_new = weakref.ref(new)
    leave_from_search("another")  # what came since can still be garbage
    del old, new
    assert is_found(is_new)
    assert not is_found(was)
    new = Ring()
    is_new = weakref.ref(new)
    leave_new_from_search()
    del new
    search_again(who)
    assert not is_found(is_new)
    search_again("another")
    search_again("another")
    assert is_found(was)
    assert is_found(is_new)
    leave_new_from_search()  # nobody has asked for it


def kept():
    """What is there already, and what tells that it is gone."""
    old = Ring()
    leave_new_from_search()
    return weakref.ref(old)


def test_nothing_old_is_looked_through_while_a_dock_is_open(is_found, viewer, qtbot):
    dock = QWidget()
    UnsearchedWhileOpen(viewer, DockWatch(viewer, dock))
    viewer.window.add_dock_widget(dock)
    ours, theirs = (viewer.add_image(np.zeros((20, 30), np.uint16)) for _ in "ab")
    old, layer = kept(), weakref.ref(theirs)
    remove_layer(viewer, ours)
    assert not is_found(old), "that would keep the window waiting"
    viewer.layers.remove(theirs)
    del theirs
    assert is_found(old)
    # From then on it is left again; Qt deletes nothing later without a loop of its own.
    qtbot.waitUntil(lambda: gc.get_freeze_count() > 1000, timeout=1000 * PATIENCE_S)
    assert layer() is None, "a large one would be kept"
    old = kept()
    assert not is_found(old)
    viewer.window.remove_dock_widget(dock)
    assert is_found(old)
    viewer.window.add_dock_widget(dock)
    old = kept()
    assert not is_found(old)
    viewer.close()
    assert is_found(old)
