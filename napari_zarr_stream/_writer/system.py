"""The operating system's file calls: the only file of the package that makes them.

An open file is a descriptor, an `int`, which several threads may use: nothing here
moves its place. What fails is an `OSError`, for the caller to put into words. What
Windows does otherwise is in `windows`; where it refuses what others have open, it is
asked again for a second.
"""

import contextlib
import ctypes
import errno
import hashlib
import mmap
import os
import re
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

if sys.platform == "win32":
    from . import windows
else:
    import resource

T = TypeVar("T")
Bytes = bytes | memoryview

_IOV_MAX = 1024
"""Pieces that one call takes: POSIX asks for 16, Linux and macOS have this."""

PARTIAL = re.compile(r"(?P<name>.+)\.[0-9a-f]{8}\.partial")
"""Name of a file or a folder on its way to its place."""

_ENOUGH_FILES = 10_240
"""As many as macOS lets a process have; others may let it have a million."""

_IN_USE = {5, 32, 33, 1224}
"""Windows: access denied, sharing violation, lock violation, mapped by somebody."""

_PAUSES_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.3)
"""Between attempts, a second in all: readers and virus scanners let go in less."""


def is_in_use(error: OSError) -> bool:
    """Whether Windows refused something because somebody has it open."""
    return getattr(error, "winerror", None) in _IN_USE


def _patiently(call: Callable[[], T]) -> T:
    for pause_s in _PAUSES_S:
        try:
            return call()
        except OSError as error:
            if not is_in_use(error):
                raise
        time.sleep(pause_s)
    return call()


# ------------------------------------------------------- what systems do each their way

IS_WINDOWS = sys.platform == "win32"

if sys.platform == "win32":
    _CREATE = windows.WRITE, windows.CREATE_ALWAYS, True
    _CREATE_NEW = windows.WRITE, windows.CREATE_NEW, True
    _WRITE = windows.WRITE, windows.OPEN_ALWAYS, True
    _CHANGE = windows.WRITE, windows.OPEN_EXISTING, False
    _READ = windows.READ, windows.OPEN_EXISTING, False
    _READ_ANY = windows.READ, windows.OPEN_EXISTING, True

    def _open(path: Path, way: tuple[int, int, bool]) -> int:
        access, how, follow = way
        return windows.open_file(path, access, how, follow=follow)

    write_at = windows.write_at
    read_at = windows.read_at
    data_ranges = windows.data_ranges
    allow_holes = windows.allow_holes
    hide = windows.hide
    may_write = windows.may_write
    set_size = windows.set_size
    LONGEST_PATH = windows.LONGEST_PATH
    path_length = windows.path_length

    def most_open_files() -> int:
        """How many files the C runtime of Windows knows at once."""
        return 8192

    _full = windows.full_path
    _tree = windows.tree_path
    size_of = windows.size_of
    size_on_disk = windows.size_on_disk

else:
    _CREATE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    _CREATE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    _WRITE = os.O_WRONLY | os.O_CREAT
    _CHANGE = os.O_WRONLY | os.O_NOFOLLOW
    _READ = os.O_RDONLY | os.O_NOFOLLOW
    _READ_ANY = os.O_RDONLY

    def _open(path: Path, way: int) -> int:
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

    def _full(path: Path) -> Path:
        """The path in a form that may be as long as the disk takes."""
        return path

    _tree = _full

    def size_of(descriptor: int) -> int:
        """Bytes of a file, holes included."""
        return os.fstat(descriptor).st_size

    def size_on_disk(descriptor: int) -> int:
        """Bytes that a file takes; a hole takes none."""
        return os.fstat(descriptor).st_blocks * 512


# ------------------------------------------------------------------------- open files


def create(path: Path) -> int:
    """Open an empty file to write, in the place of one that is there."""
    return _patiently(lambda: _open(path, _CREATE))


def create_new(path: Path) -> int:
    """As `create`; FileExistsError where something is there."""
    return _open(path, _CREATE_NEW)


def open_to_write(path: Path) -> int:
    """Open a file to write; it is made where none is there."""
    return _patiently(lambda: _open(path, _WRITE))


def open_to_change(path: Path) -> int:
    """Open a file that is there to write, if it is no link."""
    return _patiently(lambda: _open(path, _CHANGE))


def open_to_read(path: Path) -> int:
    """Open a file that is there to read, if it is no link."""
    return _patiently(lambda: _open(path, _READ))


def cut(descriptor: int, size: int) -> None:
    """Cut a file, which Windows refuses while somebody has it mapped."""
    _patiently(lambda: set_size(descriptor, size))


def close(descriptor: int) -> None:
    """Let go of an open file."""
    os.close(descriptor)


@contextlib.contextmanager
def closing(descriptor: int) -> Iterator[int]:
    """An open file that is let go of afterwards."""
    try:
        yield descriptor
    finally:
        close(descriptor)


def is_regular(descriptor: int) -> bool:
    """Whether it is a file, and neither a pipe nor a device."""
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def names_of(descriptor: int) -> int:
    """By how many names (hard links) a file is known."""
    return os.fstat(descriptor).st_nlink


