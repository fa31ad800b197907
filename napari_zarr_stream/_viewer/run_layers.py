"""The live layers of a run, one a channel: the newest plane, or any there is."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_zarr_stream._acquisition.acquisition import Acquisition
from napari_zarr_stream._acquisition.frame_format import FrameFormat
from napari_zarr_stream._acquisition.layout import Layout
from napari_zarr_stream._acquisition.states import AcquisitionStatus
from napari_zarr_stream._reading.growing import GrowingArray
from napari_zarr_stream._reading.layers import counted_at_any_length
from napari_zarr_stream._writer.colours import colormap_of
from napari_zarr_stream._writer.contrast import WideningLimits, range_of

from .acquired_planes import Alike, ChannelPlanes, StoredPlanes, alike_in, words_of
from .garbage import remove_layer
from .live import BUSY_QUEUE, LIVE, SLOWEST_PREVIEW_S, offer_range
from .napari_compat import (
    PAINTED_MS,
    make_controls,
    not_made_active,
    painted_later,
    refresh_pixels,
    units_beside,
)
from .turns import SOON_MS

MOST_LAYERS = 16
"""Live; of images that are unlike each other, the others come at the end."""


class _Shown:
    """A channel, its layer, and how bright it is."""

    def __init__(
        self, layer: Any, planes: ChannelPlanes, alike: Alike, frame: FrameFormat
    ) -> None:
        self.layer, self.planes, self.alike = layer, planes, alike
        self._frame = frame
        self.limits = WideningLimits()
        layer.events.contrast_limits.connect(self._keep_limits)

    def _keep_limits(self) -> None:
        low, high = self.layer.contrast_limits
        self.limits.keep((float(low), float(high)))

    def show(self, plane: Any) -> None:
        """Have a newer plane."""
        self.planes.newest = plane
        self.limits.see(plane)
        limits = self.limits.limits
        if limits and tuple(self.layer.contrast_limits) != limits:
            with self.layer.events.contrast_limits.blocker(self._keep_limits):
                self.layer.contrast_limits = limits
                if values := self._frame.range_around(limits[1]):
                    offer_range(self.layer, values)


class RunLayers(QObject):
    """Live layers of the images of a run, with sliders over all that was planned.

    They are there when all steps of `add` were taken.

    `changed` is emitted when the newest is shown from now on, or no longer.

    Parameters
    ----------
    viewer : napari.Viewer
    acquisition : Acquisition
    layout : Layout

    Attributes
    ----------
    is_live : bool
        Whether the sliders follow the newest plane.
    """

    changed = Signal()

    def __init__(self, viewer: Any, acquisition: Acquisition, layout: Layout) -> None:
        super().__init__()
        self._viewer, self._acquisition = viewer, acquisition
        self._layout = layout
        self._stored = StoredPlanes(acquisition, layout)
        self.is_live = True
        self._is_moving = True  # and it is not the user who moves sliders
        self._shown_at = 0.0
        self._all: list[_Shown] = []

    def add(self) -> Iterator[int]:
        """Add the layers, in steps for turns: all of them are to be taken."""
        for alike in alike_in(self._layout):
            channels = range(len(alike.first.channels))
            if self._all and len(self._all) + len(channels) > MOST_LAYERS:
                continue
            for channel in channels:
                with painted_later(self._viewer), not_made_active(self._viewer):
                    self._all.append(self._add(alike, channel))
                yield PAINTED_MS
        if there := self._there:
            last = there[-1].layer
            make_controls(self._viewer, last)
            yield SOON_MS
            with painted_later(self._viewer):
                self._viewer.layers.selection.active = last
            yield PAINTED_MS
        self._is_moving = False
        self._viewer.dims.events.current_step.connect(self._see_moved)

    def _add(self, alike: Alike, number: int) -> _Shown:
        planes = ChannelPlanes(self._stored, self._layout, alike, number)
        channel = alike.first.channels[number]
        scale = {
            axis: counted_at_any_length(alike.first.scale.get(axis) or 1.0, 0.0)[0]
            for axis in alike.axes
        }
        units = [alike.first.units.get(axis, "pixel") for axis in alike.axes]
        values = channel.value_range or range_of(planes.dtype)
        layer = self._viewer.add_image(
            GrowingArray(planes),
            name=f"{LIVE}{channel.name}",
            rgb=False,
            multiscale=False,
            colormap=colormap_of(channel.color),
            blending="additive",
            contrast_limits=values,
            scale=[scale[axis] for axis in alike.axes],
            units=units_beside(self._viewer, units),
            axis_labels=list(alike.axes),
        )
        offer_range(layer, values)
        return _Shown(layer, planes, alike, self._layout.frame)

    @property
    def _there(self) -> list[_Shown]:
        """Those that the user has not removed."""
        return [each for each in self._all if each.layer in self._viewer.layers]

    def follow(self, status: AcquisitionStatus) -> None:
        """Show what came meanwhile, if the writer has time for it."""
        is_overdue = time.perf_counter() - self._shown_at > SLOWEST_PREVIEW_S
        if status.queue_fill < BUSY_QUEUE or is_overdue:
            for newest in self._acquisition.newest_of_channels():
                self._shown_at = time.perf_counter()
                self._show(*newest)
        if self._stored.take() and not self.is_live:
            self._refresh()

    def _show(self, place: dict[str, int], plane: Any) -> None:
        number = place["image"]
        for each in self._there:
            if number in each.alike.numbers and each.planes.channel == place["c"]:
                each.show(plane)
                if self.is_live:
                    key = number, (place["t"], place["c"], place["z"])
                    if not self._go_to(each, each.alike.at(key)):
                        refresh_pixels(self._viewer, each.layer)

    def _go_to(self, each: _Shown, at: Sequence[int]) -> bool:
        """Move the sliders; whether they were elsewhere."""
        dims = self._viewer.dims
        first = dims.ndim - each.layer.ndim
        axes = [first + i for i in range(len(at))]
        if tuple(dims.current_step[axis] for axis in axes) == tuple(at):
            return False
        self._is_moving = True
        try:
            dims.set_current_step(axes, list(at))
        finally:
            self._is_moving = False
        return True

    def _see_moved(self) -> None:
        """Take it that the user moved a slider."""
        if not self._is_moving:
            self.set_live(False)

    def set_live(self, is_live: bool) -> None:
        """Follow the newest from now on, or show what is at the sliders."""
        if self.is_live == is_live:
            return
        self.is_live = is_live
        for each in self._all:
            each.planes.is_live = is_live
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        for each in self._there:
            refresh_pixels(self._viewer, each.layer)

    @property
    def words(self) -> str:
        """What is looked at, unless it is the newest, and why it is black."""
        there = self._there
        if self.is_live or not there:
            return ""
        if self._stored.failure:
            return f"Cannot be read: {self._stored.failure}"
        dims = self._viewer.dims
        keys = []
        for each in there:
            if each.alike is there[0].alike:
                first = dims.ndim - each.layer.ndim
                at = dims.current_step[first : dims.ndim - 2]
                keys.append(each.alike.key(at, each.planes.channel))
        return words_of(self._layout, self._acquisition, keys)

    def stop(self) -> tuple[int, ...]:
        """Follow the run no longer; where the sliders were."""
        self._viewer.dims.events.current_step.disconnect(self._see_moved)
        return tuple(self._viewer.dims.current_step)

    def take_away(self) -> Iterator[None]:
        """Take the layers away, if the user has not: a step for each."""
        for each in self._there:
            if each.layer in self._viewer.layers:
                remove_layer(self._viewer, each.layer)
            yield
