"""One object of a kind for the window of each viewer, which all docks in it share."""

import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .napari_compat import viewer_itself

T = TypeVar("T")


class OneEach(Generic[T]):
    """The one of a viewer, made when it is first asked for.

    It lives as long as something refers to it: a widget, or the set of those that are
    busy.

    Parameters
    ----------
    make : callable
        Of the viewer itself.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._there: weakref.WeakValueDictionary[int, T] = weakref.WeakValueDictionary()

    def __call__(self, viewer: Any) -> T:
        """That of a viewer."""
        viewer = viewer_itself(viewer)
        there = self._there.get(id(viewer.window))
        if there is None:
            there = self._there[id(viewer.window)] = self._make(viewer)
        return there
