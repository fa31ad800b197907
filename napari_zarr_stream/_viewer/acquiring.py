"""The run of a microscope in one viewer: its start, its layers, its end.

It outlives the dock widget. All of it runs on the GUI thread but what records, which is
called in the thread of the run; the run is only polled.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future  # noqa: TC003 - of attributes
from typing import Any

from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._acquisition.acquisition import Acquisition
from napari_zarr_stream._acquisition.engine import RunRecorder
from napari_zarr_stream._acquisition.layout import Layout
from napari_zarr_stream._acquisition.states import AcquisitionState, AcquisitionStatus
from napari_zarr_stream._acquisition.words import end_in_words
from napari_zarr_stream._reading.acquired import NotAcquired
from napari_zarr_stream._reading.axes import Notes
from napari_zarr_stream._reading.layers import LayerData
from napari_zarr_stream._reading.positions import Positions
from napari_zarr_stream._reading.reader import layers_and_notes
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._writer.errors import IllegalTransition, ZarrStreamError
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.record import FinishReason

from .background import in_background
from .closing import CloseGuard
from .far_layers import far_layers_of
from .followed_core import FollowedCore
from .napari_compat import PAINTED_MS, mend_window, painted_later
from .one_each import OneEach
from .opening import with_first_views
from .run_layers import RunLayers
from .turns import SOON_MS, Turns
from .uploading import uploads_of

POLL_MS = 100

FOLLOW_MS = 1000
"""How often it is looked whether Micro-Manager has another core."""

FINISH_S = 1.0

QUESTION = "A run is being recorded. Cancel it, save what was acquired, and close?"


class Acquiring(QObject):
    """Runs sequences on a microscope and records them, and those that others start.

    `changed` is emitted when there is another core, or something is known of it; when
    a run begins; when the newest is followed, or no longer. `ended` after the store was
    opened and failures were shown.

    Attributes
    ----------
    followed : FollowedCore
    trouble : str
        Told of the run, for as long as it is shown.
    new_properties : callable or None
        Where and how a run goes that others start; called in the thread of the run.
    new_upload : UploadRequest or None
        Where that is brought meanwhile.
    uploads : Uploads
    positions : Positions
        How they are shown at the end.
    layers : RunLayers or None
        While a run goes on.
    """

    changed = Signal()
    ended = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self.followed = FollowedCore(lambda: self.is_busy)
        self.followed.changed.connect(self._take_core)
        self._why_no_recorder = ""
        self._recorder: RunRecorder | None = None
        self._records_others = False
        self._mine: Acquisition | None = None
        self.acquisition: Acquisition | None = None
        self.new_properties: Callable[[], StorageProperties] | None = None
        self.new_upload: UploadRequest | None = None
        self.uploads = uploads_of(viewer)
        self._is_uploading = False
        self.positions = Positions.SLIDER
        self.layers: RunLayers | None = None
        self._opening: Future[tuple[list[LayerData], Notes]] | None = None
        self._turns = Turns(self)
        self.trouble = ""
        self._is_busy = False
        self._guard = CloseGuard("Acquisition", QUESTION, self.stop, self.finish_now)
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._follow_timer = QTimer(self)
        self._follow_timer.setInterval(FOLLOW_MS)
        self._follow_timer.timeout.connect(self.follow_core)
        mend_window(viewer)

    def begin_to_follow(self) -> None:
        """Keep to the core that others use, as long as a dock is open."""
        self._follow_timer.start()
        self._timer.start()
        self.follow_core()

    def leave(self) -> None:
        """No dock is open: follow no more, once nothing goes on."""
        self._follow_timer.stop()
        self.record_others(False)
        if not self.is_busy:
            self._timer.stop()

    def follow_core(self) -> None:
        """Take the core that Micro-Manager has now, and have runs of it recorded."""
        self.followed.follow()
        if not self.is_busy:
            self._keep_recorder()

    def _take_core(self) -> None:
        self._why_no_recorder = ""
        self._keep_recorder()
        self.changed.emit()

    @property
    def why_not(self) -> str:
        """Why nothing is known of the core, or why its runs cannot be recorded."""
        return self._why_no_recorder or self.followed.why_not

    @property
    def is_busy(self) -> bool:
        """Whether a run is recorded, or its end has not been dealt with."""
        return self._is_busy

    @property
    def records_others(self) -> bool:
        """Whether runs are recorded that others start."""
        return self._records_others

    def record_others(self, records: bool) -> None:
        """Record runs from now on whoever starts them, or only our own."""
        self._records_others = records
        self._keep_recorder()

    def _keep_recorder(self) -> None:
        """Have an engine around that of the core, as long as it is needed."""
        wanted = self.followed.core if self._records_others or self._mine else None
        recorder = self._recorder
        if recorder is not None and recorder.core is not wanted and not self.is_busy:
            recorder.stop()
            self._recorder = recorder = None
        if recorder is None and wanted is not None:
            try:
                self._recorder = RunRecorder(wanted, self._new_acquisition)
            except IllegalTransition as error:
                self._why_no_recorder = str(error)  # and it is tried again
            else:
                self._why_no_recorder = ""
            self.changed.emit()

    def _new_acquisition(self) -> Acquisition | None:
        """In the thread of a run: what records it."""
        mine, self._mine = self._mine, None
        if mine is not None:
            return mine
        if not self._records_others or self.new_properties is None:
            return None
        return Acquisition(self.new_properties(), upload_to=self.new_upload or "")

    def start(
        self,
        sequence: Any,
        properties: StorageProperties,
        upload_to: UploadRequest | None = None,
    ) -> None:
        """Run a sequence, and record it; returns at once.

        Raises
        ------
        InvalidProperties
            It cannot be brought where it shall be uploaded to.
        IllegalTransition
            There is no microscope, or it runs something.
        """
        core = self.followed.core
        if core is None:
            raise IllegalTransition("there is no microscope")
        if self.is_busy or core.mda.is_running():
            raise IllegalTransition("a run goes on already")
        self._mine = Acquisition(properties, upload_to=upload_to or "")
        self._keep_recorder()
        if self._recorder is None:
            self._mine = None
            raise IllegalTransition(self.why_not)
        self._begin(self._mine)
        core.run_mda(sequence)

    def pause(self, is_paused: bool) -> None:
        """Have the run wait, or go on; it may be lost just before an event."""
        if (core := self.followed.core) is not None:
            core.mda.set_paused(is_paused)

    @property
    def is_paused(self) -> bool:
        """Whether the run waits because somebody asked it to."""
        core = self.followed.core
        return core is not None and bool(core.mda.is_paused())

    @property
    def will_pause(self) -> bool:
        """Whether it waits, or will after the present plane."""
        core = self.followed.core
        asked = core is not None and core.mda.status.pause_requested
        return bool(asked) or self.is_paused

    def stop(self) -> None:
        """Cancel the run; returns at once."""
        if (core := self.followed.core) is not None:
            core.mda.cancel()

    def status(self) -> AcquisitionStatus | None:
        """Of the present run, or of the last; None before the first."""
        return None if self.acquisition is None else self.acquisition.status()

    def _begin(self, acquisition: Acquisition) -> None:
        self.acquisition = acquisition
        self.trouble = ""
        self._is_busy, self._is_uploading = True, False
        _busy.add(self)
        self._guard.watch(self._viewer)
        self._timer.start()
        self.changed.emit()

    def _poll(self) -> None:
        self.followed.take_answers()
        if not self.is_busy:
            running = None if self._recorder is None else self._recorder.acquisition
            if running is not None and running is not self.acquisition:
                self._begin(running)  # somebody else has started it
            return
        acquisition = self.acquisition
        assert acquisition is not None
        if not self._turns.is_over:
            return
        if self._opening is not None:
            if self._opening.done():
                opened, self._opening = self._opening, None
                self._turns.begin(self._show_opened(opened, acquisition.status()))
            return
        self._follow_upload(acquisition)
        acquisition.note_paused(self.is_paused)
        status = acquisition.status()
        layout = acquisition.layout
        if layout is not None and self.layers is None and status.is_busy:
            self._turns.begin(self._show_live(acquisition, layout))
        if self.layers is not None:
            self.layers.follow(status)
        if status.state is AcquisitionState.ENDED:
            self._end_run(status)

    def _show_live(self, acquisition: Acquisition, layout: Layout) -> Iterator[int]:
        layers = RunLayers(self._viewer, acquisition, layout)
        yield from layers.add()
        self.layers = layers
        layers.changed.connect(self.changed)
        self.changed.emit()

    def _follow_upload(self, acquisition: Acquisition) -> None:
        uploader = acquisition.upload.uploader if acquisition.upload else None
        if uploader is not None and not self._is_uploading:
            self._is_uploading = True
            self.uploads.follow([uploader], waits=lambda: self.is_busy)

    def _end_run(self, status: AcquisitionStatus) -> None:
        if not status.committed or self._guard.is_closing:
            self._finish(status, [])
            return
        path, positions = status.path, self.positions

        def read() -> tuple[list[LayerData], Notes]:
            if not path.exists():
                return [], []
            layers, notes = layers_and_notes(path, positions)
            unheard = [note for note in notes if not isinstance(note, NotAcquired)]
            return with_first_views(layers), unheard

        far_layers_of(self._viewer)  # begins with the layers when they come
        self._opening = in_background(read)  # its disk may not answer

    def _show_opened(
        self, opened: "Future[tuple[list[LayerData], Notes]]", status: AcquisitionStatus
    ) -> Iterator[int]:
        """A step for each layer that goes and for each that comes, then the end."""
        notes: Notes = []
        try:
            layers, notes = opened.result()
            steps: tuple[int, ...] = ()
            if self.layers is not None:
                live, self.layers = self.layers, None
                steps = live.stop()
                for _ in live.take_away():
                    yield SOON_MS
            for data, meta, kind in layers:
                with painted_later(self._viewer):
                    added = getattr(self._viewer, f"add_{kind}")(data, **meta)
                self.uploads.shown_by(added if isinstance(added, list) else [added])
                yield PAINTED_MS
            if steps and len(steps) == self._viewer.dims.ndim:
                self._viewer.dims.set_current_step(range(len(steps) - 2), steps[:-2])
        except (ZarrStreamError, OSError) as error:
            notes = [f"{status.path} was recorded but could not be opened: {error}"]
        except Exception:
            self._finish(status, notes)
            raise
        self._finish(status, notes)

    def _finish(self, status: AcquisitionStatus, notes: Notes) -> None:
        live, self.layers = self.layers, None
        if live is not None:
            live.stop()
            for _ in live.take_away():
                pass
        said = end_in_words(status)
        failed = status.finish_reason is FinishReason.FAILED
        amiss = failed or (
            status.missing and status.finish_reason is not FinishReason.CANCELED
        )
        show = show_error if failed else show_warning if amiss else show_info
        show(said)
        self.trouble = "\n".join([*[said] * bool(amiss), *notes])
        self._is_busy = False
        _busy.discard(self)
        self._keep_recorder()
        self.followed.look()
        self.ended.emit()
        self._guard.release()
        self._guard.close_if_asked(failed=failed)

    def finish_now(self) -> None:
        """Cancel, and wait until all is written: the window closes."""
        acquisition = self.acquisition
        self._timer.stop()
        self._turns.give_up()
        self._guard.release()
        self.stop()
        if acquisition is None:
            return
        try:
            while not acquisition.wait(FINISH_S):
                runner = self.followed.core.mda
                if not (acquisition.status().is_busy or runner.is_running()):
                    break  # it has not begun, and will not
                self.stop()  # one that comes while the run is prepared is lost
        except ZarrStreamError as error:
            show_error(f"The run failed: {error}")
        self._is_busy = False
        _busy.discard(self)


_busy: set[Acquiring] = set()
"""Kept alive until they have ended, even if the widget is gone."""

acquiring_of = OneEach(Acquiring)
