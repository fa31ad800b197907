"""Who is writing a store: a small file beside it, hidden, gone when the writer is.

It says process, host and when that process started. That of a process which is no
more is recognised and taken over; readers never meet it, since it is not in the store.
"""

import contextlib
import datetime
import json
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from . import system
from .computer import CLOCK_S, Computer
from .errors import StoreInUse

UNFINISHED_S = 10.0
"""A lock that says nothing is as old as this before it is taken for left behind."""

MAX_LOCK_BYTES = 4096
"""No lock says as much."""

_let_go: set[str] = set()
"""Tokens of locks that this process has let go of, but could not take away: the disk
was unplugged, the folder moved."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that has a store.

    Attributes
    ----------
    pid : int
    computer : Computer
    started : float
        When the process started, seconds since 1970.
    since : str
        When it took the store.
    token : str
        Different for every lock.
    """

    pid: int
    computer: Computer
    started: float
    since: str
    token: str

    @classmethod
    def myself(cls) -> Self:
        """What to say for this process, from now on."""
        process = psutil.Process()
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        started = process.create_time()
        return cls(process.pid, Computer.mine(), started, now, uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.computer.host}, since {self.since}"

    @property
    def may_live(self) -> bool:
        """False only where it is sure that the process has no use for it any more."""
        if self.token in _let_go:
            return False
        here = Computer.mine()
        if not here.shows_processes_of(self.computer):
            return not here.is_restart_of(self.computer)
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return abs(process.create_time() - self.started) < CLOCK_S
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True


def lock_path(store: Path) -> Path:
    """Where the lock of a store is: beside it, by its name."""
    name = store.name
    if len(name) > 40:  # names may be as long as the disk takes
        name = f"{name[:40]}.{uuid.uuid5(uuid.NAMESPACE_URL, name).hex[:8]}"
    return store.with_name(f".{name}.lock")


def holder_of(store: Path) -> Holder | None:
    """Who is writing a store, or one that it is in; None where nobody is known to."""
    taken = _taken(store)
    return taken[1] if taken else None


def check_free(store: Path) -> None:
    """Raise StoreInUse where somebody is writing a store, or one that it is in."""
    if taken := _taken(store):
        raise _in_use(*taken)


def _in_use(store: Path, holder: Holder) -> StoreInUse:
    words = f"{store} is being written by {holder}"
    here = Computer.mine()
    if here.shows_processes_of(holder.computer):
        words += ": wait for its end, or choose another name. If it is no more"
    else:
        words += (
            f". Whether that program still runs cannot be seen from here, {here.host}: "
            "wait for its end, or choose another name. If it does not run any more"
        )
    return StoreInUse(f"{words}, delete {lock_path(store)}")


def _taken(store: Path) -> tuple[Path, Holder] | None:
    """The store that is taken, and by whom."""
    here = store.resolve()
    while True:
        with contextlib.suppress(OSError):  # who takes a lock asks more strictly
            holder = _read(lock_path(here))
            if holder and holder.may_live:
                return here, holder
        here = here.parent
        if not any((here / name).is_file() for name in ("zarr.json", ".zgroup")):
            return None


def _read(lock: Path) -> Holder | None:
    """Whom a lock names; None where there is no lock, and where it says nothing.

    Raises
    ------
    OSError
        There may be one, but it cannot be read.
    """
    try:
        said: Any = json.loads(system.read_file(lock, MAX_LOCK_BYTES))
        pid, started = int(said["pid"]), float(said["started"])
        if pid < 1:
            return None
        computer = Computer.read(said)
        return Holder(pid, computer, started, str(said["since"]), str(said["token"]))
    except FileNotFoundError:
        return None
    except (
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError
    ):  # fmt: skip
        return None


class StoreLock:
    """A store taken for writing, until `release`.

    Parameters
    ----------
    store : Path
        Absolute, links resolved. It need not be there; the folder it is in must.

    Raises
    ------
    StoreInUse
        Another has it: says who.
    OSError
        The lock cannot be written.
    """

    def __init__(self, store: Path) -> None:
        self._path = lock_path(store)
        self._holder = Holder.myself()
        self._is_released = False
        said = asdict(self._holder)
        text = json.dumps(said | said.pop("computer")).encode()
        while True:
            try:
                descriptor = system.create_new(self._path)
            except FileExistsError:
                self._clear_stale(store)
                continue
            try:
                with system.closing(descriptor):
                    system.write_at(descriptor, 0, (text,))
                with contextlib.suppress(OSError):  # then it is seen
                    system.hide(self._path)
            except BaseException:
                system.remove(self._path)
                raise
            return

    def _clear_stale(self, store: Path) -> None:
        """Take away what a dead process left, or raise.

        One that cannot be read is believed: another user may have it.
        """
        try:
            holder = _read(self._path)
        except OSError as error:
            raise StoreInUse(
                f"{store} may be being written by another program: who that is cannot "
                f"be read ({error}). If nobody is, delete {self._path}"
            ) from error
        if holder is None:
            try:
                young = time.time() - self._path.stat().st_mtime < UNFINISHED_S
            except FileNotFoundError:
                return  # released meanwhile
            if young:
                raise StoreInUse(f"{store} is just being taken by another program")
        elif holder.may_live:
            raise _in_use(store, holder)
        # Another process may be doing the same: only one can rename it.
        stale = self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex[:8]}")
        with contextlib.suppress(FileNotFoundError):
            system.rename(self._path, stale)
            if _read(stale) != holder:
                system.rename(stale, self._path)  # a new one, of who was faster
                return
            system.remove(stale)

    def release(self) -> None:
        """Let others have the store; may be called twice.

        Where the lock is gone it may come back, with the disk that it is on.

        Raises
        ------
        OSError
            The lock stays. It is known to be left behind, here and when this process
            has ended.
        """
        if self._is_released:
            return
        _let_go.add(self._holder.token)
        if _read(self._path) == self._holder:
            system.remove(self._path)
            _let_go.discard(self._holder.token)
        self._is_released = True
