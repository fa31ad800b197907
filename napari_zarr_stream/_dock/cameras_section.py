"""The cameras in the dock: those found, one or several in use, how to get more."""

import html
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from magicgui.widgets import PushButton
from qtpy.QtCore import Qt, QTimer, Signal
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_zarr_stream.cameras import Camera, FoundCameras
from napari_zarr_stream.cameras.registry import CameraSearch, simulated_cameras

from .camera_control import POLL_MS
from .camera_section import CameraSection
from .form import PROBLEM_STYLE, Fold, beside, wrapping
from .remembered import Remembered

Cameras = Mapping[str, Callable[[], Camera]]

FIRST_STEPS = 5
"""Of `POLL_MS`. A dock that is opened is seen no later than that for its camera."""

SEARCH_MS = 100
"""After the dock is filled. Drivers are imported, which holds the GIL: beside them, the
last layout of the dock and its first paint took up to 0.25 s, else half of that."""


class CamerasSection(QWidget):
    """Looks for cameras in the background, and holds a section for each one in use.

    The first section may also hold something else, a layer. `changed` says that
    something else would be recorded now, `found_changed` that there are other cameras.

    Parameters
    ----------
    viewer : napari.Viewer
    remembered : Remembered
    layer_names : callable
        Layers that can be a source as well.
    """

    changed = Signal()
    found_changed = Signal()

    def __init__(
        self,
        viewer: Any,
        remembered: Remembered,
        layer_names: Callable[[], Sequence[str]],
    ) -> None:
        super().__init__()
        self._viewer = viewer
        self._remembered = remembered
        self._layer_names = layer_names
        self.found = FoundCameras(simulated_cameras())
        self._search: CameraSearch | None = None
        self._is_search_due = True
        self.others: list[CameraSection] = []
        self.first = CameraSection(viewer, self._names)
        self.add_camera = PushButton(
            name="add_camera",
            text="Add a camera",
            tooltip="Record another camera at the same time",
        )
        self.refresh = PushButton(
            name="refresh", text="Refresh", tooltip="Look for cameras plugged in later"
        )
        self.missing = wrapping(QLabel())
        self.missing.setTextFormat(Qt.TextFormat.RichText)
        self._more = Fold("More kinds of camera", self.missing)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._collect)
        self.add_camera.clicked.connect(self.add)
        self.refresh.clicked.connect(self.search)

    def lay_out(self) -> None:
        """Put the widgets in their places."""
        self.first.lay_out()
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.addWidget(self.first)
        self._column.addWidget(beside(self.add_camera.native, self.refresh.native))
        self._column.addWidget(self._more)
        self._join(self.first)

    # ------------------------------------------------------------------ the search

    def search_soon(self) -> None:
        """Look for cameras as soon as the dock is there; see `SEARCH_MS`."""
        QTimer.singleShot(SEARCH_MS, self._search_if_due)

    def _search_if_due(self) -> None:
        if self._is_search_due:
            self.search()

    def search(self) -> None:
        """Look for cameras in the background; those known stay meanwhile."""
        self._is_search_due = False
        if not self.is_searching:
            self._search = CameraSearch()
            self.refresh.enabled = False
            self._timer.start()
            # Opening the first of them is a step of its own for the window.
            QTimer.singleShot(0, self._collect)

    @property
    def is_searching(self) -> bool:
        """Whether cameras are still looked for."""
        return self._is_search_due or self._search is not None

    def _collect(self) -> None:
        """Show what has been found by now: no driver waits for another."""
        if self._search is None:
            return
        found, before = self._search.found, self.found
        if found.awaited:
            # Those that were there may only not have answered yet.
            found = replace(found, cameras={**before.cameras, **found.cameras})
        else:
            self._search = None
            self._timer.stop()
            self.refresh.enabled = True
        self.found = found
        self._show_missing()
        if found.cameras.keys() != before.cameras.keys() or not found.awaited:
            self.found_changed.emit()

    def _show_missing(self) -> None:
        found = self.found
        parts = [
            f"<b>{html.escape(title)}</b> is not installed:<br>"
            f"<code>{html.escape(command)}</code>"
            for title, command in found.missing.items()
        ]
        parts += [
            f'<b>{html.escape(title)}</b> <span style="{PROBLEM_STYLE}">failed: '
            f"{html.escape(reason)}</span>"
            for title, reason in found.failed.items()
        ]
        self.missing.setText("<br>".join(parts))
        self._more.setVisible(bool(parts or found.awaited))
        if found.awaited:
            self._more.setTitle(f"Looking for cameras: {', '.join(found.awaited)} …")
            return
        count = f"{len(parts)} more kinds of camera"
        self._more.setTitle("1 more kind of camera" if len(parts) == 1 else count)

    def await_first(self) -> Iterator[int]:
        """Steps in which the first camera may answer; see `Turns`."""
        for _ in range(FIRST_STEPS):
            if not self.first.control.is_waiting:
                return
            yield POLL_MS

    # ---------------------------------------------------------------- the sections

    @property
    def sections(self) -> list[CameraSection]:
        """All of them, the first one first."""
        return [self.first, *self.others]

    def _in_use(self) -> set[str]:
        return {s.control.name for s in self.sections if s.control.name}

    def _names(self, section: CameraSection) -> list[str]:
        """What can be chosen in a section: in the first one, layers as well."""
        name = section.control.name
        if section in self.others:
            free = [n for n in self.found.cameras if n not in self._in_use() - {name}]
            layers: Sequence[str] = ()
        else:
            free, layers = list(self.found.cameras), self._layer_names()
        # What is in use stays, even where it is not found any more.
        present = [name] if name and name not in free else []
        return [*free, *present, *layers]

    def add(self) -> None:
        """Put another camera below the others: the first that is not in use."""
        free = [name for name in self.found.cameras if name not in self._in_use()]
        if not free:
            return
        section = CameraSection(self._viewer, self._names, removable=True)
        section.lay_out()
        section.fold.setOpen(False)
        self.others.append(section)
        section.source.reset_choices()
        self._column.insertWidget(len(self.others), section)
        section.removed.connect(partial(self.remove, section))
        section.source.changed.connect(partial(self._choose, section))
        self._join(section)
        section.source.value = free[0]
        self._choose(section)

    def remove(self, section: CameraSection) -> None:
        """Do without a camera."""
        section.close()
        self.others.remove(section)
        self._column.removeWidget(section)
        section.hide()
        section.deleteLater()
        self.changed.emit()

    def _join(self, section: CameraSection) -> None:
        section.control.changed.connect(partial(self._remember, section))
        section.changed.connect(self.changed)

    def _choose(self, section: CameraSection, *_: object) -> None:
        self.choose(section, section.source.value or "")

    def choose(self, section: CameraSection, name: str) -> None:
        """Open the camera of this name in a section; none, if it is no camera's."""
        make = self.found.cameras.get(name)
        if make is None and name == section.control.name:
            return  # in use, and not found any more
        last = self._remembered.cameras.get(name, {})
        section.control.choose(name, make, last)

    def _remember(self, section: CameraSection) -> None:
        view = section.control.view
        if view is not None and not view.problem:
            values = {setting.name: setting.value for setting in view.settings}
            self._remembered.cameras[section.control.name] = values

    def show_recording(self, is_recording: bool) -> None:
        """Grey out what must not be done while the cameras record."""
        self.add_camera.enabled = not is_recording
        for section in self.sections:
            section.show_recording(is_recording)

    def close(self) -> None:
        """Let go of all cameras."""
        for section in self.sections:
            section.close()