def sync(descriptor: int) -> None:
    """Return when what was written is on the disk."""
    os.fsync(descriptor)


# ------------------------------------------------------------------------------ holes


def has_holes(folder: Path) -> bool:
    """Whether what was never written takes no space: tried with a file in `folder`."""
    probe = partial_beside(folder / ".hole")
    with closing(create(probe)) as descriptor:
        allowed = allow_holes(descriptor)
        set_size(descriptor, 2**20)
        write_at(descriptor, 2**20, (b"\0",))
        size = size_on_disk(descriptor)
    remove(probe)
    return allowed and size < 2**19


# ------------------------------------------------------------------------- leases

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


# ----------------------------------------------------------------- files and folders


def read_file(path: Path, most: int) -> bytes:
    """Read the first `most` bytes of a file.

    Raises
    ------
    OSError
        Also where it is no file: a pipe would be waited for.
    """
    if not stat.S_ISREG(os.stat(_full(path)).st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    with closing(_patiently(lambda: _open(path, _READ_ANY))) as descriptor:
        return read_at(descriptor, most, 0)


def forget_pages(mapping: mmap.mmap) -> None:
    """Let go of memory that shows a file; what was changed there stays changed.

    Not for a private mapping, whose changes are nowhere else. Windows does it itself.
    """
    if hasattr(mapping, "madvise"):
        mapping.madvise(mmap.MADV_DONTNEED)


def write_file(path: Path, data: Bytes) -> None:
    """Write a whole file, in the place of one that is there.

    Half of one may be left where it fails.
    """
    with closing(create(path)) as descriptor:
        write_at(descriptor, 0, (data,))


def partial_beside(path: Path) -> Path:
    """A name for a file or a folder on its way to `path`, as `PARTIAL` knows it."""
    return path.with_name(f"{path.name}.{os.urandom(4).hex()}.partial")


def replace_file(path: Path, data: Bytes) -> None:
    """As `write_file`; whoever opens it finds the old file or the new one, whole."""
    partial = partial_beside(path)
    try:
        write_file(partial, data)
        replace(partial, path)
    except BaseException:
        remove(partial)
        raise


def replace(source: Path, target: Path) -> None:
    """Put a file in its place, whatever is there: one is seen, or the other."""
    try:
        _patiently(lambda: os.replace(_full(source), _full(target)))
    except OSError as error:
        if is_in_use(error) and os.path.isdir(_full(target)):  # Windows' words for it
            code = errno.EISDIR
            raise IsADirectoryError(code, os.strerror(code), str(target)) from error
        raise


def replace_synced(source: Path, target: Path) -> None:
    """As `replace`, with what is in it on the disk before it is seen there."""
    with closing(open_to_change(source)) as descriptor:
        sync(descriptor)
    replace(source, target)


def rename(source: Path, target: Path) -> None:
    """Give a file or a folder another name, which is free."""
    _patiently(lambda: os.rename(_full(source), _full(target)))


def exchange(one: Path, other: Path) -> None:
    """Have two names change places; both are there at any moment, where Linux can.

    renameat2(2), RENAME_EXCHANGE. Elsewhere `other` is away between two calls.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        here, there = os.fsencode(one.absolute()), os.fsencode(other.absolute())
        if not libc.renameat2(0, here, 0, there, 2):
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    aside = partial_beside(one)
    rename(other, aside)
    try:
        rename(one, other)
    except OSError:
        rename(aside, other)
        raise
    rename(aside, one)


def remove(path: Path) -> None:
    """Take away a file, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        _patiently(lambda: os.unlink(_full(path)))


def remove_folder(path: Path) -> None:
    """Take away an empty folder."""
    _patiently(lambda: os.rmdir(_full(path)))


def remove_tree(folder: Path) -> None:
    """Take away a folder with all in it."""
    _patiently(lambda: shutil.rmtree(_tree(folder)))


def make_folder(folder: Path, *, exist_ok: bool = False) -> None:
    """Make a folder in one that is there."""
    full = _full(folder)
    try:
        os.mkdir(full)
    except OSError:  # systems have several words for one that is there
        if not (exist_ok and os.path.isdir(full)):
            raise


def make_folders(folder: Path) -> None:
    """Make a folder, if it is not there, and those that it is in."""
    Path(_full(folder)).mkdir(parents=True, exist_ok=True)


def is_taken(path: Path) -> bool:
    """Whether something has that name, be it a link to nowhere."""
    return os.path.lexists(_full(path))


def state_of(folder: Path) -> bytes:
    """What is another when anything in a folder was written: names, sizes, times."""
    state = hashlib.blake2b()
    for where, folders, files in os.walk(_tree(folder)):
        folders.sort()
        # Not by ".": in paths of Windows that may be long it is a name.
        for path in [where, *(os.path.join(where, name) for name in sorted(files))]:
            info = os.lstat(path)
            said = info.st_ino, info.st_size, info.st_mtime_ns
            state.update(f"{path}\0{said}\0".encode(errors="surrogateescape"))
    return state.digest()


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, by name."""
    with os.scandir(_full(folder)) as found:
        return sorted(found, key=lambda entry: entry.name)
