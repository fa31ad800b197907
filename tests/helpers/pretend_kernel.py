"""The calls of Windows that `_writer/windows.py` makes, done by Linux.

For `pretend_windows`. A handle is a descriptor. Files are those of NTFS: something that
is written far behind their other bytes has zeros put before it, unless they are sparse.
"""

import contextlib
import ctypes
import ctypes.wintypes
import errno
import importlib
import importlib.util
import os
import stat
import sys
import threading
from collections import Counter
from types import ModuleType, SimpleNamespace

import numpy  # noqa: F401 - for this system, before it is another
import pretend_windows as pretended

has_holes = True
"""Whether the disk is NTFS; FAT and exFAT know no sparse files."""

written: Counter[str] = Counter()
"""Bytes: "asked" for, and "zeros" that the disk adds."""

hidden: set[str] = set()
"""What an explorer does not show."""

_WINERROR = {
    errno.ENOENT: 2, errno.EEXIST: 80, errno.ENOSPC: 112, errno.EACCES: 5,
    errno.EISDIR: 5, errno.ENOTDIR: 3, errno.EROFS: 19, errno.EMFILE: 4,
    errno.EFBIG: 223, errno.ENAMETOOLONG: 206, errno.EBADF: 6, errno.ELOOP: 1920,
}  # fmt: skip

_CREATION = {1: os.O_CREAT | os.O_EXCL, 2: os.O_CREAT | os.O_TRUNC, 3: 0, 4: os.O_CREAT}
_WRITER = "napari_zarr_stream._writer"
_NO_LINK, _FOLDER = 0x00200000, 0x02000000
_INVALID = ctypes.c_void_p(-1).value
_GENERIC_WRITE = 0x40000000

_real = ModuleType("real")
_last = SimpleNamespace(error=0)
_writing = threading.Lock()
_sparse: set[tuple[int, int]] = set()
_valid: dict[tuple[int, int], int] = {}
"""How far a file was written: its *valid data length*."""


def _identity(descriptor):
    info = os.fstat(descriptor)
    return info.st_dev, info.st_ino


def _call(of):
    """A function of the kernel: false where it fails, for reasons that it keeps."""

    def call(*arguments):
        try:
            return of(*arguments)
        except OSError as error:
            known = getattr(error, "winerror", None)
            _last.error = known or _WINERROR.get(error.errno, 87)
            return _INVALID if of is _create else 0

    return call


def _create(text, access, share, security, how, flags, template):
    place = pretended.place_of(text)
    if flags & _FOLDER and os.path.isdir(place):
        if not os.access(place, os.W_OK):
            raise pretended.failure(pretended.DENIED, text)
        return _real.open(place, os.O_RDONLY)
    if how != 3:
        pretended.check_name(place)
    if os.path.isdir(place) and how != 1:
        raise pretended.failure(pretended.DENIED, text)
    # A file that is written is read as well: nobody is kept from it.
    mode = (os.O_RDWR if access & _GENERIC_WRITE else os.O_RDONLY) | _CREATION[how]
    if flags & _NO_LINK:
        mode |= _real.O_NOFOLLOW
    with pretended.opening(place):
        descriptor = _real.open(place, mode, 0o666)
    if how in (1, 2):
        _sparse.discard(_identity(descriptor))
        _valid[_identity(descriptor)] = 0
    return descriptor


def _close(handle):
    os.close(handle)
    return 1


def _status_call(of):
    """A function of the kernel that returns its failure: as facility 7 has it."""

    def call(handle, event, apc, context, done, address, size, place, key):
        try:
            done._obj.size = of(handle, address, size, place._obj.value)
        except OSError as error:
            code = getattr(error, "winerror", None) or _WINERROR.get(error.errno, 87)
            return (0xC0070000 | code) - 2**32
        return 0

    return call


def _write(handle, address, size, offset):
    identity = _identity(handle)
    data = (ctypes.c_char * size).from_address(address)
    # Nobody writes while zeros are put: they would be over what came meanwhile.
    with contextlib.nullcontext() if identity in _sparse else _writing:
        valid = _valid.get(identity, os.fstat(handle).st_size)
        if offset > valid and identity not in _sparse:
            written["zeros"] += offset - valid
            _real.pwrite(handle, bytes(offset - valid), valid)
        done = _real.pwrite(handle, data, offset)
        written["asked"] += done
        _valid[identity] = max(valid, offset + done)
    return done


