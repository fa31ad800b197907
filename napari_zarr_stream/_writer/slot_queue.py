"""The bounded queue: what is to be done with which slot, and how far that has come.

Starts no threads: those of the pool take tasks, the caller of `append` does the rest.
`_changed` guards all that they share; pixels are touched without it, since a slot
belongs to the caller until it is sealed and to the workers until it is free again.
"""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

from .cascade import Piece
from .errors import DocumentInUse, WriteFailed, ZarrStreamError
from .memory import WORKERS, Memory
from .plan import Plan
from .tally import Tally
from .workers import STUCK_S, Task, Workers

COMMIT_INTERVAL_S = 0.25
"""Metadata is renewed at most this often: seldom enough to cost nothing, often enough
that a program that reads along sees frames as they come."""

COMMIT_SHARE = 0.1
"""Of a worker's time: with thousands of shards open, their indexes take a while."""

LOOK_INTERVAL_S = 0.25
"""Workers look this often for a slot that nobody fills any more: no frame that was
taken waits for the next one to be written."""

MAX_COMMIT_INTERVAL_S = 1.5
"""No frame in a shard waits longer to be committed than this and a flush takes."""

T = TypeVar("T")


class Load(Protocol):
    """Pixels on their way that are written together: what the queue asks of a slot."""

    plan: Plan

    @property
    def is_large(self) -> bool:
        """Whether several workers are to write parts of it."""

    def start(self, first_plane: int) -> None:
        """Make ready for pixels from plane number `first_plane` on."""

    def clear_missing(self) -> None:
        """Zero what an earlier use left where no pixel has come."""

    def halve(self, planes: Iterable[int] | None = None) -> None:
        """Fill the lower levels that it holds, of some planes or all."""

    def parts(self) -> list[Piece]:
        """What `write` is to be called with."""

    def write(self, part: Piece) -> int:
        """Encode and store a part; returns bytes stored."""


L = TypeVar("L", bound=Load)


