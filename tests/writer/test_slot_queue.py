"""The bounded queue, driven by hand: one thread, one step at a time."""

import threading
import time
from dataclasses import replace

import pytest
from frames import planes
from waiting import PATIENCE_S

from napari_zarr_stream import StorageProperties, WriteFailed, plan
from napari_zarr_stream._writer import slot_queue
from napari_zarr_stream._writer.slot_queue import SlotQueue
from napari_zarr_stream._writer.tally import RowTally
from napari_zarr_stream._writer.workers import Workers


class FakeSlot:
    """A slot of one plane that only says what is done with it."""

    is_large = False
    halves_early = False

    def __init__(self, log, plan):
        self.log = log
        self.plan = plan
        self.first_plane = 0

    @property
    def end(self):
        return self.first_plane + 1

    def start(self, first_plane):
        self.first_plane = first_plane

    def clear_missing(self):
        self.log.append(("clear", self.first_plane))

    def halve(self, numbers=None):
        self.log.append(("halve", self.first_plane))

    def parts(self):
        return [0, 1]

    def write(self, level):
        self.log.append(("write", self.first_plane, level))
        return 10


@pytest.fixture
def log():
    return []


@pytest.fixture
def queue(log, monkeypatch):
    monkeypatch.setattr(slot_queue, "COMMIT_INTERVAL_S", 0.0)
    properties = StorageProperties("a.zarr", frames_per_chunk=1)
    p = plan(properties, axes="tyx", shape=(None, 24, 40), dtype="uint16")
    return SlotQueue(
        p.memory,
        RowTally(p),
        lambda kind: FakeSlot(log, p),
        lambda n: log.append(("commit", n)),
        Workers(),
    )


def do_all(queue):
    """Have workers until there is nothing to do."""
    queue.start(lambda: None)
    queue.wait_until_written()
    queue.stop()
    queue._stopped = False


def test_a_slot_is_cleared_halved_written_and_committed(queue, log):
    queue.seal(queue.next_slot(0), may_help=False)
    do_all(queue)
    assert log[:4] == [("clear", 0), ("halve", 0), ("write", 0, 0), ("write", 0, 1)]
    assert queue.progress().planes_written == 1
    assert queue.progress().bytes_written == 20


def test_a_large_slot_is_written_in_parts(queue, log, monkeypatch):
    monkeypatch.setattr(FakeSlot, "is_large", True)
    work = queue.next_slot(0)
    queue.halve_early(work, range(1))
    queue.seal(work, may_help=False)
    do_all(queue)
    assert sorted(log[:4]) == sorted(
        [("clear", 0), ("halve", 0), ("write", 0, 0), ("write", 0, 1)]
    )
    assert queue.progress().planes_written == 1


def test_planes_count_as_written_without_a_gap(queue):
    slots = [queue.next_slot(number) for number in range(3)]
    queue.seal(slots[2], may_help=False)
    do_all(queue)
    assert queue.progress().planes_written == 0
    queue.seal(slots[0], may_help=False)
    do_all(queue)
    assert queue.progress().planes_written == 1
    queue.seal(slots[1], may_help=False)
    do_all(queue)
    assert queue.progress().planes_written == 3


def test_no_more_slots_than_planned(queue):
    for number in range(queue._memory.slots):
        queue.next_slot(number)

    def wait_for_one():
        with pytest.raises(WriteFailed):
            queue.next_slot(0)

    waiting = threading.Thread(target=wait_for_one)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    with queue.keeping_failure():
        raise WriteFailed("lets the waiting one go")
    waiting.join(PATIENCE_S)
    assert not waiting.is_alive()


def test_the_first_failure_is_kept_and_ends_all_work(queue, log):
    queue.seal(queue.next_slot(0), may_help=False)
    for message in "first", "second":
        with queue.keeping_failure():
            raise WriteFailed(message)
    do_all(queue)
    assert str(queue.progress().error) == "first"
    assert ("halve", 0) not in log
    with pytest.raises(WriteFailed, match="first"):
        queue.raise_error()
    with pytest.raises(WriteFailed, match="first"):
        queue.next_slot(1)


def test_a_slot_that_cannot_be_made_is_not_counted(queue):
    def no_memory(kind):
        raise MemoryError

    make, queue._new_slot = queue._new_slot, no_memory
    with pytest.raises(MemoryError):
        queue.next_slot(0)
    queue._new_slot = make
    queue.next_slot(0)
    assert queue._slots_made == 1


def test_steps_of_unfinished_chunks_are_not_committed():
    properties = StorageProperties("a.zarr", frames_per_chunk=2)
    p = plan(properties, axes="tcyx", shape=(None, 2, 2048, 1024), dtype="uint16")
    assert (p.chunk_shape[0], p.parts_per_chunk) == (2, 2)
    tally = RowTally(p)
    for planes_written, steps in [(0, 0), (3, 0), (4, 2), (7, 2), (8, 4)]:
        tally.planes_written = planes_written
        assert tally.committable() == steps


def test_frames_carry_their_address():
    assert planes(3, first=7)[:, 0, 0].tolist() == [7, 8, 9]


def test_a_caller_that_waits_takes_no_workers_place(queue, monkeypatch):
    """Both slots are written at once, or the barrier breaks."""
    both = threading.Barrier(2)
    monkeypatch.setattr(FakeSlot, "halve", lambda slot: both.wait(timeout=PATIENCE_S))
    queue._memory = replace(queue._memory, slots=2)
    queue.start(lambda: None)
    for number in range(2):
        queue.seal(queue.next_slot(number), may_help=True)
        while number == 0 and queue._tasks:  # until a worker has begun with it
            time.sleep(0.001)
    queue.next_slot(2)
    queue.wait_until_written()
    queue.stop()
    assert not both.broken
