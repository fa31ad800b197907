"""Any calls in any order from several threads: no deadlock, no illegal state."""

import itertools
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from programs import run_python

from napari_zarr_stream import (
    FrameMismatch,
    IllegalTransition,
    StorageProperties,
    StoreInUse,
    WriteFailed,
    ZarrStream,
    ZarrStreamError,
)
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._recording.states import (
    TRANSITIONS,
    FinishReason,
    RecordingState,
)
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream.cameras import CameraThread, Fault, SimulatedCamera

SHAPE = (24, 40)
LIMIT_S = 120.0
MACHINES = settings(max_examples=10, stateful_step_count=8, deadline=None)


def together(calls):
    """Run calls in threads of their own; returns what each raised, or None."""
    raised = [None] * len(calls)

    def run(number, call):
        try:
            call()
        except ZarrStreamError as error:
            raised[number] = error

    threads = [
        threading.Thread(target=run, args=each, daemon=True)
        for each in enumerate(calls)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
        assert not thread.is_alive(), "a deadlock"
    return raised


def ours():
    """Threads of streams and recordings."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith(("zarr-stream", "recording"))
    ]


class StreamMachine(RuleBasedStateMachine):
    """A `ZarrStream` and what can be done to it."""

    CALLS = ("append", "append", "close", "abort", "annotate", "log", "status")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "a.zarr"
        properties = StorageProperties(
            self.path, "ZarrV3", sharded=True, tile_width=20, tile_height=24
        )
        self.stream = ZarrStream(
            properties, axes="tyx", shape=(None, *SHAPE), dtype="u2"
        )
        self.frame = np.ones(SHAPE, "u2")
        self.closed = self.broken = False

    def call(self, name):
        stream = self.stream
        return {
            "append": lambda: stream.append(self.frame),
            "close": stream.close,
            "abort": stream.abort,
            "annotate": lambda: stream.annotate(record={"a": 1}),
            "log": lambda: stream.log_frames({"id": np.arange(3)}),
            "status": stream.status,
        }[name]

    @rule(names=st.lists(st.sampled_from(CALLS), min_size=1, max_size=4))
    def several_at_once(self, names):
        ends = {"close", "abort"} & set(names)
        raised = together([self.call(name) for name in names])
        for name, error in zip(names, raised, strict=True):
            if isinstance(error, IllegalTransition):
                assert self.closed or ends
                assert name not in ("close", "abort", "status")
            elif error is not None:
                assert self.broken
                assert isinstance(error, WriteFailed)
        self.closed |= bool(ends)

    @precondition(lambda self: not self.broken and not self.closed)
    @rule()
    def the_disk_fails(self):
        """A file where the folder of a level was."""
        self.broken = True
        place = self.path / "1"
        place.rename(self.path / "was-1")
        place.write_text("in the way")

    @rule()
    def a_frame_that_does_not_fit(self):
        (error,) = together([lambda: self.stream.append(np.ones((3, 3), "u2"))])
        assert isinstance(error, (FrameMismatch, IllegalTransition, WriteFailed))

    @invariant()
    def counts_make_sense(self):
        status = self.stream.status()
        assert 0 <= status.frames_committed <= status.frames_appended
        assert 0 <= status.queue_fill <= 1
        assert status.closed == self.closed
        assert status.error is None or self.broken

    def teardown(self):
        together([self.stream.close])
        assert self.stream.status().closed
        assert not ours()
        pixels = zarr.open_array(self.path / "0", mode="r")[:]
        assert len(pixels) >= self.stream.status().frames_committed
        assert (pixels == 1).all()
        self.folder.cleanup()


class RecordingMachine(RuleBasedStateMachine):
    """A `Recording` and what can be done to it."""

    CALLS = ("start", "start", "stop", "abort", "close", "configure", "wait", "status")

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.numbers = itertools.count()
        self.recording = Recording()
        self.cameras = []
        self.fault = False

    def configure(self):
        faults = [Fault(3, "unplug")] if self.fault else []
        size = {"width": 32, "height": 32}
        camera = CameraThread(
            partial(SimulatedCamera, "empty", frame_rate=500, faults=faults, **size)
        )
        camera.call(lambda opened: opened.open())
        self.cameras.append(camera)
        path = Path(self.folder.name) / f"{next(self.numbers)}.zarr"
        self.recording.configure(
            CameraSource(camera, "empty"), StorageProperties(path, overwrite=True)
        )

    def call(self, name):
        if name == "configure":
            return self.configure
        if name == "wait":
            return lambda: self.recording.wait(0.05)
        return getattr(self.recording, name)

    @rule(names=st.lists(st.sampled_from(CALLS), min_size=1, max_size=4))
    def several_at_once(self, names):
        for error in together([self.call(name) for name in names]):
            assert not isinstance(error, StoreInUse), "started twice"

    @rule(fault=st.booleans())
    def the_next_camera(self, fault):
        self.fault = fault

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.05]))
    def time_passes(self, seconds):
        time.sleep(seconds)

    @invariant()
    def the_status_makes_sense(self):
        status = self.recording.status()
        assert status.state in RecordingState
        assert 0 <= status.frames_committed <= status.frames_acquired
        assert len([t for t in ours() if t.name == "recording"]) <= 1
        if status.is_busy:
            assert status.finish_reason is None

    def teardown(self):
        deadline = time.monotonic() + LIMIT_S
        while self.recording.status().is_busy:
            self.recording.stop()
            together([lambda: self.recording.wait(0.1)])
            assert time.monotonic() < deadline, "it does not end"
        together([self.recording.close])
        assert self.recording.status().state is RecordingState.CLOSED
        # The state is the last thing but one that its thread does.
        while ours() and time.monotonic() < deadline:
            time.sleep(0.001)
        assert not ours()
        for camera in self.cameras:
            camera.close()
        for path in Path(self.folder.name).glob("*.zarr"):
            zarr.open_array(path / "0", mode="r")[:]
        self.folder.cleanup()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("machine", [StreamMachine, RecordingMachine])
def test_any_calls_in_any_order(machine):
    run_state_machine_as_test(machine, settings=MACHINES)


@pytest.fixture
def camera(opened):
    size = {"width": 32, "height": 32}
    return opened(partial(SimulatedCamera, "empty", frame_rate=500, **size))


def recording_of(camera, path):
    return Recording(CameraSource(camera, "empty"), StorageProperties(path))


def test_record_clicked_twice(tmp_path, camera):
    for number in range(20):
        recording = recording_of(camera, tmp_path / f"{number}.zarr")
        raised = together([recording.start] * 3)
        refused = [error for error in raised if error is not None]
        assert len(refused) == 2
        assert all(isinstance(error, IllegalTransition) for error in refused)
        assert len([t for t in ours() if t.name == "recording"]) == 1
        recording.stop()
        assert recording.wait(LIMIT_S)
        assert recording.status().finish_reason is FinishReason.STOPPED
        recording.close()


def test_stop_while_it_starts(tmp_path, camera):
    """Heard, or too early: then a second one is."""
    for number in range(20):
        recording = recording_of(camera, tmp_path / f"{number}.zarr")
        assert together([recording.start, recording.stop]) == [None, None]
        recording.stop()
        assert recording.wait(LIMIT_S)
        recording.close()


SECOND = """
    import sys
    from napari_zarr_stream import StorageProperties, StoreInUse, ZarrStream
    properties = StorageProperties(sys.argv[1], overwrite=True)
    try:
        ZarrStream(properties, axes="tyx", shape=(None, 8, 8), dtype="u1")
    except StoreInUse as error:
        print(error)
"""


def test_two_recordings_and_two_processes_into_one_directory(tmp_path, camera):
    path = tmp_path / "a.zarr"
    recording = recording_of(camera, path)
    recording.start()
    with pytest.raises(StoreInUse, match="being written by process"):
        recording_of(camera, path).start()
    assert "being written by process" in run_python(SECOND, path).stdout
    recording.stop()
    assert recording.wait(LIMIT_S)
    frames = zarr.open_array(path / "0", mode="r").shape[0]
    assert frames == recording.status().frames_committed


def test_the_table_has_no_dead_end():
    """From every state there is a way to the end."""
    ends = {RecordingState.CLOSED}
    for _ in RecordingState:
        ends |= {state for (state, _), after in TRANSITIONS.items() if after in ends}
    assert ends == set(RecordingState)
