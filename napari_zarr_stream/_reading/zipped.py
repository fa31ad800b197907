"""Stores in one zip file (`.ozx`, RFC-9 of OME-NGFF), read where they lie in it.

A directory that says anything but where whole files are is refused before one is read.
"""

import struct
import threading
import zlib
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidStore

from .addresses import Objects
from .location import DOCUMENTS, Entry, Tree, Within

ENDINGS = (".ozx", ".zip")

MAX_FILES = 2**20
"""In one archive: what Python makes of the directory of so many takes 400 MB."""

MAX_DEPTH = 8
"""Folders with nothing but a folder in them, down to a store."""

_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_IN_DIRECTORY = struct.Struct("<4s6H3I5H2I")
_HEAD = struct.Struct("<4s5H3I2H")

STORED, DEFLATED = 0, 8

_BEYOND = 0xFFFFFFFF
"""Stands where a number takes 64 bits, and is in another place."""


class Bytes(Protocol):
    """What holds an archive."""

    name: str
    size: int
    is_far: bool

    def read(self, start: int, stop: int) -> bytes:
        """Bytes of it; fewer where it ends before."""


class FileBytes:
    """An archive that is a file of this computer."""

    is_far = False

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self.name = str(path)
        self.size = self._path.stat().st_size

    def read(self, start: int, stop: int) -> bytes:
        """See `Bytes.read`."""
        try:
            with system.closing(system.open_to_read(self._path)) as descriptor:
                return system.read_at(descriptor, stop - start, start)
        except OSError as error:
            raise InvalidStore(f"{self.name} cannot be read: {error}") from error


class ObjectBytes:
    """An archive at an address.

    Raises
    ------
    InvalidStore
        It is not there.
    """

    is_far = True

    def __init__(self, address: str) -> None:
        place, mark, query = address.partition("?")
        folder, _, self._key = place.rstrip("/").rpartition("/")
        self._objects = Objects(f"{folder}{mark}{query}")
        self.name = f"{self._objects.name}/{self._key}"
        size = self._objects.size_of(self._key)
        if size is None:
            raise InvalidStore(f"{self.name} is not there")
        self.size = size

    def read(self, start: int, stop: int) -> bytes:
        """See `Bytes.read`."""
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        data = self._objects.read(self._key, slice(start, stop), stop - start)
        if data is None:
            raise InvalidStore(f"{self.name} is not there any more")
        return data


@dataclass(frozen=True, slots=True)
class _File:
    """What a directory says of a file."""

    raw_name: bytes
    method: int
    crc: int
    stored: int
    size: int
    offset: int


