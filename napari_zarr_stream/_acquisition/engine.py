"""The engine of Micro-Manager's runs, wrapped: what it takes is recorded as it comes.

Alone in knowing pymmcore-plus. `core.mda` calls the engine in the thread of the run:
there a slow disk holds up the run, and an exception ends it. Its signals do neither.
"""

import contextlib
import threading
import weakref
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_zarr_stream._writer.errors import IllegalTransition, SourceFailed
from napari_zarr_stream._writer.record import FinishReason
from napari_zarr_stream.cameras.host_clock import follow_date

from .acquisition import Acquisition
from .layout import layout_of
from .metadata import (
    frame_count,
    frame_format,
    index_of,
    known_of,
    run_record,
    summary_of,
)
from .presets import settle_camera

if TYPE_CHECKING:
    import useq
    from pymmcore_plus import CMMCorePlus

START_PATIENCE_S = 60.0
"""In which a run must have begun that was asked for: its thread has to start first."""


@contextlib.contextmanager
def recording_of(
    core: "CMMCorePlus", acquisition: Acquisition
) -> Iterator[Acquisition]:
    """Record the run that is started within; waits for its end.

    Parameters
    ----------
    core : CMMCorePlus
    acquisition : Acquisition
        Its `status` tells how the run ended, and which planes are missing.

    Raises
    ------
    IllegalTransition
        A run goes on already, or none was started.
    ZarrStreamError
        The first failure of the run.
    """
    first = [acquisition]
    recorder = RunRecorder(core, lambda: first.pop() if first else None)
    try:
        yield acquisition
        if not acquisition.wait_for_begin(START_PATIENCE_S):
            raise IllegalTransition("no run of this core was started")
        acquisition.wait()
    finally:
        recorder.stop()


def run_recorded(
    core: "CMMCorePlus",
    sequence: "useq.MDASequence",
    acquisition: Acquisition,
    look: Callable[..., None],
) -> None:
    """Run a sequence in this thread, and record it.

    Parameters
    ----------
    core, sequence, acquisition
    look : callable
        Called with each event and frame, and twice a second while the run waits.

    Raises
    ------
    ZarrStreamError
        The first failure of the run.
    """
    recorder = RunRecorder(core, lambda: acquisition)
    events = core.mda.events
    signals = events.eventStarted, events.frameReady, events.awaitingEvent
    for signal in signals:
        signal.connect(look)
    try:
        core.mda.run(sequence)
    except Exception:
        acquisition.wait(0)  # tells it as one of ours
        raise
    finally:
        for signal in signals:
            signal.disconnect(look)
        recorder.stop()


class RunRecorder:
    """Records every run of a core, whoever starts it, until it is told to stop.

    Parameters
    ----------
    core : CMMCorePlus
    new : callable
        Makes the acquisition of each run, in the thread of that run; None to let one
        pass. What it raises ends the run.

    Raises
    ------
    IllegalTransition
        A run goes on.
    """

    def __init__(
        self, core: "CMMCorePlus", new: Callable[[], Acquisition | None]
    ) -> None:
        self._new = new
        self._engine = _wrapped(core, new)

    @property
    def core(self) -> "CMMCorePlus | None":
        """The core; None where it is gone."""
        return self._engine.core

    @property
    def acquisition(self) -> Acquisition | None:
        """Of the present run, or of the last."""
        return self._engine.acquisition

    def follow(self, core: "CMMCorePlus") -> None:
        """Record the runs of another core from now on, if it is another.

        Raises
        ------
        IllegalTransition
            A run goes on there.
        """
        if core is self.core:
            return
        before = self._engine
        self._engine = _wrapped(core, self._new)
        before.retire()

    def stop(self) -> None:
        """Record no further run; the core gets back the engine that it had."""
        self._engine.retire()


