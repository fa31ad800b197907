"""What a recording writes, told to who brings it away, and how far that has come.

Files are told by name only, when they are written to their end: one that grows is not
copied.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple, Protocol

from napari_zarr_stream._writer.codecs import Encoded
from napari_zarr_stream._writer.frame_log import FRAME_LOG
from napari_zarr_stream._writer.store import Store, StoredFile

from .files import is_document


class Follower(Protocol):
    """Who is told; from any thread, and it takes no time."""

    def began(self, key: str) -> None:
        """A file is about to be written."""

    def finished(self, key: str, size: int) -> None:
        """A file of so many bytes is written to its end."""

    def told(self, key: str, document: Mapping[str, Any]) -> None:
        """Readers are told how far an array goes."""


class FollowedFile:
    """A `StoredFile` whose end is told."""

    def __init__(self, file: StoredFile, key: str, follower: Follower) -> None:
        self._file = file
        self._key = key
        self._follower = follower
        self._end = 0
        self._is_told = False

    def write_at(self, offset: int, *pieces: Encoded) -> None:
        """See `StoredFile.write_at`."""
        self._file.write_at(offset, *pieces)
        self._end = max(self._end, offset + sum(map(len, pieces)))

    def lengthen(self, size: int) -> None:
        """See `StoredFile.lengthen`."""
        self._file.lengthen(size)
        self._end = max(self._end, size)

    def end_with(self, offset: int, data: bytes) -> int:
        """See `StoredFile.end_with`."""
        self._end = self._file.end_with(offset, data)
        return self._end

    def appear(self) -> None:
        """See `StoredFile.appear`."""
        self._file.appear()

    def close(self) -> None:
        """See `StoredFile.close`: no more is written."""
        self._file.close()
        if not self._is_told:
            self._is_told = True
            self._follower.finished(self._key, self._end)


class FollowedStore:
    """A store of which somebody follows what is written.

    Parameters
    ----------
    whole : Store
        Who has it publishes it.
    follower : Follower
    """

    def __init__(self, whole: Store, follower: Follower) -> None:
        self._whole = whole
        self._follower = follower

    @property
    def has_holes(self) -> bool:
        """See `Store.has_holes`."""
        return self._whole.has_holes

    def publish(self) -> None:
        """See `Store.publish`."""
        self._whole.publish()

    def discard(self) -> None:
        """See `Store.discard`."""
        self._whole.discard()

    def close(self) -> None:
        """See `Store.close`."""
        self._whole.close()

    def write_json(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Store.write_json`."""
        self._whole.write_json(key, document)
        self._follower.told(key, document)

    def write(self, key: str, data: Encoded) -> None:
        """See `Store.write`."""
        self._follower.began(key)
        self._whole.write(key, data)
        self._follower.finished(key, len(data))

    def replace(self, key: str, data: Encoded) -> None:
        """See `Store.replace`."""
        self._follower.began(key)
        self._whole.replace(key, data)
        self._follower.finished(key, len(data))

    def write_folder(
        self, key: str, files: Iterable[tuple[str, Encoded]], *, appears: bool = False
    ) -> None:
        """See `Store.write_folder`."""
        sizes: dict[str, int] = {}

        def followed() -> Iterator[tuple[str, Encoded]]:
            for name, data in files:
                sizes[f"{key}/{name}"] = len(data)
                self._follower.began(f"{key}/{name}")
                yield name, data

        self._whole.write_folder(key, followed(), appears=appears)
        for each, size in sizes.items():
            self._follower.finished(each, size)

    def create_file(
        self, key: str, keep_open: bool, *, appears: bool = False
    ) -> StoredFile:
        """See `Store.create_file`."""
        self._follower.began(key)
        file = self._whole.create_file(key, keep_open, appears=appears)
        return FollowedFile(file, key, self._follower)


MOST_PLACES = 50_000
"""Steps of levels that wait at once: beyond, as after a night without network, nothing
is told of levels until all has come."""


class _Level(NamedTuple):
    path: str
    per_file: int  # steps along the first axis
    prefix: str  # before the number of the first axis in a key
    waiting: Counter[int]  # files that are not there, by that number