class Zipped:
    """The files of a store in an archive.

    Parameters
    ----------
    source : Bytes

    Raises
    ------
    InvalidStore
        It is no archive, or one that no honest program writes.
    """

    def __init__(self, source: Bytes) -> None:
        self.name, self.is_far = source.name, source.is_far
        self._source = source
        self._begins: dict[str, int] = {}  # guarded by _lock
        self._lock = threading.Lock()
        start, listed = _directory_of(source)
        self._ends = [*sorted(file.offset for _, file in listed), start]
        self._refuse_overlaps(listed)
        # Of those of one name the last counts, as for all who read archives: zarr adds
        # a document anew for each change of it.
        self._files = dict(listed)
        self._folders = _folders_of(self._files)
        self._root = self._one_folder()

    def _refuse_overlaps(self, listed: list[tuple[str, _File]]) -> None:
        for name, file in listed:
            least = file.offset + _HEAD.size + len(file.raw_name) + file.stored
            if least > self._end_of(file):
                raise self._odd(f"{name!r} overlaps with what comes after it")

    def _end_of(self, file: _File) -> int:
        """Where the next one begins."""
        return int(self._ends[bisect_right(self._ends, file.offset)])

    def _one_folder(self) -> str:
        """Many archives have a store's folder in them, and nothing beside it."""
        at = ""
        while at.count("/") < MAX_DEPTH:
            there = self._folders.get(at.rstrip("/"), {})
            if there.keys() & set(DOCUMENTS):
                break
            seen = [name for name in there if not _is_of_a_system(name)]
            if len(seen) != 1 or not there[seen[0]]:
                break
            at += f"{seen[0]}/"
        else:
            return ""
        return at

    def _odd(self, why: str) -> InvalidStore:
        return InvalidStore(f"{self.name} is no archive that can be trusted: {why}")

    def entries(self, key: str) -> list[Entry] | None:
        """See `Files.entries`."""
        found = self._folders.get((self._root + key).strip("/"), {})
        return [Entry(name, is_folder) for name, is_folder in found.items()]

    def read(self, key: str, part: slice, most_bytes: int) -> bytes | None:
        """See `Files.read`."""
        name = self._root + key
        file = self._files.get(name)
        if file is None:
            return None
        start, stop, _ = part.indices(file.size)
        if max(stop - start, 0) > most_bytes:
            raise InvalidStore(
                f"{self.name}/{name} has {stop - start} bytes, and {most_bytes} at the "
                "most are what it should hold"
            )
        if file.method == STORED and (start, stop) != (0, file.size):
            begin = self._begin_of(name, file)
            return self._bytes(name, begin + start, begin + stop)
        return self._whole(name, file, most_bytes)[start:stop]

    def _whole(self, name: str, file: _File, most_bytes: int) -> bytes:
        if max(file.size, file.stored) > most_bytes:
            raise InvalidStore(
                f"{self.name}/{name} has {file.size} bytes, in {file.stored} of the "
                f"archive, and {most_bytes} at the most are what it should hold"
            )
        begin = self._begin_of(name, file)
        data = self._bytes(name, begin, begin + file.stored)
        if file.method == DEFLATED:
            data = self._unpacked(name, file, data)
        elif file.method != STORED:
            raise InvalidStore(
                f"{self.name}/{name} is compressed in a way ({file.method}) that is "
                "not read: unpack it, or zip it anew without compression"
            )
        if len(data) != file.size or zlib.crc32(data) != file.crc:
            raise InvalidStore(f"{self.name}/{name} is damaged: its checksum differs")
        return data

    def _unpacked(self, name: str, file: _File, data: bytes) -> bytes:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            return unpacking.decompress(data, file.size + 1)
        except zlib.error as error:
            raise InvalidStore(f"{self.name}/{name} is damaged: {error}") from error

    def _begin_of(self, name: str, file: _File) -> int:
        """Where the bytes of a file begin, if what stands before them agrees."""
        with self._lock:
            begin = self._begins.get(name)
        if begin is not None:
            return begin
        most = _HEAD.size + len(file.raw_name)
        head = self._source.read(file.offset, file.offset + most)
        if len(head) < most:
            raise self._odd(f"{name!r} lies behind its end")
        sign, _, _, method, _, _, _, _, _, names, extra = _HEAD.unpack_from(head)
        begin = file.offset + _HEAD.size + names + extra
        if (
            sign != b"PK\3\4"
            or method != file.method
            or head[_HEAD.size :] != file.raw_name
            or names != len(file.raw_name)
            or begin + file.stored > self._end_of(file)
        ):
            raise self._odd(f"its directory lies about {name!r}")
        with self._lock:
            self._begins[name] = begin
        return int(begin)

    def _bytes(self, name: str, start: int, stop: int) -> bytes:
        data = self._source.read(start, stop) if stop > start else b""
        if len(data) < stop - start:
            raise InvalidStore(f"{self.name}/{name} ends before its end")
        return data