def _read(handle, address, size, offset):
    data = _real.pread(handle, size, offset)
    ctypes.memmove(address, data, len(data))
    return len(data)


def _is_mapped(handle):
    path = os.readlink(f"/proc/self/fd/{handle}")
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return any(line.rstrip("\n").endswith(f" {path}") for line in maps)


def _set_information(handle, kind, end, size):
    assert (kind, size) == (6, 8), "only the end of a file is set"
    if end._obj.value < os.fstat(handle).st_size and _is_mapped(handle):
        pretended.refused["mapped"] += 1
        raise pretended.failure(1224)
    _real.ftruncate(handle, end._obj.value)
    identity = _identity(handle)
    _valid[identity] = min(_valid.get(identity, end._obj.value), end._obj.value)
    return 1


def _control(handle, code, *_):
    assert code == 0x900C4, "only FSCTL_SET_SPARSE is known"
    if not has_holes:
        raise pretended.failure(1)
    _sparse.add(_identity(handle))
    return 1


def _information(handle, kind, info, size):
    of_file = os.fstat(handle)
    if kind == 9:  # FILE_ATTRIBUTE_TAG_INFO
        info._obj.attributes = 0x400 if stat.S_ISLNK(of_file.st_mode) else 0
        return 1
    assert kind == 1, "and FILE_STANDARD_INFO"
    is_sparse = _identity(handle) in _sparse
    info._obj.allocated = of_file.st_blocks * 512 if is_sparse else of_file.st_size
    return 1


def _file_size(handle, size):
    size._obj.value = os.fstat(handle).st_size
    return 1


def _set_attributes(text, attributes):
    hidden.add(os.path.basename(pretended.place_of(text)))
    return 1


_KERNEL = SimpleNamespace(
    CreateFileW=_call(_create),
    NtWriteFile=_status_call(_write),
    NtReadFile=_status_call(_read),
    RtlNtStatusToDosError=lambda status: status & 0xFFFF,
    SetFileInformationByHandle=_call(_set_information),
    DeviceIoControl=_call(_control),
    GetFileInformationByHandleEx=_call(_information),
    GetFileSizeEx=_call(_file_size),
    SetFileAttributesW=_call(_set_attributes),
    CloseHandle=_call(_close),
    RtlAreLongPathsEnabled=lambda: False,
)


def _failure(code, words, path=None, number=0):
    """`OSError` as Python for Windows makes it: the number counts, not the code."""
    return pretended.failure(number, path, words)


@contextlib.contextmanager
def _without_their_package():
    """While two modules are imported alone: all others are those of this system."""
    package, _, _ = _WRITER.partition(".")
    folder = importlib.util.find_spec(package).submodule_search_locations[0]
    for name, place in ((package, folder), (_WRITER, os.path.join(folder, "_writer"))):
        sys.modules[name] = ModuleType(name)
        sys.modules[name].__path__ = [place]
    try:
        yield
    finally:
        del sys.modules[package], sys.modules[_WRITER]


@contextlib.contextmanager
def _as_windows():
    """While our module for Windows is imported; libraries would believe it, too."""
    msvcrt = ModuleType("msvcrt")
    msvcrt.open_osfhandle = lambda handle, flags: handle
    msvcrt.get_osfhandle = lambda descriptor: descriptor
    platform, sys.platform = sys.platform, "win32"
    sys.modules["msvcrt"], ctypes.WinDLL = msvcrt, lambda name, **options: _KERNEL
    try:
        yield
    finally:
        sys.platform = platform
        del sys.modules["msvcrt"], ctypes.WinDLL


def install(real: ModuleType) -> None:
    """Have `_writer/system.py` be that of Windows, on this kernel."""
    global _real
    _real = real
    os.O_BINARY = os.O_NOINHERIT = 0
    ctypes.get_last_error = lambda: _last.error
    ctypes.FormatError = lambda code: f"error {code} of Windows"
    with _as_windows(), _without_their_package():
        windows = importlib.import_module(f"{_WRITER}.windows")
        system = importlib.import_module(f"{_WRITER}.system")
    windows.OSError = _failure
    package = importlib.import_module(_WRITER)
    package.windows, package.system = windows, system
