"""The export under way in one viewer: its thread, how far it is, what comes back.

It outlives the dock widget that started it. All of it runs on the GUI thread but the
export itself, which is only polled.
"""

import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from napari.utils import cancelable_progress
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QObject, QTimer, Signal

from napari_zarr_stream._saving.export import export_layers
from napari_zarr_stream._saving.into_store import save_into
from napari_zarr_stream._saving.place import check_outside_of_stores
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.words import duration_in_words

from .as_source import layers_as
from .background import in_background
from .closing import CloseGuard
from .napari_compat import mend_window
from .one_each import OneEach

POLL_MS = 100

QUESTION = "An export is under way. Cancel it, which leaves nothing of it, and close?"

FORETELL_S = 1.0
"""Before that nobody can say how long it will take."""


class How(NamedTuple):
    """What `export_layers` is asked for beside the layers: see there."""

    verify: bool = True
    resume: bool = False
    scheduler: str = ""


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What becomes one store, or labels in one.

    Attributes
    ----------
    layers : sequence of napari.layers.Layer
    sources : sequence of LayerSource
        Of these layers, in their order.
    properties : StorageProperties
    into : Path or None
        A store of an image: the sources are labels that go into its `labels/`.
    """

    layers: Sequence[Any]
    sources: Sequence[LayerSource]
    properties: StorageProperties
    into: Path | None = None

    @property
    def planes(self) -> int:
        """How many there are in all."""
        return sum(source.planes for source in self.sources)


class Exporting(QObject):
    """Exports layers of one viewer, job after job.

    `ended` is emitted after the stores were opened and failures shown.

    Attributes
    ----------
    said : str
        How the last export ended, in words.
    has_failed : bool
    """

    ended = Signal()

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self._viewer = viewer
        self._jobs: Sequence[ExportJob] = ()
        self._running: Future[int] | None = None
        self._bar: Any = None
        self._done = 0  # planes of all jobs, written by the thread
        self._stop = False  # read by it
        self._told: list[str] = []  # by it
        self._began = 0.0
        self._guard = CloseGuard("Export", QUESTION, self.cancel, self._finish_now)
        self.said = ""
        self.has_failed = False
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        mend_window(viewer)

    @property
    def is_busy(self) -> bool:
        """Whether an export goes on, or its end has not been dealt with."""
        return self._running is not None

    @property
    def is_stopping(self) -> bool:
        """Whether it was asked to end."""
        return self.is_busy and self._stop

    @property
    def planes(self) -> tuple[int, int]:
        """Those that are done, and those there are in all."""
        return self._done, sum(job.planes for job in self._jobs)

    def remaining_in_words(self) -> str:
        """How long it will take, as far as that can be told; else nothing."""
        done, total = self.planes
        passed_s = time.perf_counter() - self._began
        if not done or passed_s < FORETELL_S:
            return ""
        return f"{duration_in_words(passed_s * (total - done) / done)} left"

    def start(self, jobs: Sequence[ExportJob], how: How) -> None:
        """Begin; returns at once."""
        self._jobs, self._done, self._stop, self._told = jobs, 0, False, []
        self._began = time.perf_counter()
        self.said, self.has_failed = "", False
        self._bar = cancelable_progress(total=self.planes[1], desc="Export to Zarr")
        _busy.add(self)
        self._guard.watch(self._viewer)
        self._running = in_background(lambda: self._export(jobs, how))
        self._timer.start()

    def cancel(self) -> None:
        """Have it end soon; nothing is left of the store that is being written."""
        self._stop = True

    def _export(self, jobs: Sequence[ExportJob], how: How) -> int:
        """Thread "background"; returns how many jobs were done."""
        for number, job in enumerate(jobs):
            before = sum(other.planes for other in jobs[:number])

            def progress(done: int, _: int, before: int = before) -> None:
                self._done = before + done

            if job.into is not None:
                whole = save_into(
                    job.into,
                    job.sources[0],
                    job.properties,
                    progress,
                    lambda: self._stop,
                    self._told.append,
                    verify=how.verify,
                )
            else:
                check_outside_of_stores(job.properties.path)
                whole = export_layers(
                    job.sources,
                    job.properties,
                    progress,
                    lambda: self._stop,
                    self._told.append,
                    verify=how.verify,
                    resume=how.resume,
                    scheduler=how.scheduler,
                )
            if not whole:
                return number
        return len(jobs)

    def _poll(self) -> None:
        running, bar = self._running, self._bar
        if running is None or bar is None:
            return
        if not running.done():
            self._stop |= bar.is_canceled
            # It has events handled, and this may be called again, before it returns.
            bar.update(max(0, self._done - bar.n))
            return
        self._end(running, bar, shows=not self._guard.is_closing)

    def _finish_now(self) -> None:
        """The window is being closed by a program, and does not wait to be asked."""
        running, bar = self._running, self._bar
        if running is None or bar is None:
            return
        self.cancel()
        wait((running,))
        self._end(running, bar, shows=False)

    def _end(self, running: "Future[int]", bar: Any, *, shows: bool) -> None:
        self._timer.stop()
        self._bar = None
        bar.close()
        try:
            for job in self._told_end(running):
                if shows:
                    self._bring_back(job)
        finally:
            self._running = None
            self._guard.release()
            _busy.discard(self)
            self.ended.emit()
            self._guard.close_if_asked(failed=self.has_failed)

    def _told_end(self, running: "Future[int]") -> Sequence[ExportJob]:
        """Say how it ended; returns what is to be shown."""
        for said in self._told:
            show_warning(said)
        failure = running.exception()
        if failure is not None:
            self.has_failed = True
            self.said = f"Not saved: {failure}"
            show_error(self.said)
            if not isinstance(failure, ZarrStreamError | OSError):
                raise failure
            return ()
        done = self._jobs[: running.result()]
        names = ", ".join(job.properties.path.name for job in done)
        if len(done) < len(self._jobs):
            self.said = "Cancelled: nothing was saved" + (f" but {names}" * bool(done))
            show_info(self.said)
            return ()
        seconds = duration_in_words(time.perf_counter() - self._began)
        self.said = f"Saved {names} in {seconds}"
        show_info(self.said)
        return done

    def _bring_back(self, job: ExportJob) -> None:
        """Show what was saved instead of what it was made of."""
        if job.into is not None:
            return
        there = [layer for layer in job.layers if layer in self._viewer.layers]
        try:
            for data, meta, kind in layers_as(job.properties.path, there):
                getattr(self._viewer, f"add_{kind}")(data, **meta)
        except (ZarrStreamError, OSError) as error:
            show_error(f"{job.properties.path} was saved but cannot be shown: {error}")
            return
        for layer in there:
            layer.visible = False


_busy: set[Exporting] = set()
"""Kept alive until they have ended, even if the widget is gone."""

exporting_of = OneEach(Exporting)
