"""Brings one store to another place, behind its recording or by itself: `Uploader`.

One thread, with an event loop for the few files that are on their way. Guarantees:

* who records never waits for it, and it ends no recording;
* what waits is names only, and of those a bounded number: beyond, all that is missing
  is found by the sweep at the end;
* it can be stopped at any moment, and taken up again: nothing is sent twice.
"""

import asyncio
import contextlib
import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import StoreExists, WriteFailed, ZarrStreamError

from .files import (
    CLAIM,
    LocalFile,
    document_order,
    files_in,
    identity_here,
    identity_there,
    is_document,
    root_document,
)
from .finished import check_finished
from .following import Levels, is_followed
from .local_copy import remove_local
from .progress import UploadPhase, UploadStatus
from .sending import Sending
from .sweep import put_root, sweep, taken_by_another
from .target import LocalGone, NotSent, Taken, Target

POLL_S = 0.1
"""How often it is looked what has been finished."""

TELL_S = 0.5
"""Readers there are told at most so often how far levels go."""

MOST_NAMES = 100_000
"""Of files that wait: some 10 MB. More, and the sweep finds them."""


class Uploader:
    """Brings a store to a target, in a thread of its own.

    Parameters
    ----------
    target : Target
    deletes_local : bool
        Take away the local copy when all of it was read back, or its checksums
        compared, and found equal.

    Attributes
    ----------
    is_new : bool
        Nothing may be at the place yet; else it may be the same store, half there.
    """

    def __init__(self, target: Target, *, deletes_local: bool = False) -> None:
        self._target = target
        self._deletes_local = deletes_local
        self._levels = Levels()
        self._names: deque[tuple[str, int]] = deque()
        self._root: Path | None = None
        self._is_recorded = False
        self._has_failed = False  # the recording, so that it may have to be repaired
        self._began = threading.Event()
        self._is_finished = threading.Event()
        self._stop_asked = threading.Event()
        self._looked = threading.Event()  # at what is at the place
        self._ended = threading.Event()
        self._may_delete: Callable[[], bool] = lambda: True
        self._phase = UploadPhase.WAITING
        self._error: ZarrStreamError | None = None
        self._notes: tuple[str, ...] = ()
        self._is_local_deleted = self._waits_to_delete = False
        self._bytes_finished = self._files_finished = 0
        self._lock = threading.Lock()  # held while the two are changed
        self._expected: tuple[int, int] | None = None  # files and bytes, of the sweep
        self._sent_before = (0, 0)
        self._sending: Sending | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=False)

    # ------------------------------------------------------------ from any thread

    def follow(self) -> None:
        """Start, for a store that will be recorded: nothing may be at the place yet."""
        self._is_recorded = True
        self._thread.start()

    def upload(self, root: Path) -> None:
        """Start, for a store that is there."""
        self._root = root
        self._began.set()
        self._is_finished.set()
        self._thread.start()

    def check_free(self, timeout_s: float) -> None:
        """Wait until it was looked at the place, or has taken long enough.

        Raises
        ------
        StoreExists
            Something is there.
        """
        self._looked.wait(timeout_s)
        if isinstance(self._error, StoreExists):
            raise self._error

    def begin(self, root: Path) -> None:
        """The store is at its place here, and is recorded from now on."""
        self._root = root
        self._began.set()

    def began(self, key: str) -> None:
        """See `Follower.began`."""
        self._levels.began(key)

    def finished(self, key: str, size: int) -> None:
        """See `Follower.finished`."""
        with self._lock:
            self._bytes_finished += size
            self._files_finished += 1
        if is_followed(key) and len(self._names) < MOST_NAMES:
            self._names.append((key, size))

    def told(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Follower.told`."""
        self._levels.told(key, document)

    def finish(self, *, has_failed: bool = False) -> None:
        """The store is written to its end: whatever is missing goes now."""
        self._has_failed = has_failed
        self._is_finished.set()
        self._in_loop(self._end_patience)

    def stop(self) -> None:
        """End it now; what is there stays, for another upload to go on. At once."""
        self._stop_asked.set()
        self._in_loop(self._cancel)

    def _in_loop(self, act: Callable[[], object]) -> None:
        """Have something done in the thread, if it is there."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(act)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for its end; False if it did not come in time. Why is in `status`."""
        return self._ended.wait(timeout_s)

    def delete_when(self, may_delete: Callable[[], bool]) -> None:
        """Have the local copy stay until this says True: somebody looks at it."""
        self._may_delete = may_delete

    def steps(self, image: str) -> int:
        """See `Levels.steps`."""
        return self._levels.steps(image)

    def status(self) -> UploadStatus:
        """A snapshot."""
        sending = self._sending
        sent = (sending.files, sending.bytes) if sending else (0, 0)
        if self._expected is not None:
            behind = [
                max(0, expected - (now - before))
                for expected, now, before in zip(
                    self._expected, sent, self._sent_before, strict=True
                )
            ]
        else:
            finished = self._files_finished, self._bytes_finished
            behind = [max(0, f - s) for f, s in zip(finished, sent, strict=True)]
        return UploadStatus(
            phase=self._phase,
            address=self._target.words,
            bytes_uploaded=sent[1],
            files_uploaded=sent[0],
            bytes_behind=behind[1],
            files_behind=behind[0],
            bytes_per_second=sending.rate.bytes_per_second if sending else 0.0,
            trouble=sending.trouble if sending else "",
            error=self._error,
            notes=self._notes,
            is_local_deleted=self._is_local_deleted,
            waits_to_delete=self._waits_to_delete,
        )

    # ------------------------------------------------------------ thread "upload"

    def _run(self) -> None:
        """Send from start to end. Thread "upload"."""
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            self._phase = UploadPhase.STOPPED
        except ZarrStreamError as failure:
            self._error, self._phase = failure, UploadPhase.FAILED
        except Exception as error:  # noqa: BLE001 - kept, and in the status
            self._error = WriteFailed(f"the upload failed: {error!r}")
            self._phase = UploadPhase.FAILED
        finally:
            self._looked.set()
            self._ended.set()

    async def _main(self) -> None:
        self._sending = sending = Sending(self._target)
        sending.is_patient = self._is_recorded
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        # What was asked for before there was a loop:
        if self._stop_asked.is_set():
            raise asyncio.CancelledError
        if self._is_finished.is_set():
            self._end_patience()
        if self._is_recorded:
            await sending.persist(self._check_nothing_there)
        self._looked.set()
        while not self._began.is_set():
            await asyncio.sleep(POLL_S)
        assert self._root is not None
        mine = identity_here(self._root)
        if not self._is_recorded:
            check_finished(self._root)
        await self._claim(mine)
        if self._is_recorded:
            self._phase = UploadPhase.FOLLOWING
            await self._follow(mine)
        if self._has_failed:
            check_finished(self._root)
        await self._finish(mine)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _end_patience(self) -> None:
        """Nobody records any more: what does not help to be tried again, ends it."""
        if self._sending is not None:
            self._sending.is_patient = False
            self._sending.hurry()

    async def _check_nothing_there(self) -> None:
        if await identity_there(self._target.get) is not None:
            raise taken_by_another(self._target.words)
        if await self._target.get(CLAIM) is not None:
            raise _being_uploaded(self._target.words)

    async def _claim(self, mine: str) -> None:
        """Say at the place whose it is, or see that another was faster."""
        assert self._sending is not None
        persist, target = self._sending.persist, self._target
        await self._check_same(mine)  # nor is anything written beside another store
        claim = json.dumps({"store": mine}).encode()
        while True:
            try:
                await persist(lambda: target.write(CLAIM, claim, is_new=True))
                break
            except Taken:
                there = await persist(lambda: target.get(CLAIM))
                if there == claim:
                    break
                if there is not None:
                    raise _being_uploaded(target.words) from None
        await self._check_same(mine)  # it may just have been completed
        if not target.can_guard:
            self._notes += (
                f"{target.words}: this service cannot keep two uploads from taking one "
                "place; take care that there is one",
            )

    async def _check_same(self, mine: str) -> None:
        assert self._sending is not None
        there = await self._sending.persist(lambda: identity_there(self._target.get))
        if there not in (None, mine):
            raise taken_by_another(self._target.words)

    async def _follow(self, mine: str) -> None:
        """Send what is finished, until all is."""
        assert self._sending is not None
        assert self._root is not None
        sending, root = self._sending, self._root
        groups = await self._groups(root)
        under_way: set[asyncio.Task[None]] = set()
        told_at = -TELL_S
        loop = asyncio.get_running_loop()
        try:
            while not self._is_finished.is_set():
                under_way = {task for task in under_way if not task.done()}
                while self._names and len(under_way) < self._target.puts:
                    key, size = self._names.popleft()
                    under_way.add(loop.create_task(self._send(key, size)))
                if loop.time() - told_at > TELL_S:
                    told_at = loop.time()
                    await self._tell()
                    if groups is not None:
                        await self._send_groups(root, groups, mine)
                        groups = None
                sending.rate.note(sending.bytes)
                if under_way:
                    await asyncio.wait(
                        under_way, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED
                    )
                else:
                    await asyncio.sleep(POLL_S)
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _groups(self, root: Path) -> list[LocalFile] | None:
        """Documents of groups, as the store begins; None where they cannot be read."""
        try:
            found = [file for file in files_in(root) if is_document(file.key)]
        except OSError:
            return None  # it is away already; the sweep says so
        found.sort(key=lambda file: document_order(file.key))
        return [file for file in found if not self._levels.has(file.key)]

    async def _send_groups(
        self, root: Path, groups: list[LocalFile], mine: str
    ) -> None:
        """So that it can be opened there while it grows: the root last."""
        assert self._sending is not None
        try:
            for file in groups:
                if "/" not in file.key and root_document({file.key: file}):
                    await put_root(self._sending, root, file, mine)
                else:
                    await self._sending.put(file, root)
        except LocalGone:
            return

    async def _send(self, key: str, size: int) -> None:
        """Send a file that is finished; one that is gone is left to the sweep."""
        assert self._sending is not None
        assert self._root is not None
        try:
            info = (self._root / key).stat()
            file = LocalFile(key, info.st_size, info.st_mtime_ns)
            await self._sending.put(file, self._root)
        except (LocalGone, OSError):
            return
        self._levels.arrived(key)

    async def _tell(self) -> None:
        """Tell readers there how far levels go."""
        assert self._sending is not None
        for key, data, steps in self._levels.due():
            try:
                await self._target.write(key, data)
            except NotSent as failure:
                self._sending.trouble = str(failure)
                return
            self._levels.sent(key, steps)
            self._sending.trouble = ""

    async def _finish(self, mine: str) -> None:
        assert self._sending is not None
        assert self._root is not None
        self._phase = UploadPhase.SWEEPING
        swept = await sweep(
            self._sending, self._root, mine, self._expect,
            reads_back=self._deletes_local,
        )  # fmt: skip
        await self._sending.persist(lambda: self._target.remove(CLAIM))
        self._expected, self._sent_before = (0, 0), (0, 0)
        self._notes += tuple(swept.notes)
        if swept.others:
            self._notes += (
                f"{swept.others} other files are at {self._target.words}: they are "
                "left there",
            )
        if self._deletes_local:
            while not self._may_delete():
                self._waits_to_delete = True
                await asyncio.sleep(POLL_S)
            self._waits_to_delete = False
            self._notes += remove_local(self._root, swept.files, mine)
            self._is_local_deleted = True
        self._phase = UploadPhase.DONE

    def _expect(self, files: int, size: int) -> None:
        assert self._sending is not None
        self._sent_before = self._sending.files, self._sending.bytes
        self._expected = files, size


def _being_uploaded(words: str) -> StoreExists:
    return StoreExists(
        f"another store is being uploaded to {words}, or that upload did not end: "
        f"choose another name, or delete {CLAIM} there"
    )
