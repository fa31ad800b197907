"""Linux as Windows would be: `pytest -p pretend_windows`; to be imported first.

What Windows has not is taken away, what it refuses is refused, with its own numbers of
errors, below the folder for temporary files, where tests write:

* `os` has no pread, preadv, pwrite, pwritev, SEEK_DATA, SEEK_HOLE, O_NOFOLLOW;
  `ftruncate` fills with zeros; there are no leases
* what anybody in this process has open is not replaced, renamed or deleted, nor is a
  folder that it lies in; nothing is opened while it is replaced
* names of devices, and those that end in a dot or a space, are refused; names that
  differ in case only are the same; so are long paths refused, except as `\\\\?\\`

Under it `_writer/windows.py`, ours, does its calls of `pretend_kernel`. It is stricter
than Windows, which lets some of it happen where all who have a file open allow it.
"""

import builtins
import errno
import io
import os
import re
import shutil
import sys
import tempfile
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from types import ModuleType

import pytest

LONGEST, LONGEST_FOLDER = 259, 247
PREFIX = "\\\\?\\"

NOT_FOUND, NO_PATH, DENIED, IN_USE, EXISTS, BAD_NAME = 2, 3, 5, 32, 183, 123

ERRNO = {
    2: errno.ENOENT, 3: errno.ENOENT, 4: errno.EMFILE, 5: errno.EACCES,
    19: errno.EACCES, 32: errno.EACCES, 33: errno.EACCES, 80: errno.EEXIST,
    112: errno.ENOSPC, 145: errno.ENOTEMPTY, 183: errno.EEXIST, 206: errno.ENOENT,
    267: errno.ENOTDIR,
}  # fmt: skip
"""As Python has them of Windows' numbers; others are EINVAL."""

refused: Counter[str] = Counter()
"""What was refused, and how often."""

_DEVICE = re.compile(r"(con|prn|aux|nul|(com|lpt)[1-9]) *(\..*)?", re.IGNORECASE)
_TEMPORARY = os.path.realpath(tempfile.gettempdir())
_real = ModuleType("real")
"""The calls of the system as they were."""

_tests_have_ended = False

_moving: set[str] = set()
"""What is replaced, renamed or deleted just now; guarded by `_looking`."""

_looking = threading.RLock()


def failure(number: int, path: object = None, words: str = "") -> OSError:
    """What Python raises for an error of Windows."""
    code = ERRNO.get(number, errno.EINVAL)
    said = words or f"[WinError {number}]"
    error = OSError(code, said, None if path is None else str(path))
    error.winerror = number
    return error


def is_ours(path: object) -> bool:
    """Whether it is a path of a test."""
    if (
        _tests_have_ended
        or isinstance(path, int)
        or not isinstance(path, str | os.PathLike)
    ):
        return False
    return plain(path).startswith(_TEMPORARY + os.sep)


def plain(path: "str | os.PathLike[str]") -> str:
    """The absolute path, without what Windows wants before a long one."""
    return os.path.abspath(os.fspath(path).removeprefix(PREFIX))


def place_of(path: "str | os.PathLike[str]", *, is_folder: bool = False) -> str:
    """Where Windows finds a path: names count in any case, long ones are not found."""
    here = plain(path)
    most = LONGEST_FOLDER if is_folder else LONGEST
    if len(here) > most and not os.fspath(path).startswith(PREFIX):
        refused["long"] += 1
        raise failure(206, path)
    return _in_any_case(here)


def _in_any_case(path: str) -> str:
    try:
        _real.lstat(path)
    except OSError:
        folder, name = os.path.split(path)
        if name and folder.startswith(_TEMPORARY):
            folder = _in_any_case(folder)
            try:
                for other in _real.listdir(folder):
                    if other.casefold() == name.casefold():
                        return os.path.join(folder, other)
            except OSError:
                pass  # then nothing is there
            return os.path.join(folder, name)
    return path


def check_name(path: str) -> None:
    """Refuse a name that Windows has for itself."""
    name = os.path.basename(path)
    if (
        _DEVICE.fullmatch(name)
        or name != name.rstrip(" .")
        or set(name) & set('<>:"|?*')
    ):
        refused["name"] += 1
        raise failure(BAD_NAME, path)


def _open_files() -> set[str]:
    found = set()
    for descriptor in _real.listdir("/proc/self/fd"):
        with suppress(OSError):  # closed meanwhile
            found.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


@contextmanager
def moving(call: str, *paths: str):
    """Nobody opens what is moved; refused where it is open, or what is in it."""
    places = {
        os.path.join(os.path.realpath(folder), name)
        for folder, name in map(os.path.split, paths)
    }
    with _looking:
        for other in _open_files():
            for place in places:
                if other == place or other.startswith(place + os.sep):
                    refused[call] += 1
                    raise failure(IN_USE if call == "delete" else DENIED, place)
        _moving.update(places)
    try:
        yield
    finally:
        with _looking:
            _moving.difference_update(places)


