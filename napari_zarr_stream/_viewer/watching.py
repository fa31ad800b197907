"""Layers of images that others still write: they grow with what is committed.

Nothing is asked of the writer. Two small documents and its lock are read, now and then,
in a thread.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._reading.growing import (
    GrowingArray,
    Progress,
    StoredLevel,
    progress_of,
)
from napari_zarr_stream._writer.errors import InvalidStore

from .background import in_background
from .napari_compat import main_window_of, viewer_itself
from .slider import GrowingSlider

POLL_MS = 1000
"""A commit comes four times a second at the most, and nobody waits for it here."""


class Watched:
    """The layers of one image that is still written.

    Parameters
    ----------
    viewer : napari.Viewer
    layers : sequence of napari.layers.Layer
        Their data are of `GrowingArray` over `StoredLevel`.

    Attributes
    ----------
    slider : GrowingSlider
    goes_on : bool
        Whether it is still written, as far as is known.
    """

    def __init__(self, viewer: Any, layers: Sequence[Any]) -> None:
        self._layers = layers
        self._stored = [stored for layer in layers for stored in stored_levels(layer)]
        self._level = _path_of(layers[0])
        self._name = layers[0].name
        self._steps = self._stored[0].shape[0]
        self._counted = "frames" if layers[0].ndim == FRAME_AXES else "steps"
        self.goes_on = True
        self._end = ""
        self._failed = 0
        self._ask = partial(progress_of, self._level.parent, self._level)
        self._asked = in_background(self._ask, may_be_dropped=True)
        self.slider = GrowingSlider(
            viewer, list(layers), self._set_length, is_live=False, length=self._steps
        )

    def _set_length(self, length: int) -> None:
        for stored in self._stored:
            stored.grow(length)

    @property
    def is_there(self) -> bool:
        """Whether the user has not removed all of its layers."""
        return bool(self.slider.layers)

    @property
    def words(self) -> str:
        """What goes on, in a line."""
        if self.goes_on:
            return (
                f"{self._name} is being recorded: {self._steps} {self._counted} so far"
            )
        return f"{self._name}: {self._end}, {self._steps} {self._counted}"

    def poll(self) -> None:
        """Take what was answered, and ask again."""
        if not self._asked.done():
            return
        try:
            self._take(self._asked.result())
            self._failed = 0
        except InvalidStore as error:
            self._failed += 1  # a disk may come back
            if self._failed == MAX_FAILED:
                self.stop(f"it cannot be followed any more: {error}")
        if self.goes_on:
            self._asked = in_background(self._ask, may_be_dropped=True)

    def _take(self, progress: Progress) -> None:
        if progress.steps > self._steps:
            self._steps = progress.steps
            self.slider.grow(progress.steps)
        if not progress.goes_on:
            reason = progress.finish_reason
            ended = f"the recording has ended ({reason})"
            self.stop(ended if reason else progress.state)

    def stop(self, why: str) -> None:
        """It grows no more: its layers are as those of any store from now on."""
        self.goes_on, self._end = False, why
        self.slider.stop()
        for layer in self.slider.layers:
            data = layer.data
            layer.data = [each.now for each in data] if layer.multiscale else data.now


MAX_FAILED = 10
"""Questions that nobody answers, one after the other."""

FRAME_AXES = 3
"""Of layers whose steps are frames."""


def stored_levels(layer: Any) -> list[StoredLevel]:
    """The levels of a layer of an image that others write; none of other layers."""
    levels = layer.data if getattr(layer, "multiscale", False) else [layer.data]
    grown = [level.pixels for level in levels if isinstance(level, GrowingArray)]
    return [pixels for pixels in grown if isinstance(pixels, StoredLevel)]


def _path_of(layer: Any) -> Path:
    path = stored_levels(layer)[0].path
    assert path is not None  # it was opened
    return path


class Watching(QObject):
    """All that is watched in one viewer.

    `changed` is emitted when there is something else to say.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    changed = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__(main_window_of(viewer))
        self._viewer = viewer
        self._watched: list[Watched] = []
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        viewer.layers.events.inserted.connect(self._look_soon)
        self._look()

    @property
    def words(self) -> str:
        """A line for each image; empty where nothing was watched of what is there."""
        return "\n".join(watched.words for watched in self._watched)

    @property
    def _followed(self) -> GrowingSlider | None:
        """The one slider that can follow: all share it."""
        sliders = [watched.slider for watched in self._watched if watched.goes_on]
        return sliders[-1] if sliders else None

    @property
    def can_follow(self) -> bool:
        """Whether something is still written."""
        return self._followed is not None

    @property
    def follows(self) -> bool:
        """Whether the newest that is committed is shown."""
        return self._followed is not None and self._followed.is_live

    def follow(self, follows: bool) -> None:
        """Keep at the newest, or stay where it is."""
        if self._followed is not None and follows:
            self._followed.follow()
        elif self._followed is not None:
            self._followed.stay()

    def _look_soon(self) -> None:
        # The viewer has not taken a layer in when it says that one was inserted.
        QTimer.singleShot(0, self._look)

    def _look(self) -> None:
        known = {layer for watched in self._watched for layer in watched.slider.layers}
        new: dict[Path, list[Any]] = {}
        for layer in self._viewer.layers:
            if layer not in known and stored_levels(layer):
                new.setdefault(_path_of(layer), []).append(layer)
        for layers in new.values():
            watched = Watched(self._viewer, layers)
            watched.slider.followed.connect(self.changed)
            self._watched.append(watched)
            show_info(
                f"{watched.words}. It grows while it is open; the end of its slider "
                "is the newest"
            )
        if new:
            self._timer.start()
            self.changed.emit()

    def _poll(self) -> None:
        self._watched = [watched for watched in self._watched if watched.is_there]
        before = self.words
        going = [watched for watched in self._watched if watched.goes_on]
        for watched in going:
            watched.poll()
            if not watched.goes_on:
                show_info(watched.words)
        if not going:
            self._timer.stop()
        if self.words != before or not going:
            self.changed.emit()


def watching_of(viewer: Any) -> Watching:
    """The one of a viewer, made when it is first asked for; it lives as long."""
    window = main_window_of(viewer)
    for child in window.children():
        if isinstance(child, Watching):
            return child
    return Watching(viewer_itself(viewer))
