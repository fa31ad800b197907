"""What Windows has instead of POSIX's file calls: through its own API, for `system`.

Handles are synchronous: a call with an offset reads and writes there and nowhere else,
whoever uses the handle as well. ctypes releases the GIL meanwhile.
"""

import ctypes
import msvcrt
import os
import sys
from collections.abc import Iterator, Sequence
from ctypes import wintypes
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

assert sys.platform == "win32"  # what follows is there on Windows only

_READ, _WRITE = 0x80000000, 0x40000000
_CREATE_NEW, _CREATE_ALWAYS, _OPEN_EXISTING, _OPEN_ALWAYS = 1, 2, 3, 4

# The access that is asked for, what is to be there, and whether a link is followed.
CREATE = _WRITE, _CREATE_ALWAYS, True
CREATE_NEW = _WRITE, _CREATE_NEW, True
WRITE = _WRITE, _OPEN_ALWAYS, True
CHANGE = _WRITE, _OPEN_EXISTING, False
READ = _READ, _OPEN_EXISTING, False
READ_ANY = _READ, _OPEN_EXISTING, True

_SHARE_ALL = 0x7
"""Others may read, write, rename and delete what is open here."""

_NO_LINK = 0x00200000  # FILE_FLAG_OPEN_REPARSE_POINT
_REPARSE_POINT = 0x400
_SET_SPARSE = 0x900C4
_STANDARD_INFO = 1
_ATTRIBUTE_TAG_INFO = 9
_HIDDEN = 0x2
_ADD_FILE = 0x2  # of a folder
_BACKUP_SEMANTICS = 0x02000000  # folders are opened so
_END_OF_FILE_INFO = 6
_HANDLE_EOF = 38
_MOST_AT_ONCE = 2**30
_JOINED = 2**16
"""Bytes that are copied to be written by one call: two calls take longer than that."""

_Memory = npt.NDArray[np.uint8]

_LONG = 240
"""Longer paths need another form: those of folders may have 248 characters."""

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.CreateFileW.restype = wintypes.HANDLE
_kernel.CreateFileW.argtypes = [
    wintypes.LPCWSTR, wintypes.DWORD, wintypes.DWORD, ctypes.c_void_p,
    wintypes.DWORD, wintypes.DWORD, wintypes.HANDLE,
]  # fmt: skip
_kernel.DeviceIoControl.argtypes = [
    wintypes.HANDLE, wintypes.DWORD, ctypes.c_void_p, wintypes.DWORD,
    ctypes.c_void_p, wintypes.DWORD, ctypes.c_void_p, ctypes.c_void_p,
]  # fmt: skip

_nt = ctypes.WinDLL("ntdll")
# What ReadFile and WriteFile call as well; but those, given an offset, also tell of it
# who waits for completions. Wine asks another process for that: half of a call's time.
for _call in (_nt.NtReadFile, _nt.NtWriteFile):
    _call.argtypes = [
        wintypes.HANDLE, wintypes.HANDLE, ctypes.c_void_p, ctypes.c_void_p,
        ctypes.c_void_p, ctypes.c_void_p, wintypes.ULONG, ctypes.c_void_p,
        ctypes.c_void_p,
    ]  # fmt: skip
    _call.restype = wintypes.LONG  # less than 0 where it fails
_nt.RtlNtStatusToDosError.argtypes = [wintypes.LONG]
_nt.RtlNtStatusToDosError.restype = wintypes.ULONG

for _call in (
    _kernel.SetFileInformationByHandle, _kernel.GetFileInformationByHandleEx
):  # fmt: skip
    _call.argtypes = [
        wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD,
    ]  # fmt: skip
_kernel.GetFileSizeEx.argtypes = [wintypes.HANDLE, ctypes.c_void_p]
_kernel.SetFileAttributesW.argtypes = [wintypes.LPCWSTR, wintypes.DWORD]
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]


def _takes_long_paths() -> bool:
    """Whether all programs here may; those before Windows 10 know no such switch."""
    switch = getattr(_nt, "RtlAreLongPathsEnabled", None)
    return switch is None or bool(switch() & 0xFF)


LONGEST_PATH = 32_766 if _takes_long_paths() else 259
"""Longer ones could be written here, but readers could not open them."""