@contextmanager
def opening(path: str):
    """Refused while it is replaced."""
    with _looking:
        if os.path.realpath(path) in _moving:
            refused["open"] += 1
            raise failure(DENIED, path)
        yield


def _open(path, flags, mode=0o777, *, dir_fd=None):
    if dir_fd is not None or not is_ours(path):
        return _real.open(path, flags, mode, dir_fd=dir_fd)
    here = place_of(path)
    if flags & os.O_CREAT:
        check_name(here)
    with opening(here):
        return _real.open(here, flags, mode)


def _open_file(file, mode="r", *more, opener=None, **options):
    if opener is not None or not is_ours(file):
        return _real.open_file(file, mode, *more, opener=opener, **options)
    try:
        here = place_of(file)
        if set(mode) & set("wax"):
            check_name(here)
        with opening(here):
            return _real.open_file(here, mode, *more, **options)
    except OSError as error:
        error.winerror = None  # it goes through the C runtime, which knows none
        raise


def _replace(source, target, **folders):
    if folders or not is_ours(target):
        return _real.replace(source, target, **folders)
    source, target = place_of(source), place_of(target)
    check_name(target)
    with moving("replace", source, target):
        return _real.replace(source, target)


def _rename(source, target, **folders):
    if folders or not is_ours(target):
        return _real.rename(source, target, **folders)
    to = plain(target)
    source, there = place_of(source), place_of(target)
    check_name(to)
    if there != source and os.path.lexists(there):
        raise failure(EXISTS, target)
    with moving("rename", source):
        return _real.rename(source, to)


def _unlink(path, *, dir_fd=None):
    if dir_fd is not None or not is_ours(path):
        return _real.unlink(path, dir_fd=dir_fd)
    here = place_of(path)
    with moving("delete", here):
        return _real.unlink(here)


def _rmdir(path, *, dir_fd=None):
    if dir_fd is not None or not is_ours(path):
        return _real.rmdir(path, dir_fd=dir_fd)
    here = place_of(path)
    with moving("delete", here):
        return _real.rmdir(here)


def _mkdir(path, mode=0o777, *, dir_fd=None):
    if dir_fd is not None or not is_ours(path):
        return _real.mkdir(path, mode, dir_fd=dir_fd)
    here = place_of(path, is_folder=True)
    check_name(here)
    return _real.mkdir(here, mode)


def _ftruncate(descriptor, size):
    """As the C runtime does it."""
    here = os.fstat(descriptor).st_size
    if size > here:
        refused["zeros"] += size - here
        _real.pwrite(descriptor, bytes(size - here), here)
    _real.ftruncate(descriptor, size)


def _looks(real):
    """A call that only looks, at what Windows finds."""

    def look(path=".", *more, **options):
        if options.get("dir_fd") is not None or not is_ours(path):
            return real(path, *more, **options)
        return real(place_of(path), *more, **options)

    return look


class _Entry:
    """One of a folder that was named as long paths are: so is its own path."""

    def __init__(self, entry):
        self._entry = entry
        self.path = PREFIX + entry.path

    def __fspath__(self):
        return self.path

    def __getattr__(self, name):
        return getattr(self._entry, name)


class _Entries:
    """What `os.scandir` gives."""

    def __init__(self, found):
        self._found = found
        self.close = found.close

    def __iter__(self):
        return self

    def __next__(self):
        return _Entry(next(self._found))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _scandir(path="."):
    if not is_ours(path):
        return _real.scandir(path)
    found = _real.scandir(place_of(path))
    return _Entries(found) if os.fspath(path).startswith(PREFIX) else found


_TAKEN_AWAY = (
    "pread", "preadv", "pwrite", "pwritev", "SEEK_DATA", "SEEK_HOLE", "O_NOFOLLOW",
)  # fmt: skip


def install() -> None:
    """Be Windows from now on; the package must not have been imported."""
    assert "napari_zarr_stream" not in sys.modules
    for name in (
        "open", "replace", "rename", "unlink", "rmdir", "mkdir", "ftruncate", "stat",
        "lstat", "listdir", "scandir", *_TAKEN_AWAY,
    ):  # fmt: skip
        setattr(_real, name, getattr(os, name))
    _real.open_file = open
    for name in _TAKEN_AWAY:
        delattr(os, name)
    os.open, os.ftruncate, os.scandir = _open, _ftruncate, _scandir
    os.replace, os.rename, os.mkdir, os.rmdir = _replace, _rename, _mkdir, _rmdir
    os.unlink = os.remove = _unlink
    os.stat, os.lstat = _looks(_real.stat), _looks(_real.lstat)
    os.listdir = _looks(_real.listdir)
    builtins.open = io.open = _open_file
    shutil._use_fd_functions = False

    import pretend_kernel

    pretend_kernel.install(_real)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests():
    """Before anything of the project is imported; in each process of xdist."""
    install()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish():
    """Before pytest deletes the folders of earlier runs, which were of Linux."""
    global _tests_have_ended
    _tests_have_ended = True
