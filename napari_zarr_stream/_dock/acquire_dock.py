"""The dock *Acquire (Micro-Manager)*: puts its sections together.

A run belongs to the viewer; a dock that is closed and opened again finds it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from magicgui.widgets import Container
from magicgui.widgets.bases import Widget
from napari.utils.notifications import show_error

from napari_zarr_stream._acquisition.layout import layout_of
from napari_zarr_stream._acquisition.summary import summary_of_run
from napari_zarr_stream._recording.summary import Summary
from napari_zarr_stream._viewer.acquiring import acquiring_of
from napari_zarr_stream._viewer.napari_compat import DockWatch
from napari_zarr_stream._viewer.turns import SOON_MS
from napari_zarr_stream._writer.errors import InvalidProperties, ZarrStreamError

from .acquire_form import AcquireForm
from .acquire_run import AcquireRun
from .form import HEAD_LABEL_WIDTH, form, settings
from .kept import KeptFields
from .microscope_row import MicroscopeRow, mda_widget_maker
from .opened_as import OpenedAs
from .reach import make_reachable
from .remembered import Remembered
from .storage_section import StorageSection
from .upload_section import UploadSection

ACQUIRE_PREFIX = "acquire."
"""Of the names of what was chosen for runs."""


class AcquireDock:
    """Runs a microscope of Micro-Manager, and records what is taken to OME-Zarr.

    Parameters
    ----------
    container : Container
        Holds the widgets: `plan`, `loops`, `uri`, `run`, ...
    viewer : napari.Viewer
    """

    def __init__(self, container: Container[Widget], viewer: Any) -> None:
        self._container, self.native = container, container.native
        self._viewer = viewer
        self._acquiring = acquiring_of(viewer)
        self._microscope = MicroscopeRow(self._acquiring)
        self.form = AcquireForm(mda_widget_maker(self._acquiring))
        self._how = StorageSection(of_single_planes=True)
        self._where_to = UploadSection()
        self._run = AcquireRun(self._acquiring)
        self._opened_as = OpenedAs()

    def fill(self) -> Iterator[int]:
        """Put the sections together in the container, in steps; see `Turns`."""
        self._container.extend(
            [
                *self._microscope.widgets,
                self.form.plan,
                *self.form.fields,
                *self._how.widgets,
                *self._where_to.widgets,
                *self._run.widgets,
                *self._opened_as.fields,
            ]
        )
        self._how.uri.value = Path.home() / "acquisitions"
        sections = (self.form, self._how, self._where_to, self._opened_as)
        fields = tuple(field for each in sections for field in each.fields)
        self._kept = KeptFields(Remembered(), fields, self.native, ACQUIRE_PREFIX)
        self._kept.restore()
        self._lay_out()
        yield SOON_MS
        self._connect()
        self._acquiring.begin_to_follow()
        self._show_microscope()

    def reset_choices(self) -> None:
        """None of them are layers."""

    def _lay_out(self) -> None:
        """Microscope, place, buttons and the state are always in view."""
        self._settings = settings(
            self.form.lay_out(),
            self._how.lay_out(),
            self._where_to.lay_out(),
            self._opened_as.lay_out(),
        )
        below = self.native.layout()
        below.addWidget(self._microscope.lay_out())
        below.addWidget(form(self._how.rows, label_width=HEAD_LABEL_WIDTH))
        below.addWidget(self._run.lay_out())
        below.addWidget(self._how.plan_line.native)
        below.addWidget(self._settings, 1)
        make_reachable(self.native)

    def _connect(self) -> None:
        for field in self._kept.fields:
            field.changed.connect(self._show_plan)
            field.changed.connect(self._kept.keep_soon)
        self.form.changed.connect(self._show_plan)
        self.form.wanted.connect(self._acquiring.followed.look)
        self._how.place_look.changed.connect(self._show_plan)
        self._run.run.clicked.connect(self._start)
        self._run.others.changed.connect(self._acquiring.record_others)
        self._acquiring.changed.connect(self._show_microscope)
        self._acquiring.ended.connect(self._show_end)
        self._watch = DockWatch(self._viewer, self.native)
        self._watch.closed.connect(self._dock_closed)
        self._watch.opened.connect(self._acquiring.begin_to_follow)

    def _dock_closed(self) -> None:
        """A run goes on; those of others are not recorded where nobody sees it."""
        self._run.others.value = False
        self._acquiring.leave()

    def _show_microscope(self) -> None:
        self._microscope.show_microscope()
        self.form.show_microscope(self._acquiring.followed.microscope)
        make_reachable(self.native)  # there may be other channels
        if self._acquiring.is_busy:
            self._show_start()
        else:
            self._show_plan()

    def _show_plan(self, *_: object) -> None:
        if self._acquiring.is_busy:
            return
        self._how.show_choice()
        self._acquiring.positions = self._opened_as.positions
        self._acquiring.new_properties = None
        can_run = self._how.plan_line.show_words(self._planned)
        said = f"Ready for {self._how.names()}" if can_run else ""
        self._run.show_ready(can_run, said)

    def _planned(self) -> Summary:
        place = self._how.place()
        [properties] = self._how.properties()
        self._acquiring.new_upload = self._where_to.request()
        self._acquiring.new_properties = self._how.at_next_free_place(properties)
        known = self._acquiring.followed.microscope
        if known is None or known.frame is None:
            raise InvalidProperties("There is no camera to take images with.")
        layout = layout_of(self.form.sequence(), known.frame)
        return summary_of_run(layout, properties, place.free_bytes)

    def _start(self) -> None:
        self._how.place_look.look_now()
        try:
            [properties] = self._how.properties()
            upload_to = self._where_to.request()
            self._acquiring.start(self.form.sequence(), properties, upload_to)
        except (ZarrStreamError, OSError) as error:
            show_error(f"The run could not be started: {error}")
            self._show_plan()
            return
        self._kept.keep()

    def _show_start(self) -> None:
        self.form.enable(False)
        self._how.enable(False)
        self._where_to.enable(False)
        self._how.plan_line.native.hide()
        self._settings.fold_away()
        self._run.show_start()
        self._run.show_live()

    def _show_end(self) -> None:
        self._settings.bring_back()
        self.form.enable(True)
        self.form.read_again()
        self._how.enable(True)
        self._where_to.enable(True)
        self._how.place_look.look_again()
        self._run.show_end()
        self._show_microscope()
