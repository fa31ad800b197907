"""A store whose writer died -> a store that opens, with all that can be brought back.

Knows stores of this package only: their record says how they were laid out. `examine`
only reads. `repair` puts new files in the place of old ones, each as a whole, and only
then tells readers; the one exception is a shard, whose new index is put between its
chunks and the old one before the file is cut there. So it may be killed at any moment
and run again.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.array import LevelArray
from napari_zarr_stream._writer.codecs import codec_of, encode_shard_index
from napari_zarr_stream._writer.downsample import TileHalver
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    InvalidStore,
    WriteFailed,
)
from napari_zarr_stream._writer.lock import Holder, holder_of
from napari_zarr_stream._writer.ngff import Document, serializer_of
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import StorageProperties
from napari_zarr_stream._writer.record import (
    RECORD_KEY,
    FinishReason,
    RecordKey,
    is_left_open,
    now,
    planned,
)
from napari_zarr_stream._writer.slot import Slot
from napari_zarr_stream._writer.store import read_json
from napari_zarr_stream._writer.system import PARTIAL

from .existing_store import ExistingStore
from .level import CACHE_BYTES, Found, Level, Need

MAX_CHUNK_BYTES = 2**36
"""Raw chunks have no limit of their own, but nobody writes one of 64 GiB."""

MAX_PARTS = 2**20
"""Chunks of a shard, or frames of a chunk."""

MAX_OWN_DOCUMENT_BYTES = 2 * 2**20
"""A document that we write holds channels at the most, thousands of them."""

DOCUMENTS = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup"})

Run = tuple[int, int]
"""Steps along the first axis: first, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a store that is not as it should be.

    Attributes
    ----------
    where : str
        A path below the store, or beside it.
    problem : str
    remedy : str
        What `repair` does about it; empty where it leaves it.
    is_loss : bool
        Pixels that readers should find are gone for good.
    """

    where: str
    problem: str
    remedy: str = ""
    is_loss: bool = False

    def __str__(self) -> str:
        then = f": {self.remedy}" if self.remedy else ""
        return f"{self.where}: {self.problem}{then}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in a store.

    Attributes
    ----------
    path : Path
    holder : Holder or None
        Who is writing it. Then nothing else is said.
    findings : tuple of Finding
    planes_before, planes_after : int
        That readers find, and that they find after repair.
    """

    path: Path
    holder: Holder | None = None
    findings: tuple[Finding, ...] = ()
    planes_before: int = 0
    planes_after: int = 0

    @property
    def can_be_repaired(self) -> bool:
        """Whether `repair` has something to do."""
        return any(finding.remedy for finding in self.findings)

    @property
    def has_losses(self) -> bool:
        """Whether pixels are gone for good."""
        return any(finding.is_loss for finding in self.findings)


def examine(path: Path) -> Report:
    """What is wrong with a store; changes nothing.

    Raises
    ------
    InvalidStore
        No store of this package, or one that its own record contradicts.
    """
    place = _resolved(path)
    if holder := holder_of(place):
        return Report(place, holder)
    return _examined(place).report()


def repair(path: Path) -> Report:
    """Bring back what can be brought back; returns what was found and done.

    Raises
    ------
    InvalidStore
        As `examine`. Nothing was changed.
    StoreInUse
        Somebody is writing it. Nothing was changed.
    WriteFailed
        What was done until then is whole; run it again.
    """
    place = _resolved(path)
    if not place.parent.is_dir():
        raise InvalidStore(f"{place} is not there")
    found = examine(place)
    if not found.can_be_repaired and found.holder is None:
        return found  # nor is its folder touched by a lock
    store = ExistingStore(place)
    try:
        examination = _examined(place)
        for action in examination.actions:
            action(store)
        return examination.report()
    finally:
        store.close()


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError as error:
        raise InvalidStore(f"{path} is a link in a circle: {error}") from error


def leftovers(path: Path) -> Iterator[Path]:
    """Folders beside a store that a writer made on the way to it."""
    # Of longer names only the beginning is used: another store may have it as well.
    if len(path.name) > 40 or not path.parent.is_dir():
        return
    ours = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}(\.replaced)?")
    for beside in sorted(path.parent.iterdir()):
        if ours.fullmatch(beside.name) and beside.is_dir() and not beside.is_symlink():
            yield beside


Action = Callable[[ExistingStore], None]