class _Done(ctypes.Structure):
    _fields_ = (("status", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _AttributeTagInfo(ctypes.Structure):
    _fields_ = (("attributes", wintypes.DWORD), ("tag", wintypes.DWORD))


class _StandardInfo(ctypes.Structure):
    _fields_ = (
        ("allocated", ctypes.c_int64),
        ("end_of_file", ctypes.c_int64),
        ("names", wintypes.DWORD),
        ("is_going", wintypes.BOOLEAN),
        ("is_folder", wintypes.BOOLEAN),
    )


def _error(path: str | None = None) -> OSError:
    return _error_of(ctypes.get_last_error(), path)


def _error_of(code: int, path: str | None = None) -> OSError:
    return OSError(0, ctypes.FormatError(code), path, code)


def full_path(path: Path) -> str:
    """The same path, in a form that may be as long as the disk takes."""
    text = os.path.abspath(path)
    return text if len(text) < _LONG else tree_path(path)


def tree_path(path: Path) -> str:
    """The same of a folder in which paths may be long."""
    text = os.path.abspath(path)
    if text.startswith("\\\\?\\"):
        return text
    return "\\\\?\\UNC" + text[1:] if text.startswith("\\\\") else "\\\\?\\" + text


def open_file(path: Path, way: tuple[int, int, bool]) -> int:
    """A descriptor of a file that others may still read, rename and delete."""
    access, how, follow = way
    text = full_path(path)
    flags = 0x80 if follow else 0x80 | _NO_LINK
    handle = _kernel.CreateFileW(text, access, _SHARE_ALL, None, how, flags, None)
    if handle == wintypes.HANDLE(-1).value:
        raise _error(text)
    mode = os.O_RDONLY if access == _READ else os.O_RDWR
    descriptor = msvcrt.open_osfhandle(handle, mode | os.O_BINARY | os.O_NOINHERIT)
    if not follow and _is_link(handle):
        os.close(descriptor)
        raise OSError(0, "it is a link", text, 1920)
    return descriptor


def _is_link(handle: int) -> bool:
    """Whether it is no file itself. `os.fstat` would ask for ten things besides."""
    said = _AttributeTagInfo()
    return bool(
        _kernel.GetFileInformationByHandleEx(
            handle, _ATTRIBUTE_TAG_INFO, ctypes.byref(said), ctypes.sizeof(said)
        )
        and said.attributes & _REPARSE_POINT
    )


def size_of(descriptor: int) -> int:
    """See `unix.size_of`: one question, where `os.fstat` asks many."""
    size = ctypes.c_int64()
    handle = msvcrt.get_osfhandle(descriptor)
    if not _kernel.GetFileSizeEx(handle, ctypes.byref(size)):
        raise _error()
    return size.value


def _joined(pieces: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes in fewer pieces, where they are small."""
    small: list[bytes | memoryview] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if small and size > _JOINED:
            yield small[0] if len(small) == 1 else b"".join(small)
            small, size = [], len(piece)
        small.append(piece)
    if small:
        yield small[0] if len(small) == 1 else b"".join(small)


def _transfer(call: Any, descriptor: int, data: _Memory, offset: int) -> int:
    """Read into memory, or write it, at a place of a file: how many bytes that were.

    None are read behind the end.
    """
    done, place = _Done(), ctypes.c_int64(offset)
    status = call(
        msvcrt.get_osfhandle(descriptor), None, None, None, ctypes.byref(done),
        data.ctypes.data, min(len(data), _MOST_AT_ONCE), ctypes.byref(place), None,
    )  # fmt: skip
    if status < 0:
        code = _nt.RtlNtStatusToDosError(status)
        if code == _HANDLE_EOF:
            return 0
        raise _error_of(code)
    return int(done.size)


def write_at(
    descriptor: int, offset: int, pieces: Sequence[bytes | memoryview]
) -> None:
    """See `unix.write_at`."""
    for piece in _joined(pieces):
        data = np.frombuffer(piece, np.uint8)
        while len(data):
            written = _transfer(_nt.NtWriteFile, descriptor, data, offset)
            if not written:
                raise OSError(
                    0, "the disk takes nothing, and does not say why", None, 29
                )
            data, offset = data[written:], offset + written


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """See `unix.read_at`."""
    size = max(0, min(size, size_of(descriptor) - offset))
    data = np.empty(size, np.uint8)
    there = 0
    while there < size:
        read = _transfer(_nt.NtReadFile, descriptor, data[there:], offset + there)
        if not read:
            break
        there += read
    return data[:there].tobytes()


def set_size(descriptor: int, size: int) -> None:
    """See `unix.set_size`: the C runtime would write zeros, 4 KiB at a time."""
    end = ctypes.c_int64(size)
    if not _kernel.SetFileInformationByHandle(
        msvcrt.get_osfhandle(descriptor), _END_OF_FILE_INFO, ctypes.byref(end), 8
    ):
        raise _error()


def allow_holes(descriptor: int) -> bool:
    """Have what is never written take no space; whether the disk can do that."""
    done = wintypes.DWORD()
    handle = msvcrt.get_osfhandle(descriptor)
    return bool(
        _kernel.DeviceIoControl(
            handle, _SET_SPARSE, None, 0, None, 0, ctypes.byref(done), None
        )
    )


def path_length(path: Path) -> int:
    """See `unix.path_length`: in units of UTF-16."""
    return len(os.path.abspath(path).encode("utf-16-le", "surrogatepass")) // 2


def data_ranges(descriptor: int) -> Iterator[tuple[int, int]]:
    """See `unix.data_ranges`: all of it."""
    yield 0, size_of(descriptor)


def hide(path: Path) -> None:
    """See `unix.hide`: a dot before a name hides nothing in an explorer."""
    if not _kernel.SetFileAttributesW(full_path(path), _HIDDEN):
        raise _error(str(path))


def may_write(folder: Path) -> bool:
    """See `unix.may_write`: `os.access` looks at no rights, and says yes."""
    access, flags = _ADD_FILE, _BACKUP_SEMANTICS
    handle = _kernel.CreateFileW(
        full_path(folder), access, _SHARE_ALL, None, _OPEN_EXISTING, flags, None
    )
    if handle == wintypes.HANDLE(-1).value:
        return False
    _kernel.CloseHandle(handle)
    return True


def size_on_disk(descriptor: int) -> int:
    """See `unix.size_on_disk`."""
    said = _StandardInfo()
    if not _kernel.GetFileInformationByHandleEx(
        msvcrt.get_osfhandle(descriptor), _STANDARD_INFO,
        ctypes.byref(said), ctypes.sizeof(said),
    ):  # fmt: skip
        raise _error()
    return int(said.allocated)


def most_open_files() -> int:
    """How many files the C runtime knows at once."""
    return 8192


def exchange(one: Path, other: Path) -> bool:
    """See `unix.exchange`: it cannot be."""
    return False


def take_lease(descriptor: int) -> bool | None:
    """See `unix.take_lease`: there are none."""
    return False


def give_back_lease(descriptor: int) -> None:
    """Nothing was lent."""
