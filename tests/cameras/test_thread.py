"""One thread for one camera: order, failures, long jobs, and how a program ends."""

import threading
import time

import numpy as np
import pytest
from programs import run_python
from waiting import PATIENCE_S

from napari_zarr_stream import IllegalTransition
from napari_zarr_stream.cameras import CameraError, CameraThread, SimulatedCamera


class Witness(SimulatedCamera):
    """Notes in which threads it was made, opened and closed."""

    def __init__(self, **settings):
        super().__init__("empty", width=32, height=32, **settings)
        self.threads = {"made": threading.current_thread()}

    def open(self):
        super().open()
        self.threads["opened"] = threading.current_thread()

    def close(self):
        super().close()
        self.threads["closed"] = threading.current_thread()


@pytest.fixture
def thread():
    thread = CameraThread(lambda: Witness(frame_rate=200))
    thread.call(lambda camera: camera.open())
    yield thread
    thread.close()


def watching(thread, begun, stop):
    """A long job, as a preview is: reads and serves until it is stopped."""

    def job(camera):
        out = np.empty(camera.shape, camera.dtype)
        frames = 0
        camera.start()
        try:
            begun.set()
            while thread.serve() and not stop.is_set():
                frames += camera.read_into(out, 0.1) is not None
        finally:
            camera.stop()
        return frames

    return job


@pytest.fixture
def watched(thread):
    begun, stop = threading.Event(), threading.Event()
    future = thread.submit(watching(thread, begun, stop), is_long=True)
    assert begun.wait(PATIENCE_S)
    yield future, stop
    stop.set()
    future.result(PATIENCE_S)


def test_every_call_is_made_in_one_thread_that_is_not_ours():
    thread = CameraThread(Witness)
    seen = thread.call(lambda camera: camera.threads)
    thread.call(lambda camera: camera.open())
    thread.close()
    assert set(seen) == {"made", "opened", "closed"}
    assert len(set(seen.values())) == 1
    assert threading.current_thread() not in seen.values()


def test_work_is_done_in_the_order_it_was_asked_for(thread):
    done = []
    for number in range(200):
        thread.submit(lambda camera, number=number: done.append(number))
    thread.call(lambda camera: None)
    assert done == list(range(200))