def _examined(place: Path) -> "_Examination":
    try:
        return _Examination(place)
    except (OSError, MemoryError, RecursionError) as error:
        raise InvalidStore(f"{place} cannot be looked into: {error!r}") from error


def _rewritable(path: Path) -> Document | None:
    """A document that may have to be written again; None where there is none."""
    document = read_json(path)
    if document is not None and path.stat().st_size > MAX_OWN_DOCUMENT_BYTES:
        raise InvalidStore(f"{path} has {path.stat().st_size} bytes: none of ours has")
    try:
        json.dumps(document, indent=2, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise InvalidStore(f"{path} holds what JSON cannot: {error}") from error
    return document


class _Examination:
    """One look at a store, and what is to be done about it, in order."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.findings: list[Finding] = []
        self.actions: list[Action] = []
        self._before = self._after = 0
        self._look_beside()
        self._beside = tuple(self.findings)
        if self._group_key() is None:
            if not any(finding.remedy for finding in self.findings):
                beside = "".join(f"; beside it: {found}" for found in self.findings)
                raise InvalidStore(f"{root} is not a Zarr group{beside}")
            return
        self._read_group()
        self._look_for_partials()
        self._look_at_levels()
        self._look_at_record()

    def report(self) -> Report:
        return Report(self.root, None, tuple(self.findings), self._before, self._after)

    def _find(
        self,
        where: str,
        problem: str,
        remedy: str = "",
        action: Action | None = None,
        *,
        is_loss: bool = False,
    ) -> None:
        self.findings.append(Finding(where, problem, remedy, is_loss))
        if action is not None:
            self.actions.append(action)

    # ------------------------------------------------------------------- beside it

    def _look_beside(self) -> None:
        replaced = []
        for folder in leftovers(self.root):
            if folder.name.endswith(".replaced"):
                replaced.append(folder)
            elif _holds_only_documents(folder):
                self._find(
                    folder.name,
                    "left by a writer that was killed before it had a store",
                    "removed, it holds no pixels",
                    _removes(folder),
                )
            else:
                self._find(folder.name, "left by an export that did not end: kept")
        is_gone = not self.root.exists()
        for folder in replaced:
            if is_gone and len(replaced) == 1:
                self._find(
                    folder.name,
                    "the store that was to be replaced, and never was",
                    f"renamed to {self.root.name}",
                    _renames(folder, self.root),
                )
            else:
                self._find(folder.name, "what was left of a replaced store: kept")

    # ------------------------------------------------------------------- documents

    def _group_key(self) -> str | None:
        keys = ("zarr.json", ".zgroup")
        return next((key for key in keys if (self.root / key).is_file()), None)

    def _read_group(self) -> None:
        self._is_v3 = self._group_key() == "zarr.json"
        self._key = "zarr.json" if self._is_v3 else ".zattrs"
        self._document = _rewritable(self.root / self._key) or {}
        attributes: Any = self._document
        if self._is_v3:
            attributes = self._document.get("attributes")
        record = attributes.get(RECORD_KEY) if isinstance(attributes, dict) else None
        if not isinstance(record, dict) or RecordKey.DEVICE_KIND not in record:
            raise InvalidStore(
                f"{self.root} has no record of napari-zarr-stream, so that it is not "
                "known how it was to be"
            )
        self._record: Mapping[str, Any] = record
        self._ome = attributes.get("ome") if self._is_v3 else attributes
        self.is_open = is_left_open(record)
        try:
            self._plan, self._properties = self._planned()
        except (
            KeyError, IndexError, TypeError, AttributeError, OverflowError
        ) as error:  # fmt: skip
            raise InvalidStore(
                f"{self.root / self._key}: its record cannot be understood: {error!r}"
            ) from error
        except InvalidProperties as error:
            raise InvalidStore(f"{self.root / self._key}: {error}") from error

    def _planned(self) -> tuple[Plan, StorageProperties]:
        properties, asked = planned(self._record, self.root)
        if properties.kind.zarr_format != (3 if self._is_v3 else 2):
            raise InvalidStore(f"{self.root} is no store of kind {properties.kind}")
        sizes = [math.prod(asked.chunk_shape), math.prod(asked.shard_shape or (0,))]
        parts = max(asked.chunks_per_shard, asked.parts_per_chunk)
        if max(sizes) * asked.dtype.itemsize > MAX_CHUNK_BYTES or parts > MAX_PARTS:
            raise InvalidStore(
                f"{self.root}: chunks of {asked.chunk_shape} pixels, {parts} parts to "
                "a file, cannot be"
            )
        paths = [dataset["path"] for dataset in self._ome["multiscales"][0]["datasets"]]
        if paths != [str(level) for level in range(len(asked.level_shapes))]:
            raise InvalidStore(f"{self.root}: levels {paths} are not those we write")
        return asked, properties

    def _look_for_partials(self) -> None:
        folders = [self.root, *(self.root / str(k) for k in range(self._levels))]
        for folder in folders:
            for path in sorted(folder.glob("*.partial")):
                self._look_at_stray(path)

    def _look_at_stray(self, path: Path) -> None:
        where = path.relative_to(self.root).as_posix()
        match = PARTIAL.fullmatch(path.name)
        name = match["name"] if match else ""
        if path.is_file() and (name in DOCUMENTS or name.isdecimal()):
            self._find(
                where,
                "on its way when the program was killed",
                "removed",
                _removes(path),
            )
        else:
            self._find(where, "not of this package, or a link: left as it is")

    # ---------------------------------------------------------------------- levels

    @property
    def _levels(self) -> int:
        return len(self._plan.level_shapes)

    @property
    def _is_one_volume(self) -> bool:
        """Whether the first axis is `z` and is halved: all of it is one thing."""
        return self._plan.z_is_halved and self._plan.axes[0] == "z"

    def _look_at_levels(self) -> None:
        the_plan = self._plan
        self._serializer = serializer_of(self._properties.kind.zarr_format)
        self._codec = codec_of(self._properties.kind, the_plan.blosc_block_bytes)
        levels = [
            Level(
                self.root / str(level),
                level,
                the_plan,
                self._codec,
                self._serializer.chunk_prefix,
                self.is_open,
            )
            for level in range(self._levels)
        ]
        self._documents = [self._array_documents(level, 0) for level in levels]
        self._full = levels[0]
        committed = self._committed()
        self._before = committed * the_plan.planes_per_step
        if self.is_open:
            for level in levels:
                level.doubt_beyond(committed)
        steps = self._readable_steps(committed)
        self._after = steps * the_plan.planes_per_step
        runs = self._full.runs()
        for start, end in _gaps(runs, 0, steps):
            self._find("0", f"{_steps(start, end)} cannot be read", is_loss=True)
        self._look_at_files(self._full, steps)
        for level in levels[1:]:
            self._look_at_files(level, steps)
            self._look_at_smaller(level, runs, steps)
        for level in levels:
            for path in level.strays:
                if not (path.parent == level.folder and path.suffix == ".partial"):
                    self._look_at_stray(path)
        # Level 0 last: it promises the others.
        for level in reversed(levels):
            self._look_at_shape(level, steps)

    def _array_documents(self, level: Level, steps: int) -> dict[str, Document]:
        return self._serializer.array(
            str(level.level),
            shape=self._plan.level_shape_after(level.level, steps),
            chunk_shape=self._plan.chunk_shape,
            shard_shape=self._plan.shard_shape,
            dtype=self._plan.dtype,
            codec=self._codec,
            names=self._plan.axes,
        )

    def _document_here(self, key: str, wanted: Document) -> Document | None:
        """A document that fits the record; None if it must be written anew."""
        if (self.root / key).parent.is_symlink():
            raise InvalidStore(f"{self.root / key} leads out of the store")
        try:
            here = _rewritable(self.root / key)
        except InvalidStore as error:
            self._find(key, str(error))
            return None
        if here is None or "shape" not in wanted:
            return here
        for name in wanted.keys() - {"shape", "attributes"}:
            if here.get(name) != wanted[name]:
                raise InvalidStore(
                    f"{self.root / key}: {name} is {here.get(name)!r}, and should be "
                    f"{wanted[name]!r} after the record"
                )
        sizes, mine = here.get("shape"), wanted["shape"]
        first = 1 if self._plan.outer else 0
        if not (
            isinstance(sizes, list)
            and all(type(size) is int and size >= 0 for size in sizes)
            and sizes[first:] == mine[first:]
            and len(sizes) == len(mine)
        ):
            raise InvalidStore(
                f"{self.root / key}: shape {sizes} does not fit {mine} of the record"
            )
        return here

    def _committed(self) -> int:
        """Steps that level 0 promises."""
        if not self._plan.outer:
            return 1
        (key,) = (key for key, d in self._documents[0].items() if "shape" in d)
        here = self._document_here(key, self._documents[0][key])
        return here["shape"][0] if here else 0

    def _readable_steps(self, committed: int) -> int:
        """Steps from the first on that readers can be told of."""
        if not self._plan.outer:
            return 1
        runs = self._full.runs()
        most = self._plan.shape[0]
        end = max((min(run[1], committed) for run in runs), default=0)
        if not self.is_open or end < committed:
            return max(0, end)
        for start, stop in runs:
            if start <= committed < stop:
                end = stop if most is None else min(stop, most)
        if self._plan.bytes_per_chunk > CACHE_BYTES:
            return committed  # to look into one would take too much memory
        # The last chunk is filled up with zeros when a stream is closed.
        while end > committed and self._is_black(end - 1):
            end -= 1
        return end

    def _is_black(self, step: int) -> bool:
        first = step * self._plan.planes_per_step
        planes = range(first, first + self._plan.planes_per_step)
        try:
            return not any(self._full.plane(number).any() for number in planes)
        except OSError:
            return True  # cannot be decoded, and was never promised

    def _look_at_files(self, level: Level, steps: int) -> None:
        """What brings parts back that are there and cannot be read yet."""
        here = (
            self._plan.level_shape_after(level.level, steps)[0]
            if self._plan.outer
            else 1
        )
        unplaced = 0
        for found in level.files.values():
            first = found.place[0] * level.steps_per_layer if self._plan.outer else 0
            unplaced += found.unplaced_bytes
            if found.need is Need.NOTHING or first >= here:
                continue
            parts = int(found.there.sum())
            self._find(
                found.path.relative_to(self.root).as_posix(),
                found.problem or "its index is not the last one",
                f"given {found.need.value}, {parts} of {level.parts} are there",
                partial(_mend, level, found),
            )
        if unplaced:
            self._find(
                str(level.level),
                f"{unplaced / 1e6:.1f} MB of chunks were on their way, and nothing "
                "tells their place: left as they are, beyond the last frame",
            )

    def _look_at_smaller(self, level: Level, full: Sequence[Run], steps: int) -> None:
        """What is missing in a smaller level is made from level 0."""
        the_plan = self._plan
        wanted = (
            the_plan.level_shape_after(level.level, steps)[0] if the_plan.outer else 1
        )
        gaps = list(_gaps(level.runs(), 0, wanted))
        if not gaps:
            return
        if self._is_one_volume:
            whole = list(_gaps(full, 0, steps))
            layers = [] if whole else [(0, steps)]
        else:
            size = level.steps_per_layer
            numbers = sorted(
                {
                    n
                    for a, b in full
                    for n in range(a // size, -(-min(b, steps) // size))
                }
            )
            layers = [
                (n * size, min((n + 1) * size, steps))
                for n in numbers
                if any(a < (n + 1) * size and b > n * size for a, b in gaps)
            ]
            layers = [layer for layer in layers if not list(_gaps(full, *layer))]
        for start, end in layers:
            self._find(
                str(level.level),
                f"{_steps(start, end)} are missing or damaged",
                "made again from level 0",
                partial(self._rebuild, level.level, start, end),
            )
        for start, end in gaps:
            if not any(a <= start and end <= b for a, b in _joined(layers)) and not (
                self._is_one_volume and layers
            ):
                self._find(
                    str(level.level),
                    f"{_steps(start, end)} cannot be read, nor all of level 0 there",
                    is_loss=True,
                )

    def _rebuild(self, level: int, start: int, end: int, store: ExistingStore) -> None:
        """Write the files of a level for steps that begin with a chunk layer."""
        the_plan, method = self._plan, self._properties.method
        arrays = [
            LevelArray(the_plan, k, store, self._codec, self._serializer)
            for k in range(self._levels)
        ]
        halver = TileHalver(the_plan.dtype) if the_plan.halves_in_tiles else None
        number, last = (step * the_plan.planes_per_step for step in (start, end))
        try:
            slot = Slot(the_plan, arrays, method, halver)
            while number < last:
                slot.start(number)
                while number < last and not slot.is_full:
                    number += slot.put(self._full.plane(number)[np.newaxis])
                slot.clear_missing()
                slot.halve()
                for at, cells in slot.parts():
                    if at == level:
                        slot.write(at, cells)
            arrays[level].finish()
        except (OSError, MemoryError) as error:
            if isinstance(error, WriteFailed):
                raise
            raise WriteFailed(f"level {level} could not be made: {error}") from error

    def _look_at_shape(self, level: Level, steps: int) -> None:
        for key, wanted in self._array_documents(level, steps).items():
            here = self._document_here(key, wanted)
            if here is None:
                self._find(
                    key, "missing or damaged", "written anew", _writes(key, wanted)
                )
            elif "shape" in wanted and here["shape"] != wanted["shape"]:
                self._find(
                    key,
                    f"says {here['shape'][0]} steps, {wanted['shape'][0]} can be read",
                    "corrected",
                    _writes(key, here | {"shape": wanted["shape"]}),
                )

    # ---------------------------------------------------------------------- record

    def _look_at_record(self) -> None:
        if self.is_open:
            self.findings.insert(
                0,
                Finding(
                    self._key,
                    "left open by a program that did not end properly",
                    f"noted as {FinishReason.INTERRUPTED}",
                ),
            )
        done = [finding for finding in self.findings if finding.remedy]
        if all(finding in self._beside for finding in done):
            return  # what lay beside a healthy store is not written into it
        record = dict(self._record)
        earlier = record.get(RecordKey.REPAIRED)
        entry = {
            "time": now(),
            "version": version("napari-zarr-stream"),
            "changes": list(map(str, done)),
        }
        record[RecordKey.REPAIRED] = [
            *(earlier if isinstance(earlier, list) else []),
            entry,
        ]
        record.setdefault(RecordKey.FINISH_REASON, FinishReason.INTERRUPTED)
        if self.is_open or self._before != self._after:
            record[RecordKey.FRAMES_COMMITTED] = self._after
        document = dict(self._document)
        attributes = dict(document["attributes"]) if self._is_v3 else document
        attributes[RECORD_KEY] = record
        if self._plan.axes[0] == "c":
            _cut_channels(attributes, self._after // self._plan.planes_per_step)
        if self._is_v3:
            document["attributes"] = attributes
        self.actions.append(_writes(self._key, document))


def _writes(key: str, document: Document) -> Action:
    return lambda store: store.write_json(key, document)


def _cut_channels(attributes: Document, count: int) -> None:
    """Name only the channels that came."""
    owner = attributes.get("ome", attributes)
    omero = owner.get("omero")
    if isinstance(omero, dict) and isinstance(omero.get("channels"), list):
        omero["channels"] = omero["channels"][:count]


def _removes(path: Path) -> Action:
    return lambda store: store.remove(path)


def _renames(folder: Path, place: Path) -> Action:
    def rename(store: ExistingStore) -> None:
        try:
            system.rename(folder, place)
        except OSError as error:
            raise WriteFailed(f"{folder} could not be renamed: {error}") from error

    return rename


def _holds_only_documents(folder: Path) -> bool:
    for path in folder.rglob("*"):
        name = PARTIAL.sub(r"\g<name>", path.name)
        if path.is_symlink() or not (path.is_dir() or name in DOCUMENTS):
            return False
    return True


def _mend(level: Level, found: Found, store: ExistingStore) -> None:
    key = found.path.relative_to(store.root).as_posix()
    if found.need is Need.INDEX:
        assert found.index is not None
        store.end_with(key, found.chunks_end, encode_shard_index(found.index))
    elif found.need is Need.LENGTH:
        store.lengthen(key, level.plan.bytes_per_chunk)
    else:
        size = found.path.stat().st_size
        head, tail = level.head_of(found, size)
        with store.copy(key) as file:
            file.write_at(size, tail)
            file.write_at(0, head)


def _gaps(runs: Sequence[Run], start: int, end: int) -> Iterator[Run]:
    """What of `start` to `end` is in no run."""
    for first, last in runs:
        if first >= end:
            break
        if first > start:
            yield start, first
        start = max(start, last)
    if start < end:
        yield start, end


def _joined(runs: Sequence[Run]) -> list[Run]:
    joined: list[Run] = []
    for start, end in runs:
        if joined and joined[-1][1] == start:
            joined[-1] = joined[-1][0], end
        else:
            joined.append((start, end))
    return joined


def _steps(start: int, end: int) -> str:
    return f"step {start}" if end == start + 1 else f"steps {start} to {end - 1}"
