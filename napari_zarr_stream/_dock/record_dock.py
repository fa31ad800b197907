"""The dock *Record to Zarr*: puts its sections together.

A recording belongs to the viewer; a dock that is closed and opened again finds it.
"""

from collections.abc import Iterator
from typing import Any

from app_model.types import KeyBinding
from magicgui.widgets import Container
from magicgui.widgets.bases import Widget
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer

from napari_zarr_stream._viewer.napari_compat import DockWatch, warn_of_unsafe_qt
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._viewer.turns import SOON_MS
from napari_zarr_stream._viewer.warm_up import WARM_UP_MS
from napari_zarr_stream._viewer.watching import watching_of
from napari_zarr_stream._writer.errors import ZarrStreamError

from .cameras_section import CamerasSection
from .form import HEAD_LABEL_WIDTH, form, settings
from .kept import KeptFields
from .place import Place
from .plan_line import Planned
from .reach import make_reachable
from .remembered import Remembered
from .run_section import RunSection
from .schedule_section import ScheduleSection
from .settings_file import SettingsFile
from .source_section import SourceSection
from .storage_section import StorageSection
from .upload_section import UploadSection
from .watch_section import WatchSection

SHORTCUT = KeyBinding.from_str("Ctrl+Shift+R")
"""None of napari's own, in the whole window: Record, or Stop while it records."""


class RecordDock:
    """Records cameras or a layer of a viewer to OME-Zarr.

    Parameters
    ----------
    container : Container
        Holds the widgets: `source`, `uri`, `record`, ...
    viewer : napari.Viewer
    """

    def __init__(self, container: Container[Widget], viewer: Any) -> None:
        self._container, self.native = container, container.native
        self._remembered = Remembered()
        self._viewer = viewer
        self._session = session_of(viewer)
        self._when = ScheduleSection()
        self._what = SourceSection(viewer, self._session, self._remembered, self._when)
        self._how = StorageSection()
        self._where_to = UploadSection()
        self._run = RunSection(self._session, str(SHORTCUT.to_text()))
        self._others = WatchSection(watching_of(viewer))

    def fill(self) -> Iterator[int]:
        """Put the sections together in the container, in steps; see `Turns`."""
        fields = (
            *self._what.fields,
            *self._when.fields,
            *self._how.fields,
            *self._where_to.fields,
        )
        self._kept = KeptFields(self._remembered, fields, self.native)
        self._file = SettingsFile(fields, self._what.cameras, self._remembered)
        self._kept.restore()
        self._how.template = self._when.name.value
        self._how.look_ahead(self._what.store_count)
        yield SOON_MS
        self._container.extend(
            [
                *self._what.widgets,
                *self._when.fields,
                *self._how.widgets,
                *self._where_to.widgets,
                *self._run.widgets,
                *self._others.widgets,
            ]
        )
        self._what.offer_last_camera()
        yield SOON_MS
        self._lay_out()
        yield SOON_MS
        self._connect()
        self._what.follow()
        yield from self.cameras.await_first()
        warn_of_unsafe_qt()
        self.cameras.search_soon()
        QTimer.singleShot(WARM_UP_MS, self._session.warm_up.begin)

    @property
    def cameras(self) -> CamerasSection:
        """The cameras that are found and those in use."""
        return self._what.cameras

    def _lay_out(self) -> None:
        """Group the widgets: magicgui's own layout is one long column.

        Source, place, Record, Stop and the state are always in view. What is set may be
        longer than the window, and scrolls; it folds away while something is recorded.
        """
        self._settings = settings(
            self._what.lay_out(),
            self._when.lay_out(),
            self._how.lay_out(),
            self._where_to.lay_out(),
            self._file.lay_out(),
        )
        rows = [*self._what.rows, *self._how.rows]
        below = self.native.layout()
        below.addWidget(form(rows, label_width=HEAD_LABEL_WIDTH))
        below.addWidget(self._run.lay_out())
        below.addWidget(self._others.lay_out())
        below.addWidget(self._how.plan_line.native)
        below.addWidget(self._settings, 1)
        self._reach()

    def _reach(self) -> None:
        make_reachable(self.native)

    def _connect(self) -> None:
        for field in self._kept.fields:
            field.changed.connect(self._show_plan)
            field.changed.connect(self._kept.keep_soon)
        self._what.changed.connect(self._show_plan)
        self._what.changed.connect(self._reach)  # there may be other controls
        self._how.place_look.changed.connect(self._show_plan)
        self._what.cameras.changed.connect(self._kept.keep_soon)
        self._run.record.clicked.connect(self._start)
        self._session.began.connect(self._follow_live)
        self._session.ended.connect(self._show_end)
        self._watch = DockWatch(self._viewer, self.native)
        self._watch.closed.connect(self._dock_closed)
        self._watch.opened.connect(self._dock_opened)
        self._bind_key()
        if self._session.is_busy:
            self._show_start()
            self._follow_live()

    def reset_choices(self, *_: object) -> None:
        """Called by napari, too, when layers come, go or are renamed."""
        self._what.follow_layers()

    def _show_plan(self, *_: object) -> None:
        if self._session.is_busy:
            return
        self._how.template = self._when.name.value
        self._what.show_choice()
        self._how.show_choice()
        line = self._how.plan_line
        can_record = line.show_plan(self._planned)
        names = self._how.names(self._what.store_count) if can_record else ""
        self._run.show_ready(can_record, names)
        if self._what.has_problem:
            line.clear()  # it is said below the source

    def _planned(self) -> tuple[Planned, Place]:
        count = self._what.store_count
        planned = self._what.described(self._how.properties(count))
        return planned, self._how.place(count)

    def _start(self) -> None:
        self._how.place_look.look_now()
        try:
            jobs = self._what.jobs(self._how.properties(self._what.store_count))
            upload = self._where_to.request()
        except (ZarrStreamError, OSError) as error:
            said = f"The recording could not be started: {error}"
            show_error(said)
            self._show_plan()
            self._run.show_trouble(said)
            return
        self._what.stop_previews()
        self._session.start(jobs, one_store=self._what.in_one_store, upload=upload)
        self._kept.keep()
        self._show_start()

    def _show_start(self) -> None:
        self._how.enable(False)
        self._where_to.enable(False)
        self._file.enable(False)
        self._how.plan_line.native.hide()
        self._settings.fold_away()
        self._what.show_start()
        self._run.show_start()

    def _follow_live(self) -> None:
        self._what.follow_live()
        self._run.follow_live()

    def _show_end(self) -> None:
        self._run.show_end()
        self._settings.bring_back()
        self._how.enable(True)
        self._where_to.enable(True)
        self._file.enable(True)
        self._how.place_look.look_again()
        if self._watch.is_closed:  # meanwhile
            self.cameras.close()
        self._what.show_end()

    def _bind_key(self) -> None:
        self._viewer.bind_key(SHORTCUT, self._press, overwrite=True)

    def _press(self, _: object) -> None:
        """Click on Record, or on Stop; neither does anything where it is grey."""
        busy = self._session.is_busy
        (self._run.stop if busy else self._run.record).native.click()

    def _dock_opened(self) -> None:
        self._bind_key()
        self._what.follow()

    def _dock_closed(self) -> None:
        self._viewer.bind_key(SHORTCUT, None, overwrite=True)
        self._session.stop()
        if not self._session.is_busy:
            self.cameras.close()