class Work(Generic[L]):
    """What is still to be done with a slot."""

    def __init__(self, slot: L, kind: Hashable = None) -> None:
        self.slot = slot
        self.kind = kind
        self.filled_at = 0.0  # when the first plane was laid; the caller's
        self.pending = 0  # tasks, guarded by _changed
        self.sealed = False  # guarded by _changed
        self.writing = False  # guarded by _changed
        self.done = False  # guarded by _changed


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the queue has come, in the numbers of its tally."""

    planes_written: int
    committed: int
    bytes_written: int
    error: ZarrStreamError | None


class SlotQueue(Generic[L]):
    """Slots between the caller of `append` and the workers.

    Parameters
    ----------
    memory : Memory
        How many slots there are.
    tally : Tally
        Counts what is written. Guarded by the queue.
    new_slot : callable
        Makes a slot of a kind.
    commit : callable
        Makes what a number of the tally stands for known to readers.
    workers : Workers
        The pool, which has a lock for all.
    in_turn : bool
        A slot is free only after all before it: what comes early and waits for others
        is no more than they hold.
    """

    def __init__(
        self,
        memory: Memory,
        tally: Tally[L],
        new_slot: Callable[[Hashable], L],
        commit: Callable[[int], None],
        workers: Workers,
        *,
        in_turn: bool = False,
    ) -> None:
        self._in_turn = in_turn
        self._begun: deque[Work[L]] = deque()  # if in turn; guarded by _changed
        self._memory = memory
        self._new_slot = new_slot
        self._tally = tally  # guarded by _changed
        self._tell_readers = commit
        # Taken with _changed by workers, which never wait for it; alone by a flush.
        self._commit_lock = threading.Lock()
        self._workers = workers
        self._look: Task = _nothing
        self._changed = threading.Condition(workers.lock)  # for who waits for a slot
        self._tasks: deque[Task] = deque()  # guarded by _changed
        self.tasks_running = 0  # guarded by _changed
        self._served_at = 0.0  # by a worker, guarded by _changed
        self.caller_helps = False  # guarded by _changed
        self._helped_at = 0.0  # guarded by _changed
        self._free: defaultdict[Hashable, list[L]] = defaultdict(list)
        # by their kind, guarded by _changed
        self._slots_made = 0  # guarded by _changed
        self._stopped = False  # guarded by _changed
        self._error: ZarrStreamError | None = None  # guarded by _changed
        self._bytes_written = 0  # guarded by _changed
        self._committed = 0  # guarded by _changed
        self._commit_due = 0.0  # on the monotonic clock, guarded by _changed
        self._commit_wanted = False  # guarded by _changed
        self._look_due = 0.0  # the same

    # ------------------------------------------------------------ the caller's side

    def make_slots(self) -> None:
        """Make the slots that are sure to be used, before the first plane comes."""
        for _ in range(self._memory.slots_at_start):
            slot = self._new_slot(None)
            with self._changed:
                self._free[None].append(slot)
                self._slots_made += 1

    def next_slot(self, first_plane: int, kind: Hashable = None) -> Work[L]:
        """Start a slot with plane number `first_plane`; waits until one is free.

        Where all there may be are of other kinds, one of them is given up.

        Raises
        ------
        ZarrStreamError
            The failure that ended the stream.
        """
        with self._changed:
            if not self._can_start():
                # Who waits here helps nobody, and takes no worker's place.
                self._wait_until(self._can_start)
            self._raise_error()
            if not self._free[kind]:
                if self._slots_made == self._memory.slots:
                    next(filter(None, self._free.values())).pop()
                    self._slots_made -= 1
                self._free[kind].append(self._new_slot(kind))
                self._slots_made += 1
            work = Work(self._free[kind].pop(), kind)
            if self._in_turn:
                self._begun.append(work)
        work.slot.start(first_plane)
        return work

    def _wait_until(self, is_so: Callable[[], object]) -> None:
        """Leave all to the workers. Caller must hold `_changed`."""
        self.caller_helps = False
        self._workers.wake(self, len(self._tasks))
        while not self._changed.wait_for(is_so, STUCK_S):
            self._workers.wake(self)

    def give_back(self, work: Work[L]) -> None:
        """Let a slot be used for something else that no plane was taken into."""
        with self._changed:
            self._release(work)

    def _release(self, work: Work[L]) -> None:
        """Let a slot be used again, if it is its turn. Caller must hold `_changed`."""
        work.done = True
        free = [] if self._in_turn else [work]
        while self._begun and self._begun[0].done:
            free.append(self._begun.popleft())
        for each in free if not self._stopped else ():
            self._free[each.kind].append(each.slot)
        self._changed.notify_all()

    def _can_start(self) -> bool:
        more = self._slots_made < self._memory.slots
        return any(self._free.values()) or more or self._error is not None

    def halve_early(self, work: Work[L], planes: range) -> None:
        """Have planes that were just laid halved while they are still in cache."""
        self._submit(work, [partial(work.slot.halve, planes)])

    def seal(self, work: Work[L], *, may_help: bool) -> None:
        """Give a slot to the workers.

        A caller that `may_help` takes the place of one of them: what it does itself is
        still in the caches, which a queue full of other pixels pushes it out of.
        """
        slot = work.slot
        slot.clear_missing()
        if slot.is_large:
            halve = [slot.halve] if slot.plan.z_is_halved else []
            self._submit(work, halve, seal=True)
            return
        work.writing = True
        self._submit(work, [partial(self._write_whole, slot)], seal=True)
        # In a pause of the disk it would wait for that, and frames for it.
        if task := self._spare_task(may_help and not self._memory.buffer_planes):
            with self.keeping_failure():
                task()

    def _spare_task(self, may_help: bool) -> Task | None:
        """The newest task, if the caller may do it and workers have enough to do."""
        with self._changed:
            self.caller_helps = may_help
            self._helped_at = time.perf_counter()
            enough = len(self._tasks) >= WORKERS
            return self._tasks.pop() if may_help and enough else None

    def _submit(
        self, work: Work[L], tasks: Sequence[Task], *, seal: bool = False
    ) -> None:
        with self._changed:
            work.pending += len(tasks)
            work.sealed |= seal
            self._put(partial(self._run, work, task) for task in tasks)
            self._advance(work)

    def _put(self, tasks: Iterable[Task], *, first: bool = False) -> None:
        """Have tasks done, before all others or last. Caller must hold `_changed`."""
        if not (self._tasks or self.tasks_running):
            self._served_at = time.perf_counter()
        before = len(self._tasks)
        (self._tasks.extendleft if first else self._tasks.extend)(tasks)
        self._workers.wake(self, len(self._tasks) - before)

    @property
    def is_idle(self) -> bool:
        """Whether a worker would begin at once with what is sealed now."""
        with self._changed:
            return not self._tasks and self._workers.has_room

    def wait_until_written(self) -> None:
        """Return when nothing is left to do, or the stream has failed."""
        with self._changed:
            self._wait_until(
                lambda: self._error or not (self._tasks or self.tasks_running)
            )

    def start(self, look: Task) -> None:
        """Have workers do tasks, and `look` every now and then, until `stop`."""
        self._look = look
        self._workers.add(self)

    def stop(self) -> None:
        """Drop what no worker has begun; none is busy with it when this returns."""
        with self._changed:
            self._tasks.clear()
            self._free.clear()
            self._stopped = True
            self._changed.notify_all()
        self._workers.remove(self)
        with self._changed:
            self._changed.wait_for(lambda: not self.tasks_running)

    def want_commit(self) -> None:
        """Have a worker commit soon, even if no step has been completed since."""
        with self._changed:
            self._commit_wanted = True

    def commit(self, number: int) -> None:
        """Make what a number of the tally stands for known to readers.

        Raises
        ------
        WriteFailed
        """
        self._tell_readers(number)
        with self._changed:
            self._committed = max(number, self._committed)

    def commit_written(self) -> None:
        """Make all that was written known to readers, as far as files are readable.

        Raises
        ------
        WriteFailed
        """
        with self._commit_lock:
            with self._changed:
                written = self._tally.all_written()
            self.commit(written)

    def progress(self) -> Progress:
        """A snapshot; may be called from any thread at any time."""
        with self._changed:
            return Progress(
                self._tally.planes_written,
                self._committed,
                self._bytes_written,
                self._error,
            )

    def ask(self, question: Callable[[], T]) -> T:
        """The answer of the tally, which is not to be asked without the queue."""
        with self._changed:
            return question()

    @contextlib.contextmanager
    def keeping_failure(self) -> Iterator[None]:
        """Keep the first failure inside, of whatever type, and do nothing more."""
        try:
            yield
        except ZarrStreamError as failure:
            self._fail(failure)
        except Exception as error:  # noqa: BLE001 - kept, raised where it is heard
            unexpected = WriteFailed(f"encoding or writing failed: {error!r}")
            unexpected.__cause__ = error
            self._fail(unexpected)

    def _fail(self, failure: ZarrStreamError) -> None:
        with self._changed:
            if self._error is None:
                self._error = failure
            self._tasks.clear()
            self._changed.notify_all()

    def raise_error(self) -> None:
        """Raise the failure that ended the stream, if there is one."""
        with self._changed:
            self._raise_error()

    def _raise_error(self) -> None:
        """See `raise_error`. Caller must hold `_changed`."""
        if self._error is not None:
            raise self._error

    # ------------------------------------- the workers' side, who hold `_changed`: Line

    def waits_since(self) -> float | None:
        """See `Line.waits_since`."""
        return self._served_at if self._tasks and not self.tasks_running else None

    def next_task(self, now: float, *, is_free: bool) -> Task | float:
        """See `Line.next_task`."""
        task = self._due(now)
        if isinstance(task, float):
            if not (self._tasks and is_free):
                return task
            task = self._tasks.popleft()
        self.tasks_running += 1
        self._served_at = now
        return task

    def _due(self, now: float) -> Task | float:
        """What is to be done by the clock, or in how many seconds something is."""
        if now >= self._look_due:
            # With others, so that a thread wakes up for all of them.
            self._look_due = (now // LOOK_INTERVAL_S + 1) * LOOK_INTERVAL_S
            # Who has sealed nothing for so long is about something else.
            self.caller_helps &= now - self._helped_at < LOOK_INTERVAL_S
            return self._look
        wait_s = self._look_due - now
        number = self._tally.committable()
        if number > self._committed or self._commit_wanted:
            wait_s = min(wait_s, self._commit_due - now)
            if wait_s <= 0 and self._commit_lock.acquire(blocking=False):
                self._commit_wanted = False
                return partial(self._commit_and_release, number)
        return wait_s

    def ended(self) -> None:
        """See `Line.ended`."""
        self.tasks_running -= 1
        self._served_at = time.perf_counter()
        if not self.tasks_running:
            self._changed.notify_all()

    def _run(self, work: Work[L], task: Task) -> None:
        task()
        with self._changed:
            work.pending -= 1
            self._advance(work)

    def _advance(self, work: Work[L]) -> None:
        """Go on with a slot whose tasks are done. Caller must hold `_changed`."""
        if work.pending or not work.sealed:
            return
        slot = work.slot
        if not work.writing:
            work.writing = True
            parts = slot.parts()
            work.pending = len(parts)
            # Before anything else: this is what makes a slot free.
            tasks = (partial(self._write, slot, part) for part in parts)
            self._put((partial(self._run, work, task) for task in tasks), first=True)
            return
        self._tally.add(slot)
        self._release(work)

    def _write_whole(self, slot: L) -> None:
        slot.halve()
        for part in slot.parts():
            self._write(slot, part)

    def _write(self, slot: L, part: Piece) -> None:
        stored = slot.write(part)
        with self._changed:
            self._bytes_written += stored

    def _commit_and_release(self, number: int) -> None:
        began = time.perf_counter()
        try:
            # Documents only say how much can be read: the next commit says it as well.
            with contextlib.suppress(DocumentInUse):
                self.commit(number)
        finally:
            ended = time.perf_counter()
            wait_s = max(COMMIT_INTERVAL_S, (ended - began) / COMMIT_SHARE)
            with self._changed:
                self._commit_due = began + min(wait_s, MAX_COMMIT_INTERVAL_S)
            self._commit_lock.release()


def _nothing() -> None:
    """There is nothing to look for before the start."""
