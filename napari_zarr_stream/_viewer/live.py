"""The newest frame in an ordinary image layer, as often as painting allows."""

import time
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from napari.layers import Image
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._reading.growing import GrowingArray
from napari_zarr_stream._reading.layers import counted_at_any_length
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.colours import colormap_of
from napari_zarr_stream._writer.contrast import range_of
from napari_zarr_stream.cameras.viewfinder import picture_of

from .garbage import remove_layer
from .live_image import LiveImage
from .napari_compat import (
    make_controls,
    not_made_active,
    painted_later,
    refresh_pixels,
    units_beside,
)

FASTEST_PREVIEW_S = 1 / 30
"""More is not seen."""

PAINTING_SHARE = 0.25
"""Of the GUI thread's time. Painting holds the GIL, which the writer needs too: with
software rendering (25 ms a paint) this comes to 10 updates a second."""

FIRST_PREVIEW_S = 0.1
"""Until it is known what painting costs."""

PROBE_MS = 5
"""A timer of this length is due when the paint that showing a frame asks for has begun,
so it comes after it: that is what painting costs. One of 0 ms comes before it."""

LIVE = "Live: "
"""Names of live layers begin with it; they are no sources."""

FRESH_S = 0.05
"""A frame that was copied when the last one was shown is shown if no other comes for so
long: it is as old as the time between two previews."""

LOOK_MS = 4
"""How often it is looked whether a frame has come."""

LOOKED_BACK_S = 0.5
"""How often the newest frame is kept while somebody looks back."""

SLOWEST_PREVIEW_S = 1.0
"""However crowded it is: a picture that stands still is taken for the sample."""

BUSY_QUEUE = 0.5
"""With the queue fuller than this what is live waits: frames are worth more."""

GAP = 0.04
"""Between live layers side by side, of the width of the one on the left."""


class Feed(Protocol):
    """What a live layer shows: a recording, or a preview."""

    contrast_limits: tuple[float, float] | None

    @property
    def is_crowded(self) -> bool:
        """Whether frames wait to be written: they are worth more than being shown."""

    def newest(self) -> npt.NDArray[np.generic] | None:
        """A copy of the newest frame that was not given yet; asks for the next one."""


class LivePlane:
    """A plane, or red, green and blue, whose pixels are swapped for newer ones."""

    def __init__(self, plane: npt.NDArray[np.generic]) -> None:
        self.plane = plane
        self.shape, self.dtype = plane.shape, plane.dtype
        self.ndim, self.size = plane.ndim, plane.size

    def __len__(self) -> int:
        return len(self.plane)

    def __getitem__(self, key: Any) -> npt.NDArray[np.generic]:
        part: npt.NDArray[np.generic] = self.plane[key]
        return part

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[np.generic]:
        return np.array(self.plane, dtype=dtype, copy=copy)


def is_live(layer: Any) -> bool:
    """Whether a layer shows what still comes: it is no source."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return isinstance(data, LivePlane | GrowingArray)


def is_colour(shape: tuple[int | None, ...]) -> bool:
    """Whether a frame is red, green and blue, as (3, height, width)."""
    return len(shape) == 3 and shape[0] == 3


def as_shown(frame: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A frame, or its picture, as napari takes it: colours last."""
    picture = picture_of(frame)
    return np.moveaxis(picture, 0, -1) if is_colour(picture.shape) else picture


