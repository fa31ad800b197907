"""The slider of layers that grow: it follows the newest, or stays where it was put.

Its end is the newest. What comes never moves the view of somebody who looks back.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from qtpy.QtCore import QObject, Signal

from .napari_compat import NEXT_TURN_MS, painted_later, show_growth


class GrowingSlider(QObject):
    """The slider of the first axis of layers that grow together.

    `followed` is emitted when it begins to follow the newest, and when that ends.

    Parameters
    ----------
    viewer : napari.Viewer
    layers : list of napari.layers.Layer
        At any time all have as many steps along their first axis, of the same scale.
    set_length : callable
        Has them all be of a length.
    is_live : bool
        Whether it follows the newest from the start.
    length : int
        Of all of them now.

    Attributes
    ----------
    is_live : bool
    """

    followed = Signal(bool)

    def __init__(
        self,
        viewer: Any,
        layers: list[Any],
        set_length: Callable[[int], None],
        is_live: bool,
        length: int = 1,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._all = layers
        self._set_length = set_length
        self.is_live = is_live
        self._length = length
        self._step = 0
        self._is_depth = False  # it has no slider while it is displayed
        self._is_moving = False  # and it is not the user who moves it
        self._inside: tuple[float, ...] = ()
        self._events = viewer.dims.events
        self._events.current_step.connect(self._see_moved)
        # First: what the viewer does then is to read the axis from end to end.
        for event in (self._events.ndisplay, self._events.order):
            event.connect(self._see_displayed, position="first")
        self._see_displayed()

    def stop(self) -> None:
        """Leave it to the user; may be called twice."""
        self._events.current_step.disconnect(self._see_moved)
        self._events.ndisplay.disconnect(self._see_displayed)
        self._events.order.disconnect(self._see_displayed)

    @property
    def layers(self) -> list[Any]:
        """Those that the user has not removed."""
        return [layer for layer in self._all if layer in self._viewer.layers]

    @property
    def step(self) -> int:
        """The one that is looked at."""
        return self._length - 1 if self.is_live else self._step

    @property
    def can_look_back(self) -> bool:
        """Whether there is more than the newest."""
        return self._length > 1 and not self._is_depth and bool(self.layers)

    def grow(self, length: int) -> None:
        """There are so many steps now, or what they show has changed."""
        self._length = length
        if self._is_depth:
            return
        with self._moving():
            self._set_length(length)
            show_growth(self._viewer, self.layers)
            if self.is_live:
                self._go_to(length - 1)

    def follow(self) -> None:
        """Show the newest, from now on."""
        if self.layers:
            with self._moving():
                self._go_to(self._length - 1)
            self._set_live(True)

    def look_back(self) -> None:
        """Stay at the last step but the newest."""
        if self.can_look_back:
            with self._moving():
                self._go_to(self._length - 2)
            self._set_live(False)

    def stay(self) -> None:
        """Follow no more, and stay at what is shown."""
        self._step = self.step
        self._set_live(False)

    def _set_live(self, is_live: bool) -> None:
        if self.is_live != is_live:
            self.is_live = is_live
            self.followed.emit(is_live)

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        before, self._is_moving = self._is_moving, True
        try:
            with painted_later(self._viewer, NEXT_TURN_MS):
                yield
        finally:
            self._is_moving = before
            if self.layers:
                self._inside = self._viewer.dims.point[self._axis + 1 :]

    @property
    def _axis(self) -> int:
        return int(self._viewer.dims.ndim - self.layers[0].ndim)

    def _go_to(self, step: int) -> None:
        self._step = step
        if layers := self.layers:
            go_to_step(self._viewer, layers[0], 0, step)

    def _see_moved(self) -> None:
        """Take it that the user moved it."""
        if self._is_moving or self._is_depth or not self.layers:
            return
        with painted_later(self._viewer, NEXT_TURN_MS):  # it was read by now
            self._follow_or_stay()

    def _follow_or_stay(self) -> None:
        layer, dims = self.layers[0], self._viewer.dims
        start, step_size = layer.extent.world[0][0], layer.extent.step[0]
        step = round(float((dims.point[self._axis] - start) / step_size))
        inside, self._inside = self._inside, dims.point[self._axis + 1 :]
        if step < self._length - 1:
            self._step = step
            self._set_live(False)
        elif self.is_live and self._length > 1 and inside != self._inside:
            self.look_back()  # the newest is one plane, and has no others beside it
        else:
            self.follow()

    def _see_displayed(self) -> None:
        """Have only the newest while the axis is a side or the depth of the picture."""
        if not self.layers:
            return
        is_depth = self._axis in self._viewer.dims.displayed
        if is_depth == self._is_depth:
            return
        with self._moving():
            if is_depth:
                self._set_length(1)
                show_growth(self._viewer, self.layers)
            self._is_depth = is_depth
            if not is_depth:
                step, is_live = self._step, self.is_live
                self.grow(self._length)
                if not is_live:
                    self._go_to(step)


def go_to_step(viewer: Any, layer: Any, axis: int, step: int) -> None:
    """Move the slider of an axis of a layer."""
    extent = layer.extent
    point = float(extent.world[0][axis]) + step * float(extent.step[axis])
    viewer.dims.set_point(viewer.dims.ndim - layer.ndim + axis, point)
