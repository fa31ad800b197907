"""The dock *Export to Zarr*: puts its sections together.

An export belongs to the viewer; a dock that is closed and opened again finds it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from magicgui.widgets import Container
from magicgui.widgets.bases import Widget
from napari.utils.notifications import show_error

from napari_zarr_stream._saving.settings import EXPORT_PREFIX
from napari_zarr_stream._viewer.exporting import ExportJob, exporting_of
from napari_zarr_stream._viewer.turns import SOON_MS
from napari_zarr_stream._writer.errors import ZarrStreamError

from .export_run import ExportRun
from .export_what import ExportWhat
from .export_where import ExportWhere, plan_in_words
from .form import HEAD_LABEL_WIDTH, form, settings
from .kept import KeptFields
from .reach import make_reachable
from .remembered import Remembered
from .storage_section import StorageSection


class ExportDock:
    """Exports layers of a viewer to OME-Zarr.

    Parameters
    ----------
    container : Container
        Holds the widgets: `layers`, `uri`, `export`, ...
    viewer : napari.Viewer
    """

    def __init__(self, container: Container[Widget], viewer: Any) -> None:
        self._container, self.native = container, container.native
        self._exporting = exporting_of(viewer)
        self._what = ExportWhat(viewer)
        self._how = StorageSection()
        self._run = ExportRun(self._exporting)
        self._where = ExportWhere(self._how, viewer, self.native)

    def fill(self) -> Iterator[int]:
        """Put the sections together in the container, in steps; see `Turns`."""
        self._container.extend(
            [
                *self._what.widgets,
                *self._how.widgets,
                *self._run.widgets,
                self._where.into_store,
            ]
        )
        self._how.preset.value = EXPORT_PRESET
        self._how.uri.value = Path.home() / "exported"
        fields = (*self._what.fields, *self._how.fields)
        self._kept = KeptFields(Remembered(), fields, self.native, EXPORT_PREFIX)
        self._kept.restore()
        self._lay_out()
        yield SOON_MS
        self._connect()
        self._what.choose_selected()
        self._show_plan()

    def _lay_out(self) -> None:
        """Layers, place, Export, Cancel and the state are always in view."""
        self._settings = settings(
            self._what.lay_out(),
            self._how.lay_out(),
        )
        rows = [*self._what.rows, ("", self._where.into_store.native), *self._how.rows]
        below = self.native.layout()
        below.addWidget(form(rows, label_width=HEAD_LABEL_WIDTH))
        below.addWidget(self._run.lay_out())
        below.addWidget(self._how.plan_line.native)
        below.addWidget(self._settings, 1)
        make_reachable(self.native)

    def _connect(self) -> None:
        for field in self._kept.fields:
            field.changed.connect(self._show_plan)
            field.changed.connect(self._kept.keep_soon)
        for field in (self._what.layers, self._what.first_level):
            field.changed.connect(self._show_plan)
        self._what.changed.connect(self._show_plan)
        self._where.changed.connect(self._show_plan)
        self._run.export.clicked.connect(self._start)
        self._exporting.ended.connect(self._show_end)
        if self._exporting.is_busy:
            self._show_start()

    def reset_choices(self, *_: object) -> None:
        """Called by napari, too, when layers come, go or are renamed."""
        self._what.follow_layers()

    def _jobs(self) -> list[ExportJob]:
        return self._where.jobs(self._what.groups(), self._what.method.value)

    def _show_plan(self, *_: object) -> None:
        if self._exporting.is_busy:
            return
        self._what.show_choice()
        self._how.show_choice()
        self._where.offer_into(self._what.layers.value)
        self._run.export.enabled = self._how.plan_line.show_words(
            lambda: plan_in_words(
                self._jobs(), self._where.free_bytes, self._what.verify.value
            )
        )

    def _start(self) -> None:
        try:
            jobs = self._where.agreed(self._jobs(), self.native)
        except (ZarrStreamError, OSError) as error:
            show_error(f"The export could not be started: {error}")
            self._show_plan()
            return
        if jobs:
            self._exporting.start(jobs, self._what.how)
            self._kept.keep()
            self._show_start()

    def _show_start(self) -> None:
        self._what.enable(False)
        self._how.enable(False)
        self._settings.fold_away()
        self._run.show_start()

    def _show_end(self) -> None:
        self._settings.bring_back()
        self._what.enable(True)
        self._how.enable(True)
        self._where.look_again()
        self._run.show_end()
        self._show_plan()


EXPORT_PRESET = "Smallest files"
"""What is exported is kept and sent, and not raced with."""
