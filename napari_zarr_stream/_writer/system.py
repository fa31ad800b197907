"""The operating system's file calls, which all of the package makes here.

An open file is a descriptor, an `int`, which several threads may use: nothing here
moves its place. What fails is an `OSError`, for the caller to put into words. What
systems do each their way is in `unix` and `windows`; where Windows refuses what others
have open, it is asked again for a second.
"""

import contextlib
import errno
import hashlib
import mmap
import os
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

if sys.platform == "win32":
    from . import windows as own
else:
    from . import unix as own

T = TypeVar("T")
Bytes = bytes | memoryview

PARTIAL = re.compile(r"(?P<name>.+)\.[0-9a-f]{8}\.partial")
"""Name of a file or a folder on its way to its place."""

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
LONGEST_PATH = own.LONGEST_PATH

write_at = own.write_at
read_at = own.read_at
set_size = own.set_size
size_of = own.size_of
size_on_disk = own.size_on_disk
data_ranges = own.data_ranges
allow_holes = own.allow_holes
hide = own.hide
may_write = own.may_write
most_open_files = own.most_open_files
path_length = own.path_length
take_lease = own.take_lease
give_back_lease = own.give_back_lease


# ------------------------------------------------------------------------- open files


def create(path: Path) -> int:
    """Open an empty file to write, in the place of one that is there."""
    return _patiently(lambda: own.open_file(path, own.CREATE))


def create_new(path: Path) -> int:
    """As `create`; FileExistsError where something is there."""
    return own.open_file(path, own.CREATE_NEW)


def open_to_write(path: Path) -> int:
    """Open a file to write; it is made where none is there."""
    return _patiently(lambda: own.open_file(path, own.WRITE))


def open_to_change(path: Path) -> int:
    """Open a file that is there to write, if it is no link."""
    return _patiently(lambda: own.open_file(path, own.CHANGE))


def open_to_read(path: Path) -> int:
    """Open a file that is there to read, if it is no link."""
    return _patiently(lambda: own.open_file(path, own.READ))


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


# ----------------------------------------------------------------- files and folders


def read_file(path: Path, most: int) -> bytes:
    """Read the first `most` bytes of a file.

    Raises
    ------
    OSError
        Also where it is no file: a pipe would be waited for.
    """
    if not stat.S_ISREG(os.stat(own.full_path(path)).st_mode):
        raise OSError(errno.EINVAL, "it is no file")
    with closing(_patiently(lambda: own.open_file(path, own.READ_ANY))) as descriptor:
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
        _patiently(lambda: os.replace(own.full_path(source), own.full_path(target)))
    except OSError as error:
        if is_in_use(error) and os.path.isdir(own.full_path(target)):
            code = errno.EISDIR  # for which Windows has these words
            raise IsADirectoryError(code, os.strerror(code), str(target)) from error
        raise


def replace_synced(source: Path, target: Path) -> None:
    """As `replace`, with what is in it on the disk before it is seen there."""
    with closing(open_to_change(source)) as descriptor:
        sync(descriptor)
    replace(source, target)


def rename(source: Path, target: Path) -> None:
    """Give a file or a folder another name, which is free."""
    _patiently(lambda: os.rename(own.full_path(source), own.full_path(target)))


def exchange(one: Path, other: Path) -> None:
    """Have two names change places; both are there at any moment, where Linux can.

    Elsewhere `other` is away between two calls.
    """
    if own.exchange(one, other):
        return
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
        _patiently(lambda: os.unlink(own.full_path(path)))


def remove_folder(path: Path) -> None:
    """Take away an empty folder."""
    _patiently(lambda: os.rmdir(own.full_path(path)))


def remove_tree(folder: Path) -> None:
    """Take away a folder with all in it."""
    _patiently(lambda: shutil.rmtree(own.tree_path(folder)))


def make_folder(folder: Path, *, exist_ok: bool = False) -> None:
    """Make a folder in one that is there."""
    full = own.full_path(folder)
    try:
        os.mkdir(full)
    except OSError:  # systems have several words for one that is there
        if not (exist_ok and os.path.isdir(full)):
            raise


def make_folders(folder: Path) -> None:
    """Make a folder, if it is not there, and those that it is in."""
    Path(own.full_path(folder)).mkdir(parents=True, exist_ok=True)


def is_taken(path: Path) -> bool:
    """Whether something has that name, be it a link to nowhere."""
    return os.path.lexists(own.full_path(path))


def state_of(folder: Path) -> bytes:
    """What is another when anything in a folder was written: names, sizes, times."""
    state = hashlib.blake2b()
    for where, folders, files in os.walk(own.tree_path(folder)):
        folders.sort()
        # Not by ".": in paths of Windows that may be long it is a name.
        for path in [where, *(os.path.join(where, name) for name in sorted(files))]:
            info = os.lstat(path)
            said = info.st_ino, info.st_size, info.st_mtime_ns
            state.update(f"{path}\0{said}\0".encode(errors="surrogateescape"))
    return state.digest()


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, by name."""
    with os.scandir(own.full_path(folder)) as found:
        return sorted(found, key=lambda entry: entry.name)