class Levels:
    """How far levels go at the other place, and the documents that say so there.

    Of arrays that grow along a first axis; of others a document follows in the end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # What follows is guarded by _lock.
        self._levels: dict[str, _Level] = {}
        self._documents: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self._sent: dict[str, int] = {}
        self._places = 0
        self.is_frozen = False
        """So much waits that it is not counted any more."""

    def told(self, key: str, document: Mapping[str, Any]) -> None:
        """See `Follower.told`."""
        path = PurePosixPath(key)
        if FRAME_LOG in path.parts or not _grows(document):
            return
        array = str(path.parent)
        with self._lock:
            if array not in self._levels:
                per_file, prefix = _files_of(document)
                level = _Level(array, per_file, f"{array}/{prefix}", Counter())
                self._levels[array] = level
            self._documents[array] = key, document

    def began(self, key: str) -> None:
        """A file will be written, and is not there yet."""
        with self._lock:
            place = self._place(key)
            if place is None or self.is_frozen:
                return
            level, number = place
            self._places += number not in level.waiting
            level.waiting[number] += 1
            self.is_frozen = self._places > MOST_PLACES

    def arrived(self, key: str) -> None:
        """A file is there."""
        with self._lock:
            place = self._place(key)
            if place is None:
                return
            level, number = place
            level.waiting[number] -= 1
            if level.waiting[number] <= 0:
                del level.waiting[number]
                self._places -= 1

    def _place(self, key: str) -> tuple[_Level, int] | None:
        """Caller must hold `_lock`."""
        folder = key
        while folder := folder.rpartition("/")[0]:
            level = self._levels.get(folder)
            if level is not None and key.startswith(level.prefix):
                number = key[len(level.prefix) :].partition("/")[0]
                return (level, int(number)) if number.isdecimal() else None
        return None

    def due(self) -> list[tuple[str, bytes, int]]:
        """Documents that can say more than they do there: key, bytes, steps.

        In the order in which they are to be sent: level 0 last, which promises others.
        """
        with self._lock:
            if self.is_frozen:
                return []
            ready = []
            for image in {path.rpartition("/")[0] for path in self._levels}:
                ready += self._due_of(image)
        return ready

    def _due_of(self, image: str) -> list[tuple[str, bytes, int]]:
        """Of the levels of one image. Caller must hold `_lock`."""
        mine = [path for path in self._documents if path.rpartition("/")[0] == image]
        shapes = {path: self._documents[path][1]["shape"] for path in mine}
        if len({shape[0] for shape in shapes.values()}) > 1:
            return []  # halved along the first axis, or just being told of
        steps = min(min(self._complete(p), shape[0]) for p, shape in shapes.items())
        ready = []
        for path in sorted(mine, key=_number, reverse=True):
            if self._sent.get(path, -1) < steps:
                key, document = self._documents[path]
                cut = {**document, "shape": [steps, *document["shape"][1:]]}
                ready.append((key, json.dumps(cut, indent=2).encode(), steps))
        return ready

    def _complete(self, path: str) -> int:
        level = self._levels[path]
        first = min(level.waiting, default=None)
        return 2**62 if first is None else first * level.per_file

    def has(self, key: str) -> bool:
        """Whether a document is one of these, which say how far they go."""
        with self._lock:
            return key.rpartition("/")[0] in self._levels

    def sent(self, key: str, steps: int) -> None:
        """A document says so there."""
        with self._lock:
            self._sent[key.rpartition("/")[0]] = steps

    def steps(self, image: str) -> int:
        """Of the image at a path ("" for the only one), how many steps are there."""
        path = f"{image}/0" if image else "0"
        with self._lock:
            return max(0, self._sent.get(path, 0))


def _number(path: str) -> int:
    name = path.rpartition("/")[2]
    return int(name) if name.isdecimal() else 0


def _grows(document: Mapping[str, Any]) -> bool:
    return len(document.get("shape", ())) > 2


def _files_of(document: Mapping[str, Any]) -> tuple[int, str]:
    """Steps of a file along the first axis, and what is before its number in a key."""
    if "chunks" in document:  # Zarr v2
        return int(document["chunks"][0]), ""
    return int(document["chunk_grid"]["configuration"]["chunk_shape"][0]), "c/"


def is_followed(key: str) -> bool:
    """Whether a file is sent when it is finished: others change until the end."""
    return not is_document(key) and f"{FRAME_LOG}/" not in key
