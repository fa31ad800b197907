"""A file that is written bit by bit, and is seen when it can be read."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from . import system
from .codecs import Encoded
from .lease import Patience
from .memory import MAX_OPEN_FILES
from .refusals import failure_of, writing

_kept_open = threading.BoundedSemaphore(MAX_OPEN_FILES)
"""Files that all stores of this program keep open."""


def _is_cut(descriptor: int, size: int) -> bool:
    """Cut a file; False where Windows refuses it, as somebody has it mapped.

    For who knows how long: no recording waits for that.
    """
    try:
        system.set_size(descriptor, size)
    except OSError as error:
        if not system.is_in_use(error):
            raise
        return False
    return True


class LocalFile:
    """A file on a local disk.

    Opened for each write unless `keep_open`, while not too many are: thousands are
    written at once where a tile holds one of many planes, and a process may have about
    a thousand open.
    """

    def __init__(self, path: Path, keep_open: bool, patience: Patience) -> None:
        self._path = path
        self._patience = patience
        self._descriptor: int | None = None
        with writing(path):
            descriptor = system.create(path)
            system.allow_holes(descriptor)
            if keep_open and _kept_open.acquire(blocking=False):
                self._descriptor = descriptor
            else:
                system.close(descriptor)

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        with writing(self._path):
            if self._descriptor is not None:
                yield self._descriptor
                return
            with system.closing(system.open_to_write(self._path)) as descriptor:
                yield descriptor

    def write_at(self, offset: int, *pieces: Encoded) -> None:
        """See `StoredFile.write_at`."""
        if self._descriptor is None:
            with self._open() as descriptor:
                system.write_at(descriptor, offset, pieces)
            return
        # As above, for the one call that is made for every chunk: no context to enter.
        try:
            system.write_at(self._descriptor, offset, pieces)
        except OSError as error:
            raise failure_of(self._path, error) from error

    def _alone_with(self, descriptor: int) -> AbstractContextManager[None]:
        """While its end is moved."""
        return self._patience.alone_with(descriptor)

    def lengthen(self, size: int) -> None:
        """See `StoredFile.lengthen`."""
        with self._open() as descriptor:
            system.set_size(descriptor, size)

    def end_with(self, offset: int, data: bytes) -> int:
        """See `StoredFile.end_with`."""
        with self._open() as descriptor:
            size = system.size_of(descriptor)
            grows = size < offset + len(data)
            if not grows:
                system.write_at(descriptor, offset, (data,))  # where nobody looks yet
            with self._alone_with(descriptor):
                if not grows and not _is_cut(descriptor, offset + len(data)):
                    grows, offset = True, size
                if grows:
                    system.write_at(descriptor, offset, (data,))
        return offset + len(data)

    def appear(self) -> None:
        """See `StoredFile.appear`: it is there already."""

    def close(self) -> None:
        """See `StoredFile.close`."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            _kept_open.release()
            with writing(self._path):
                system.close(descriptor)


class AppearingFile(LocalFile):
    """A file that is at its place only when it can be read: where readers look already.

    Parameters
    ----------
    path : Path
    keep_open : bool
    patience : Patience
    """

    def __init__(self, path: Path, keep_open: bool, patience: Patience) -> None:
        # Windows moves no file that is open.
        keep_open = keep_open and not system.IS_WINDOWS
        super().__init__(system.partial_beside(path), keep_open, patience)
        self._place = path
        self._moving = threading.Lock()  # nobody opens it meanwhile

    @contextlib.contextmanager
    def _open(self) -> Iterator[int]:
        with contextlib.ExitStack() as opened:
            with self._moving:
                descriptor = opened.enter_context(super()._open())
            yield descriptor

    def _alone_with(self, descriptor: int) -> AbstractContextManager[None]:
        """See `LocalFile`: nobody looks for it before it has appeared."""
        if self._path != self._place:
            return contextlib.nullcontext()
        return super()._alone_with(descriptor)

    def appear(self) -> None:
        """See `StoredFile.appear`."""
        with self._moving, writing(self._place):
            if self._path != self._place:
                system.replace(self._path, self._place)
                self._path = self._place