class LivePreview(QObject):
    """The newest frame of a recording or a preview in an image layer.

    The layer is made and added, dark, before the recording starts: beside it the writer
    would hardly get the GIL. Its rate follows what painting costs here, and gives way
    to the writer.

    `showed` is emitted with every frame that is shown, `removed` when the user took the
    layer away.

    Parameters
    ----------
    viewer : napari.Viewer
    feed : Feed
    source : SourceDescription
    left : float
        Where the layer begins, to the right of others, in its units.
    image : LiveImage, optional
        What was recorded so far, to be looked back at. The layer is of two axes, and
        has the newest frame only, where there is none.
    """

    showed = Signal(object)
    removed = Signal()

    def __init__(
        self,
        viewer: Any,
        feed: Feed,
        source: SourceDescription,
        left: float = 0.0,
        image: LiveImage | None = None,
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._feed = feed
        self._source = source
        self._running = False
        self._is_ours = True
        self._paint_s = FIRST_PREVIEW_S * PAINTING_SHARE
        self._shown_at = time.perf_counter()
        self._limits_are_ours = True
        height, width = (size or 1 for size in source.shape[-2:])
        planes = (source.planes_per_frame,) if source.planes_per_frame > 1 else ()
        self._left = left
        self.image = image
        self.is_looked_back = False
        self.planes_per_frame = source.planes_per_frame
        self._dark = as_shown(np.zeros((*planes, height, width), source.dtype))
        self.layer = self._make(self._dark)
        self._limits = source.channels[0].contrast_limits if source.channels else None

    def _make(self, plane: npt.NDArray[np.generic]) -> Image:
        source = self._source
        value_range = source.value_range or range_of(source.dtype)
        rgb = plane.ndim == 3
        axes = [
            axis
            for axis, name in enumerate(source.axes)
            if name in "yx" or (self.image and not (rgb and name == "c"))
        ]
        units = [source.units[axis] or "pixel" for axis in axes]
        scale = [source.scale[axis] for axis in axes]
        starts = [source.translation[axis] for axis in axes]
        if self.image:
            scale[0], starts[0] = counted_at_any_length(scale[0], starts[0])
        starts[-1] += self._left
        levels = list[Any](self.image.levels if self.image else [LivePlane(plane)])
        layer = Image(
            levels if len(levels) > 1 else levels[0],
            multiscale=len(levels) > 1,
            name=f"{LIVE}{source.name}",
            rgb=rgb,
            colormap="gray"
            if rgb or source.channel is None
            else colormap_of(source.channel.color),
            blending="translucent_no_depth",  # as of `add_image`
            contrast_limits=value_range,
            scale=scale,
            translate=starts,
            units=units_beside(self._viewer, units),
            axis_labels=[source.axes[axis] for axis in axes],
        )
        offer_range(layer, value_range)
        return layer

    def add(self) -> None:
        """Have the layer be there, not yet the active one, and painted a turn later."""
        with painted_later(self._viewer), not_made_active(self._viewer):
            self._viewer.add_layer(self.layer)

    @property
    def right(self) -> float:
        """Where the next layer to the right may begin."""
        pixels = self._source.shape[-1] if self.image else self._dark.shape[1]
        width = (pixels or 1) * self.layer.scale[-1]
        return float(self._left + (1 + GAP) * width)

    def start(self) -> None:
        """Begin to follow the feed."""
        self._running = True
        self.layer.events.contrast_limits.connect(self._keep_limits)
        self._tick()

    def make_controls(self) -> None:
        """Have the layer be ready to become active."""
        if self.is_there:
            make_controls(self._viewer, self.layer)

    def make_active(self) -> None:
        """As napari does with each layer that is added, when its controls are made."""
        if self.is_there:
            with painted_later(self._viewer):
                self._viewer.layers.selection.active = self.layer

    def _tick(self) -> None:
        if not self._running:
            return
        started = time.perf_counter()
        is_overdue = started - self._shown_at > SLOWEST_PREVIEW_S
        if is_overdue or not self._feed.is_crowded:
            # It came when the last one was shown. A newer one is asked for by this.
            self._look(started, self._feed.newest())
        else:
            self._wait()

    def _look(self, since: float, known: npt.NDArray[np.generic] | None) -> None:
        """Show the next frame, or the one that is known if none comes soon."""
        if not self._running:
            return
        started = time.perf_counter()
        frame = self._feed.newest()
        if frame is None and started - since > FRESH_S:
            frame = known
            if frame is None:
                self._wait()
                return
        if frame is None:
            QTimer.singleShot(LOOK_MS, lambda: self._look(since, known))
            return
        self._show(frame)
        QTimer.singleShot(PROBE_MS, lambda: self._painted(started))

    def _painted(self, started: float) -> None:
        cost_s = time.perf_counter() - started
        # Smoothed: one slow paint is often somebody else's.
        self._paint_s += 0.2 * (cost_s - self._paint_s)
        self._wait()

    def _wait(self) -> None:
        wait_s = max(FASTEST_PREVIEW_S, self._paint_s / PAINTING_SHARE)
        if self.is_looked_back:
            wait_s = LOOKED_BACK_S
        QTimer.singleShot(round(1000 * min(wait_s, SLOWEST_PREVIEW_S)), self._tick)

    def _show(self, frame: npt.NDArray[np.generic]) -> None:
        if not self.is_there:
            self._running = False  # the user removed it
            self.removed.emit()
            return
        plane = as_shown(frame)
        if (plane.shape, plane.dtype) != (self._dark.shape, self._dark.dtype):
            self._running = False  # whoever changed the format makes another layer
            return
        self._shown_at = time.perf_counter()
        if self.image is not None:
            self.image.newest = frame
        else:
            self.layer.data.plane = plane
        if not self.is_looked_back:
            self._follow_limits()
            refresh_pixels(self._viewer, self.layer)
        self.showed.emit(frame)

    def _follow_limits(self) -> None:
        """From the data, until the user has changed them."""
        limits = self._limits or self._feed.contrast_limits
        if limits is None or self.layer.rgb or not self._limits_are_ours:
            return
        if tuple(self.layer.contrast_limits) != limits:
            with self.layer.events.contrast_limits.blocker(self._keep_limits):
                self.layer.contrast_limits = limits

    def _keep_limits(self) -> None:
        self._limits_are_ours = False
        low, high = self.layer.contrast_limits
        self._feed.contrast_limits = float(low), float(high)

    def hand_over(self) -> Any:
        """Leave the layer where it is, to be something else from now on."""
        self._running, self._is_ours = False, False
        self.layer.events.contrast_limits.disconnect(self._keep_limits)
        return self.layer

    @property
    def is_there(self) -> bool:
        """Whether the user has not taken the layer away."""
        return self.layer in self._viewer.layers

    def stop(self) -> None:
        """Take the layer away, if the user has not and it was not handed over."""
        self._running = False
        if self._is_ours and self.is_there:
            remove_layer(self._viewer, self.layer)


def offer_range(layer: Any, value_range: tuple[float, float]) -> None:
    """Let the slider of an image layer reach all values that a pixel can have.

    Of a camera that puts 12 bits into the upper ones of 16, they are more than it says.
    """
    low, high = value_range
    shown_low, shown_high = layer.contrast_limits
    if shown_low < low or shown_high > high:
        low, high = range_of(layer.dtype)
    layer.contrast_limits_range = min(low, shown_low), max(high, shown_high)
