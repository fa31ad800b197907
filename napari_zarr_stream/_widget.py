"""The dock widgets *Record to Zarr* and *Export to Zarr*: put their sections together.

Recordings and exports belong to the viewer; a widget that is closed and opened again
finds them there.
"""

from pathlib import Path

import napari  # noqa: TC002 - napari looks for this name in the signature
from app_model.types import KeyBinding
from magicgui.widgets import Container
from magicgui.widgets.bases import Widget
from napari.utils.notifications import show_error
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from ._dock.cameras_section import CamerasSection
from ._dock.export_run import ExportRun
from ._dock.export_what import ExportWhat
from ._dock.export_where import ExportWhere, plan_in_words
from ._dock.form import Fold, form, scrolling
from ._dock.kept import KeptFields
from ._dock.place import Place
from ._dock.plan_line import Planned
from ._dock.reach import make_reachable
from ._dock.remembered import Remembered
from ._dock.run_section import RunSection
from ._dock.schedule_section import ScheduleSection
from ._dock.settings_file import SettingsFile
from ._dock.source_section import SourceSection
from ._dock.storage_section import StorageSection
from ._dock.upload_section import UploadSection
from ._dock.watch_section import WatchSection
from ._saving.settings import EXPORT_PREFIX
from ._viewer.exporting import ExportJob, exporting_of
from ._viewer.napari_compat import DockWatch, viewer_itself, warn_of_unsafe_qt
from ._viewer.session import session_of
from ._viewer.warm_up import WARM_UP_MS
from ._viewer.watching import watching_of
from ._writer.errors import ZarrStreamError

__all__ = ["ExportWidget", "RecordWidget"]

GROUP_SPACING = 16
SHORTCUT = KeyBinding.from_str("Ctrl+Shift+R")
"""None of napari's own, in the whole window: Record, or Stop while it records."""

HEAD_LABEL_WIDTH = 56
"""Of "Save in": fields that are always in view have as much room as there is."""


class RecordWidget(Container[Widget]):
    """Records cameras or a layer of a viewer to OME-Zarr.

    Its children go by their names: `source`, `uri`, `record`, ...

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        remembered = Remembered()
        self._viewer = viewer = viewer_itself(napari_viewer)
        self._session = session_of(viewer)
        self._when = ScheduleSection()
        self._what = SourceSection(viewer, self._session, remembered, self._when)
        self._how = StorageSection()
        self._where_to = UploadSection()
        self._run = RunSection(self._session, str(SHORTCUT.to_text()))
        self._others = WatchSection(watching_of(viewer))
        super().__init__(
            widgets=[
                *self._what.widgets,
                *self._when.fields,
                *self._how.widgets,
                *self._where_to.widgets,
                *self._run.widgets,
                *self._others.widgets,
            ],
            labels=False,
        )
        fields = (
            *self._what.fields,
            *self._when.fields,
            *self._how.fields,
            *self._where_to.fields,
        )
        self._kept = KeptFields(remembered, fields, self.native)
        self._file = SettingsFile(fields, self._what.cameras, remembered)
        self._kept.restore()
        self._what.offer_last_camera()
        self._lay_out()
        self._connect()
        self._what.follow()
        warn_of_unsafe_qt()
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
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GROUP_SPACING)
        layout.addWidget(self._what.lay_out())
        layout.addWidget(self._when.lay_out())
        layout.addWidget(self._how.lay_out())
        layout.addWidget(self._where_to.lay_out())
        layout.addWidget(self._file.lay_out())
        layout.addStretch(1)
        self._settings = Fold("Settings", scrolling(column), is_open=True)
        # Else napari puts something below that takes the room.
        self._settings.setSizePolicy(
            QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding
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


class ExportWidget(Container[Widget]):
    """Exports layers of a viewer to OME-Zarr.

    Its children go by their names: `layers`, `uri`, `export`, ...

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:
        viewer = viewer_itself(napari_viewer)
        self._exporting = exporting_of(viewer)
        self._what = ExportWhat(viewer)
        self._how = StorageSection()
        self._run = ExportRun(self._exporting)
        super().__init__(
            widgets=[
                *self._what.widgets,
                *self._how.widgets,
                *self._run.widgets,
            ],
            labels=False,
        )
        self._where = ExportWhere(self._how, viewer, self.native)
        self.append(self._where.into_store)
        self._how.preset.value = EXPORT_PRESET
        self._how.uri.value = Path.home() / "exported"
        fields = (*self._what.fields, *self._how.fields)
        self._kept = KeptFields(Remembered(), fields, self.native, EXPORT_PREFIX)
        self._kept.restore()
        self._lay_out()
        self._connect()
        self._what.choose_selected()
        self._show_plan()

    def _lay_out(self) -> None:
        """Layers, place, Export, Cancel and the state are always in view."""
        column = QWidget()
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(GROUP_SPACING)
        layout.addWidget(self._what.lay_out())
        layout.addWidget(self._how.lay_out())
        layout.addStretch(1)
        self._settings = Fold("Settings", scrolling(column), is_open=True)
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
            self._exporting.start(jobs, verify=self._what.verify.value)
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