def _wrapped(
    core: "CMMCorePlus", new: Callable[[], Acquisition | None]
) -> "RecordingEngine":
    """An engine around that of a core, in its place.

    Raises
    ------
    IllegalTransition
        A run goes on.
    """
    inner = core.mda.engine
    if inner is None or core.mda.is_running():
        raise IllegalTransition(
            "Micro-Manager runs an acquisition: what records it must be there before "
            "it begins"
        )
    engine = RecordingEngine(core, inner, new)
    core.register_mda_engine(engine)
    return engine


class RecordingEngine:
    """An engine around another; what it does not have itself is that one's.

    One may stand around another one: each records the run.
    """

    _OWN = frozenset(
        {
            "inner",
            "acquisition",
            "_core",
            "_new",
            "_failure",
            "_flushing",
            "_is_retired",
            "_shutter",
        }
    )

    def __init__(
        self, core: "CMMCorePlus", inner: Any, new: Callable[[], Acquisition | None]
    ) -> None:
        self.inner = inner
        self.acquisition: Acquisition | None = None
        self._core = weakref.ref(core)  # which has this engine
        self._new = new
        self._failure: BaseException | None = None
        self._flushing = threading.Lock()
        self._is_retired = False
        self._shutter = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["inner"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._OWN:
            object.__setattr__(self, name, value)
        else:  # windows set what they find, as `use_hardware_sequencing`
            setattr(self.inner, name, value)

    @property
    def core(self) -> "CMMCorePlus | None":
        """The core; None where it is gone."""
        return self._core()

    def retire(self) -> None:
        """Record no further run, and leave the core as soon as none goes on."""
        self._is_retired = True
        self._leave()

    def _leave(self) -> None:
        """Give the core the engine back that it had, unless another stands around."""
        core = self._core()
        if core is None or core.mda.is_running():
            return
        present: Any = core.mda.engine
        if present is not self:
            return
        inner = self.inner
        while isinstance(inner, RecordingEngine) and inner.is_retired:
            inner = inner.inner
        core.register_mda_engine(inner)

    @property
    def is_retired(self) -> bool:
        """Whether it only passes on."""
        return self._is_retired

    # ------------------------------------------- what a runner calls, in its thread

    def setup_sequence(self, sequence: "useq.MDASequence") -> Any:
        """Set up the microscope, then the store: only then frames have a size."""
        with self._flushing:  # of a run before, which another may follow meanwhile
            self._failure = self.acquisition = None
        acquisition = None if self._is_retired else self._new()
        if acquisition is None:
            return self.inner.setup_sequence(sequence)
        acquisition.begin()
        self.acquisition = acquisition
        with self._keeping_failure():
            follow_date()
            core = self._core()
            self._shutter = bool(core and core.getAutoShutter())
            summary = self.inner.setup_sequence(sequence)
            if core is not None and settle_camera(core, sequence):
                summary = summary_of(core)
            said = summary or summary_of(core)
            layout = layout_of(sequence, frame_format(core, said))
            acquisition.open(layout, run_record(sequence, said))
        return summary

    def setup_event(self, event: "useq.MDAEvent") -> None:
        """See `PMDAEngine`."""
        from pymmcore_plus.mda import SkipEvent

        try:
            self.inner.setup_event(event)
        except SkipEvent:
            raise
        except Exception as error:
            self._failure = self._failure or error
            raise

    def exec_event(self, event: "useq.MDAEvent") -> Generator[Any, Any, None]:
        """Take what the engine within yields before anybody else is given it."""
        with self._keeping_failure():
            frames = iter(self.inner.exec_event(event) or ())
            send = getattr(frames, "send", None)
            has_started, signal = False, None
            while True:
                try:
                    payload = send(signal) if send and has_started else next(frames)
                except StopIteration:
                    return
                has_started = True
                if payload is not None and self.acquisition is not None:
                    try:
                        self._take(self.acquisition, *payload)
                    except BaseException:
                        # Only this makes the engine within stop its camera.
                        with contextlib.suppress(StopIteration):
                            if send is not None:
                                send("cancel")
                        raise
                signal = yield payload

    def event_iterator(
        self, events: "Iterable[useq.MDAEvent]"
    ) -> "Iterator[useq.MDAEvent]":
        """Say of each event that it comes next: the runner waits for it then."""
        inner = getattr(self.inner, "event_iterator", None)
        with self._keeping_failure():
            coming = iter(inner(events) if inner else events)
            while (event := self._next_of(coming)) is not None:
                if self.acquisition is not None:
                    self.acquisition.expect(index_of(event), self._due_s(event))
                yield event

    def _next_of(self, events: "Iterator[useq.MDAEvent]") -> "useq.MDAEvent | None":
        """The next event; None after the last."""
        try:
            return next(events, None)
        except LookupError as error:  # of useq, in plans that do not go together
            self._failure = SourceFailed(
                f"useq cannot say which plane comes next ({error!r}): autofocus and a "
                "shutter that is kept open do not always go with sequences that single "
                "positions have"
            )
            self._failure.__cause__ = error
            raise

    def _due_s(self, event: "useq.MDAEvent") -> float | None:
        core = self._core()
        if core is None or event.min_start_time is None:
            return None
        if event.reset_event_timer:
            return float(event.min_start_time)
        return float(event.min_start_time) - core.mda.event_seconds_elapsed()

    def teardown_event(self, event: "useq.MDAEvent") -> None:
        """See `PMDAEngine`."""
        if self.acquisition is not None:
            self.acquisition.passed(frame_count(event))
        teardown = getattr(self.inner, "teardown_event", None)
        if teardown is not None:
            with self._keeping_failure():
                teardown(event)

    def teardown_sequence(self, sequence: "useq.MDASequence") -> None:
        """End the acquisition. Nothing is raised: the runner would never end."""
        with self._flushing:
            self._end(sequence)

    def _end(self, sequence: "useq.MDASequence") -> None:
        core, acquisition = self._core(), self.acquisition
        teardown = getattr(self.inner, "teardown_sequence", None)
        is_whole = self._reason(core) is FinishReason.COMPLETED
        if acquisition is not None and not is_whole:
            self._safely(_put_at_rest, core, self._shutter)
        if teardown is not None:
            self._safely(teardown, sequence)
        if acquisition is not None and acquisition.status().is_busy:
            acquisition.end(self._reason(core), self._failure)
        if self._is_retired:
            self._safely(self._leave)

    def _safely(self, call: Callable[..., Any], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 - kept, and told by the acquisition
            self._failure = self._failure or error

    @contextlib.contextmanager
    def _keeping_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._failure = self._failure or error
            raise

    def _reason(self, core: "CMMCorePlus | None") -> FinishReason:
        """Why the run ends, as the runner has it."""
        reason = None if core is None else core.mda.status.finish_reason
        if self._failure is not None:
            return FinishReason.FAILED
        if str(reason) == "errored":
            self._failure = SourceFailed(
                "Micro-Manager ended the run with an error that is not of its devices: "
                "its log tells more"
            )
            return FinishReason.FAILED
        return (
            FinishReason.CANCELED
            if str(reason) == "canceled"
            else FinishReason.COMPLETED
        )

    def _take(
        self, acquisition: Acquisition, pixels: Any, event: Any, metadata: Any
    ) -> None:
        acquisition.take(np.asarray(pixels), index_of(event), known_of(event, metadata))


def _put_at_rest(core: "CMMCorePlus | None", had_autoshutter: bool) -> None:
    """Stop the camera, close the shutter: nobody else does after a failure.

    Nor after a cancel where the shutter was kept open from one plane to the next.
    """
    if core is None:
        return
    if core.isSequenceRunning():
        core.stopSequenceAcquisition()
    if had_autoshutter and core.getShutterDevice():
        core.setAutoShutter(True)
        core.setShutterOpen(False)