def _is_of_a_system(name: str) -> bool:
    """Whether it is what macOS or Windows put beside what somebody packs."""
    return name.startswith(".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _directory_of(source: Bytes) -> tuple[int, list[tuple[str, _File]]]:
    """Where the directory begins, and the files that it names."""

    def odd(why: str) -> InvalidStore:
        return InvalidStore(f"{source.name} is no archive that can be trusted: {why}")

    tail_at = max(0, source.size - _END.size - 2**16)
    tail = source.read(tail_at, source.size)
    at = len(tail) - _END.size
    while (at := tail.rfind(b"PK\5\6", 0, at + 4)) >= 0:
        if len(tail) - at >= _END.size:
            end = _END.unpack_from(tail, at)
            if at + _END.size + end[7] == len(tail):
                break
        at -= 1
    if at < 0:
        raise InvalidStore(f"{source.name} is no zip file, or not all of one")
    _, disk, of_disk, _, count, size, start, _ = end
    end_at = tail_at + at
    locator_at = end_at - _LOCATOR.size
    if _BEYOND in (size, start) or count == 0xFFFF or _has_locator(tail, at):
        locator = source.read(max(0, locator_at), end_at)
        if len(locator) < _LOCATOR.size or locator[:4] != b"PK\6\7":
            raise odd("it says that it is long, and not how long")
        _, _, end_at, _ = _LOCATOR.unpack(locator)
        long = source.read(end_at, end_at + _END_64.size)
        if len(long) < _END_64.size or long[:4] != b"PK\6\6" or end_at > locator_at:
            raise odd("it says that it is long, and not how long")
        _, _, _, _, disk, of_disk, _, count, size, start = _END_64.unpack(long)
    if disk or of_disk:
        raise odd("it is one part of several")
    if start + size != end_at:
        raise odd("its directory is not where it says")
    if count > MAX_FILES or size > 2**10 * MAX_FILES:
        raise InvalidStore(
            f"{source.name} has {count} files, and {MAX_FILES} can be read of one "
            "archive: unpack it, or store it in shards"
        )
    directory = source.read(start, start + size)
    if len(directory) < size:
        raise odd("its directory is cut short")
    return start, _files_in(directory, count, start, odd)


def _has_locator(tail: bytes, at: int) -> bool:
    return tail[max(0, at - _LOCATOR.size) : at][:4] == b"PK\6\7"


def _files_in(
    directory: bytes, count: int, start: int, odd: "_Odd"
) -> list[tuple[str, _File]]:
    files: list[tuple[str, _File]] = []
    at = 0
    for _ in range(count):
        if len(directory) - at < _IN_DIRECTORY.size:
            raise odd("its directory is cut short")
        said = _IN_DIRECTORY.unpack_from(directory, at)
        sign, _, _, flags, method, _, _, crc, stored, size = said[:10]
        names, extras, comment, _, _, attributes, offset = said[10:]
        at += _IN_DIRECTORY.size
        raw = directory[at : at + names]
        extra = directory[at + names : at + names + extras]
        at += names + extras + comment
        if sign != b"PK\1\2" or at > len(directory):
            raise odd("its directory is damaged")
        name = _text_of(raw)
        size, stored, offset = _long(extra, size, stored, offset)
        if why := _why_not(name, flags, attributes >> 16):
            raise odd(f"{name!r} {why}")
        if name.endswith("/"):
            continue
        if method == STORED and size != stored:
            raise odd(f"{name!r} has two sizes")
        if offset + _HEAD.size + names + stored > start:
            raise odd(f"{name!r} lies behind its end")
        files.append((name, _File(raw, method, crc, stored, size, offset)))
    if at != len(directory):
        raise odd("its directory has more in it than it says")
    offsets = {file.offset for _, file in files}
    if len(offsets) < len(files):
        raise odd("two of its files lie at one place")
    return files


def _text_of(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp437")


def _long(extra: bytes, *numbers: int) -> tuple[int, ...]:
    """Numbers, of which those that take 64 bits are in the extra field."""
    wide = b""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            wide = extra[at + 4 : at + 4 + size]
        at += 4 + size
    found = []
    for value in numbers:
        if value == _BEYOND and len(wide) >= 8:
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        found.append(value)
    return tuple(found)


def _why_not(name: str, flags: int, mode: int) -> str:
    """What is wrong with a name and its kind; "" where nothing is."""
    parts = name.removesuffix("/").split("/")
    if not name or name.startswith("/") or "\\" in name or "\0" in name:
        return "is no name in an archive"
    if ".." in parts or "." in parts or "" in parts or ":" in parts[0]:
        return "leads out of it"
    if mode & 0o170000 not in (0, 0o100000, 0o040000):
        return "is a link or a device, no file"
    return "is encrypted" if flags & 1 else ""


def _folders_of(files: dict[str, _File]) -> dict[str, dict[str, bool]]:
    """What lies in each folder, and whether it is one."""
    folders: dict[str, dict[str, bool]] = {}
    for name in files:
        is_folder = False
        while name:
            folder, _, last = name.rpartition("/")
            known = folders.setdefault(folder, {})
            if last in known and is_folder:
                break
            known[last] = is_folder
            name, is_folder = folder, True
    return folders


class _Odd(Protocol):
    def __call__(self, why: str) -> InvalidStore: ...


def in_zip_file(path: Path) -> Within:
    """The root of a store in a zip file."""
    return Within(Tree(Zipped(FileBytes(path))))


def in_zip_at(address: str) -> Within:
    """The root of a store in a zip file at an address."""
    return Within(Tree(Zipped(ObjectBytes(address))))
