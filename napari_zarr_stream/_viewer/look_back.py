"""All that is committed of recordings under way, to be looked at while they go on."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_zarr_stream._recording.states import RecordingStatus
from napari_zarr_stream._sources.source import SourceDescription

from .live import LivePreview
from .live_image import MIN_AXES
from .slider import GrowingSlider, go_to_step

GROW_S = 0.5
"""How often the slider grows. While it follows the newest all layers of the viewer are
sliced anew each time, and its numbers are painted."""


class LookBack(QObject):
    """The live layers of recordings side by side, and the slider they have together.

    `changed` is emitted when the newest is shown from now on, or no longer, and when
    the first frame can be looked back at.

    Parameters
    ----------
    viewer : napari.Viewer
    lives : sequence of LivePreview
        Those without an image have nothing to look back at.
    """

    changed = Signal()

    def __init__(self, viewer: Any, lives: Sequence[LivePreview]) -> None:
        super().__init__()
        self._viewer = viewer
        self._lives = lives
        self._committed = [0] * len(lives)
        self._statuses: Sequence[RecordingStatus] = ()
        self._grown_at = 0.0
        self._places: dict[str, int] = {}
        layers = [live.layer for live in lives if live.image is not None]
        self._slider = GrowingSlider(viewer, layers, self._set_length, is_live=True)
        self._slider.followed.connect(self._show)

    @property
    def is_live(self) -> bool:
        """Whether the newest is shown."""
        return self._slider.is_live

    @property
    def can_look_back(self) -> bool:
        """Whether something is committed, and its layer is there."""
        return self._slider.can_look_back

    def set_live(self, is_live: bool) -> None:
        """Show the newest from now on, or stay at the last that is committed."""
        if is_live:
            self._slider.follow()
        else:
            self._slider.look_back()
        self.changed.emit()

    def _show(self, is_live: bool) -> None:
        for live in self._lives:
            live.is_looked_back = not is_live
        self.changed.emit()

    def _set_length(self, length: int) -> None:
        for live, committed, status in zip(
            self._lives, self._committed, self._statuses, strict=False
        ):
            if live.image is not None:
                live.image.grow(length, committed if length > 1 else 0, status.path)

    def grow(self, statuses: Sequence[RecordingStatus]) -> None:
        """Reach what was committed meanwhile, if it is time."""
        if time.perf_counter() - self._grown_at < GROW_S:
            return
        self._grown_at = time.perf_counter()
        committed = [
            _steps_in(status, live)
            for status, live in zip(statuses, self._lives, strict=True)
        ]
        if committed == self._committed:
            return
        could_look_back = self.can_look_back
        self._committed, self._statuses = committed, statuses
        self._slider.grow(max(map(_length, self._lives, committed)))
        if self.can_look_back != could_look_back:
            self.changed.emit()

    def stop(self) -> None:
        """Leave the slider, and keep in mind where it is; may be called twice."""
        for layer in self._slider.layers[:1]:
            axes = range(self._viewer.dims.ndim)[-layer.ndim : -2]
            steps = [self._viewer.dims.current_step[axis] for axis in axes]
            self._places = dict(zip(layer.axis_labels, steps, strict=False))
            # The slider has not grown to the last frames.
            step = sys.maxsize if self.is_live else self._slider.step
            self._places[layer.axis_labels[0]] = step
        self._slider.stop()

    def restore(self, layer: Any) -> None:
        """Show the same place of the first layer that takes the place of a live one."""
        places, self._places = self._places, {}
        for axis, label in enumerate(layer.axis_labels[:-2]):
            last = round(float(layer.extent.data[1][axis]))
            if label in places:
                go_to_step(self._viewer, layer, axis, min(places[label], last))


def in_step_with(
    described: SourceDescription, first: SourceDescription
) -> SourceDescription:
    """A source as it is shown beside another: the slider counts frames of both."""
    if min(len(described.axes), len(first.axes)) < MIN_AXES:
        return described
    return replace(
        described,
        scale=(first.scale[0], *described.scale[1:]),
        translation=(first.translation[0], *described.translation[1:]),
        units=(first.units[0], *described.units[1:]),
    )


def _steps_in(status: RecordingStatus, live: LivePreview) -> int:
    """Steps along the first axis that are committed."""
    if status.plan is None:
        return 0
    planes = status.frames_committed * live.planes_per_frame
    return planes // status.plan.planes_per_step


def _length(live: LivePreview, committed: int) -> int:
    return live.image.length_after(committed) if live.image is not None else 1
