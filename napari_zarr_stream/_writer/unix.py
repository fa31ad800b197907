"""File calls as Linux and macOS have them, for `system`."""

import ctypes
import errno
import os
import resource
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

Bytes = bytes | memoryview

_IOV_MAX = 1024
"""Pieces that one call takes: POSIX asks for 16, Linux and macOS have this."""

_ENOUGH_FILES = 10_240
"""As many as macOS lets a process have; others may let it have a million."""

CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
WRITE = os.O_WRONLY | os.O_CREAT
CHANGE = os.O_WRONLY | os.O_NOFOLLOW
READ = os.O_RDONLY | os.O_NOFOLLOW
READ_ANY = os.O_RDONLY


def open_file(path: Path, way: int) -> int:
    """A descriptor of a file that is opened in one of these ways."""
    return os.open(path, way, 0o666)


def write_at(descriptor: int, offset: int, pieces: Sequence[Bytes]) -> None:
    """Write `pieces` one after another from `offset` on, all of them."""
    while pieces:
        now, pieces = pieces[:_IOV_MAX], pieces[_IOV_MAX:]
        written = os.pwritev(descriptor, now, offset)
        offset += written
        if written < (wanted := sum(map(len, now))):
            if not written:  # nor would it be the next time
                raise OSError(errno.EIO, "the disk takes nothing, and tells no why")
            pieces = (memoryview(b"".join(now))[written - wanted :], *pieces)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Read `size` bytes from `offset` on, fewer where the file ends before."""
    data = os.pread(descriptor, size, offset)
    while len(data) < size:  # Linux reads 2 GiB at the most
        more = os.pread(descriptor, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data


def set_size(descriptor: int, size: int) -> None:
    """Cut a file, unless Windows refuses it; or lengthen it by what reads as 0."""
    os.ftruncate(descriptor, size)


def allow_holes(descriptor: int) -> bool:
    """Have what is never written take no space; False where it always does."""
    return True


def data_ranges(descriptor: int) -> Iterator[tuple[int, int]]:
    """Where something was written, start and end; all of it if none can tell."""
    size = os.fstat(descriptor).st_size
    end = 0
    while end < size:
        start = end
        try:
            start = os.lseek(descriptor, start, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole is left
            end = size  # macOS says EINVAL, others what they like: all may be data
        yield start, end


def hide(path: Path) -> None:
    """Have it not be seen among files; a dot before its name does that here."""


def may_write(folder: Path) -> bool:
    """Whether this user may make something in a folder that is there."""
    return os.access(folder, os.W_OK)


LONGEST_PATH = 1023 if sys.platform == "darwin" else 4095
"""Bytes that a path may have here: limits.h, PATH_MAX."""


def most_open_files() -> int:
    """How many files this process may have open: macOS begins with 256."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _ENOUGH_FILES:
        soft = _ENOUGH_FILES if hard < 0 else min(hard, _ENOUGH_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft if soft >= 0 else sys.maxsize


def path_length(path: Path) -> int:
    """How long a path is, as `LONGEST_PATH` counts."""
    return len(os.fsencode(path))


def full_path(path: Path) -> Path:
    """The path in a form that may be as long as the disk takes."""
    return path


tree_path = full_path


def size_of(descriptor: int) -> int:
    """Bytes of a file, holes included."""
    return os.fstat(descriptor).st_size


def size_on_disk(descriptor: int) -> int:
    """Bytes that a file takes; a hole takes none."""
    return os.fstat(descriptor).st_blocks * 512


def exchange(one: Path, other: Path) -> bool:
    """Have two names change places at once; False where that cannot be.

    renameat2(2), RENAME_EXCHANGE.
    """
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    here, there = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    if not libc.renameat2(0, here, 0, there, 2):
        return True
    if (code := ctypes.get_errno()) not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, os.strerror(code))
    return False


if sys.platform == "linux":
    import fcntl

    def take_lease(descriptor: int) -> bool | None:
        """Have who would open a file wait; None while somebody else has it open.

        False where there are no leases: fcntl(2), F_SETLEASE.
        """
        try:
            # Somebody waits: told by SIGIO, as is usual, it would end this program.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            # Disks of other computers have no leases.
            return None if error.errno == errno.EAGAIN else False
        return True

    def give_back_lease(descriptor: int) -> None:
        """Let others open the file again."""
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

else:

    def take_lease(descriptor: int) -> bool | None:
        """There are none."""
        return False

    def give_back_lease(descriptor: int) -> None:
        """Nothing was lent."""