def test_calls_from_many_threads_never_overlap(thread):
    inside = []

    def work(camera):
        inside.append(1)
        time.sleep(0.001)
        assert len(inside) == 1
        inside.pop()

    callers = [
        threading.Thread(target=lambda: [thread.call(work) for _ in range(10)])
        for _ in range(5)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not inside


def test_what_work_raises_is_raised_where_it_was_asked_for(thread):
    with pytest.raises(ZeroDivisionError):
        thread.call(lambda camera: 1 / 0)
    with pytest.raises(CameraError, match="no setting 'colour'"):
        thread.call(lambda camera: camera.get("colour"))
    # a TimeoutError of the work is not one of ours
    with pytest.raises(TimeoutError, match="mine"):
        thread.call(raising(TimeoutError("mine")), PATIENCE_S)
    assert thread.call(lambda camera: camera.get("width")) == 32


def raising(error):
    def work(camera):
        raise error

    return work


def test_a_camera_that_cannot_be_made_is_tried_again():
    failures = [OSError("not plugged in")]

    def make():
        if failures:
            raise failures.pop()
        return Witness()

    thread = CameraThread(make)
    with pytest.raises(OSError, match="not plugged in"):
        thread.call(lambda camera: camera.shape)
    assert thread.call(lambda camera: camera.shape) == (32, 32)
    thread.close()


def test_a_call_in_its_own_thread_is_direct(thread):
    nested = thread.call(lambda camera: thread.call(lambda same: same is camera))
    assert nested


def test_settings_change_while_a_long_job_reads(thread, watched):
    future, stop = watched
    assert thread.is_busy
    assert thread.call(lambda camera: camera.set("exposure_ms", 2.0), PATIENCE_S) == 2.0
    with pytest.raises(CameraError, match="locked"):
        thread.call(lambda camera: camera.set("width", 64), PATIENCE_S)
    time.sleep(0.1)
    stop.set()
    assert future.result(PATIENCE_S) > 5
    thread.call(lambda camera: None)
    assert thread.call(lambda camera: camera.set("width", 64), 5) == 64


def test_a_long_job_never_begins_inside_another(thread, watched):
    _, stop = watched
    again, stop_again = threading.Event(), threading.Event()
    next_job = thread.submit(watching(thread, again, stop_again), is_long=True)
    thread.call(lambda camera: None, 5)  # it passes what waits for the end
    assert not again.wait(0.3)
    stop.set()
    assert again.wait(PATIENCE_S)
    stop_again.set()
    assert next_job.result(PATIENCE_S) >= 0


def test_a_call_that_comes_too_late_is_not_done(thread):
    blocked, go_on, done = threading.Event(), threading.Event(), []
    busy = thread.submit(lambda camera: (blocked.set(), go_on.wait(PATIENCE_S)))
    assert blocked.wait(PATIENCE_S)
    with pytest.raises(CameraError, match=r"was busy for 0\.1 s, so this was not done"):
        thread.call(lambda camera: done.append(1), 0.1)
    go_on.set()
    busy.result(PATIENCE_S)
    thread.call(lambda camera: None)
    assert not done


def test_a_driver_that_is_slow_is_said(thread):
    with pytest.raises(CameraError, match=r"did not answer within 0\.1 s"):
        thread.call(lambda camera: time.sleep(0.4), 0.1)
    thread.call(lambda camera: None)


def test_close_while_busy_ends_the_job_and_refuses_what_waits():
    thread = CameraThread(lambda: Witness(frame_rate=200), "Camera 1")
    camera = thread.call(lambda camera: (camera.open(), camera)[1])
    begun = threading.Event()
    job = thread.submit(watching(thread, begun, threading.Event()), is_long=True)
    waiting = thread.submit(lambda camera: None, is_long=True)
    assert begun.wait(PATIENCE_S)
    thread.close()
    assert job.result(0) >= 0
    assert camera.threads["closed"] is camera.threads["made"]
    for refused in (
        lambda: waiting.result(PATIENCE_S),
        lambda: thread.submit(lambda camera: None),
        lambda: thread.call(lambda camera: None),
    ):
        with pytest.raises(CameraError, match="Camera 1 is closed"):
            refused()
    assert thread.is_ending
    assert not thread.is_busy
    thread.close()


def test_a_driver_that_hangs_is_given_up_and_that_is_said():
    thread = CameraThread(Witness, "Camera 1")
    go_on, begun = threading.Event(), threading.Event()
    thread.submit(lambda camera: (begun.set(), go_on.wait(PATIENCE_S)))
    assert begun.wait(PATIENCE_S)
    with pytest.raises(CameraError, match=r"Camera 1 could not be closed .* hangs"):
        thread.close(0.2)
    assert not go_on.is_set()  # it was not waited for
    go_on.set()
    thread.close()  # it has come back


def test_what_closing_a_camera_raises_is_heard():
    class Stuck(Witness):
        def close(self):
            raise OSError("the driver will not let go")

    thread = CameraThread(Stuck)
    thread.call(lambda camera: camera.open())
    with pytest.raises(OSError, match="will not let go"):
        thread.close()


def test_it_cannot_be_closed_in_its_own_thread(thread):
    with pytest.raises(IllegalTransition, match="own thread"):
        thread.call(lambda camera: thread.close())


def test_twenty_restarts_leave_no_thread():
    before = set(threading.enumerate())
    for _ in range(20):
        thread = CameraThread(lambda: Witness(frame_rate=500))
        thread.call(lambda camera: camera.open())
        begun, stop = threading.Event(), threading.Event()
        job = thread.submit(watching(thread, begun, stop), is_long=True)
        assert begun.wait(PATIENCE_S)
        stop.set()
        job.result(PATIENCE_S)
        thread.close()
    assert set(threading.enumerate()) <= before


SCRIPT = """
import threading, time
import numpy as np
from napari_zarr_stream.cameras import CameraThread, SimulatedCamera

class Told(SimulatedCamera):
    def close(self):
        super().close()
        print("closed", flush=True)

def job(camera):
    camera.start()
    out = np.empty(camera.shape, camera.dtype)
    while {going_on}:
        camera.read_into(out, 0.1)
        begun.set()
    camera.stop()
    print("ended", flush=True)

begun = threading.Event()
thread = CameraThread(lambda: Told("empty", width=32, height=32, frame_rate=100))
thread.call(lambda camera: camera.open())
thread.submit(job, is_long=True)
begun.wait()
"""


def test_a_program_that_ends_with_a_job_running_closes_its_camera():
    done = run_python(SCRIPT.format(going_on="thread.serve()"))
    assert done.stdout.split() == ["ended", "closed"]
    assert not done.stderr


def test_a_program_that_ends_with_a_driver_that_hangs_says_so_and_ends():
    done = run_python(SCRIPT.format(going_on="True"))
    assert "the camera could not be closed within 5 s" in done.stderr
    assert not done.stdout
