"""The documents of a store of ours: what it was to be, by its own record."""

import json
import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.codecs import codec_of
from napari_zarr_stream._writer.errors import InvalidProperties, InvalidStore
from napari_zarr_stream._writer.ngff import serializer_of
from napari_zarr_stream._writer.ngff_image import Document
from napari_zarr_stream._writer.ome_xml import OmeImage
from napari_zarr_stream._writer.plan import Plan
from napari_zarr_stream._writer.properties import Channel, StorageProperties
from napari_zarr_stream._writer.record import (
    RECORD_KEY,
    FinishReason,
    RecordKey,
    is_left_open,
    now,
    planned,
)
from napari_zarr_stream._writer.store import read_json

MAX_CHUNK_BYTES = 2**36
"""Raw chunks have no limit of their own, but nobody writes one of 64 GiB."""

MAX_PARTS = 2**20
"""Chunks of a shard, or frames of a chunk."""

MAX_OWN_DOCUMENT_BYTES = 2 * 2**20
"""A document that we write holds channels at the most, thousands of them."""


def group_key(root: Path) -> str | None:
    """The document that makes a folder a Zarr group."""
    keys = ("zarr.json", ".zgroup")
    return next((key for key in keys if (root / key).is_file()), None)


class Documents:
    """The documents of a store, read; none is written here.

    Attributes
    ----------
    key : str
        Of the document that holds the record.
    is_open : bool
        The record says that the writer never ended.
    part_of : dict or None
        Of an image whose planes come in any order: `RecordKey.PART_OF`.
    plan, properties, codec, serializer
        What the record says that the store was to be.

    Raises
    ------
    InvalidStore
        No record of this package, or one that contradicts itself.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._is_v3 = group_key(root) == "zarr.json"
        self.key = "zarr.json" if self._is_v3 else ".zattrs"
        self._document = _rewritable(root / self.key) or {}
        attributes: Any = self._document
        if self._is_v3:
            attributes = self._document.get("attributes")
        record = attributes.get(RECORD_KEY) if isinstance(attributes, dict) else None
        if not isinstance(record, dict) or RecordKey.DEVICE_KIND not in record:
            raise InvalidStore(
                f"{root} has no record of napari-zarr-stream, so that it is not "
                "known how it was to be"
            )
        self._record: dict[str, Any] = record
        self._ome = attributes.get("ome") if self._is_v3 else attributes
        self.is_open = is_left_open(record)
        given = record.get(RecordKey.PART_OF)
        self.part_of = given if isinstance(given, dict) else None
        try:
            self.plan, self.properties = self._planned()
        except (
            KeyError, IndexError, TypeError, AttributeError, OverflowError
        ) as error:  # fmt: skip
            raise InvalidStore(
                f"{root / self.key}: its record cannot be understood: {error!r}"
            ) from error
        except InvalidProperties as error:
            raise InvalidStore(f"{root / self.key}: {error}") from error
        self.codec = codec_of(
            self.properties.kind,
            self.plan.blosc_block_bytes,
            self.properties.codec_level,
        )
        self.serializer = serializer_of(self.properties.ngff)

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

    def of_level(self, level: int, steps: int) -> dict[str, Document]:
        """The documents of a level that has grown to so many steps of level 0."""
        return self.serializer.array(
            str(level),
            shape=self.plan.level_shape_after(level, steps),
            chunk_shape=self.plan.chunk_shape,
            shard_shape=self.plan.shard_shape,
            dtype=self.plan.dtype,
            codec=self.codec,
            names=self.plan.axes,
        )

    def find(self, key: str, wanted: Document) -> tuple[Document | None, str]:
        """The document at `key`, which is like `wanted` but for how far it goes.

        Returns
        -------
        (None if it must be written anew, what is wrong with one that cannot be read)

        Raises
        ------
        InvalidStore
            It does not fit the record, or leads out of the store.
        """
        if (self.root / key).parent.is_symlink():
            raise InvalidStore(f"{self.root / key} leads out of the store")
        try:
            here = _rewritable(self.root / key)
        except InvalidStore as error:
            return None, str(error)
        if here is None or "shape" not in wanted:
            return here, ""
        for name in wanted.keys() - {"shape", "attributes"}:
            if here.get(name) != wanted[name]:
                raise InvalidStore(
                    f"{self.root / key}: {name} is {here.get(name)!r}, and should be "
                    f"{wanted[name]!r} after the record"
                )
        sizes, mine = here.get("shape"), wanted["shape"]
        first = 1 if self.plan.outer else 0
        if not (
            isinstance(sizes, list)
            and all(type(size) is int and size >= 0 for size in sizes)
            and sizes[first:] == mine[first:]
            and len(sizes) == len(mine)
        ):
            raise InvalidStore(
                f"{self.root / key}: shape {sizes} does not fit {mine} of the record"
            )
        return here, ""

    def committed(self) -> int:
        """Steps that level 0 promises."""
        if not self.plan.outer:
            return 1
        for key, wanted in self.of_level(0, 0).items():
            if "shape" in wanted:
                here, _ = self.find(key, wanted)
                return here["shape"][0] if here else 0
        return 0

    def described(self, planes: Sequence[Mapping[str, float]]) -> OmeImage:
        """The image as OME-XML tells of it, with what is known of its planes."""
        shown = self._ome.get("omero")
        listed = shown.get("channels") if isinstance(shown, dict) else None
        channels = [
            Channel(str(channel.get("label")), str(channel.get("color")))
            for channel in (listed if isinstance(listed, list) else [])
            if isinstance(channel, dict)
        ]
        name = self._ome["multiscales"][0].get("name", self.root.name)
        return OmeImage(str(name), self.plan, self.committed(), channels, planes=planes)

    def repaired(self, changes: list[str], planes: int, is_changed: bool) -> Document:
        """The document of the record, with what was done to the store in it.

        Parameters
        ----------
        changes : list of str
        planes : int
            That readers find now.
        is_changed : bool
            Whether these are others than before.
        """
        record = dict(self._record)
        earlier = record.get(RecordKey.REPAIRED)
        entry = {
            "time": now(),
            "version": version("napari-zarr-stream"),
            "changes": changes,
        }
        record[RecordKey.REPAIRED] = [
            *(earlier if isinstance(earlier, list) else []),
            entry,
        ]
        record.setdefault(RecordKey.FINISH_REASON, FinishReason.INTERRUPTED)
        if self.is_open or is_changed:
            record[RecordKey.FRAMES_COMMITTED] = planes
        document = dict(self._document)
        attributes = dict(document["attributes"]) if self._is_v3 else document
        attributes[RECORD_KEY] = record
        if self.plan.axes[0] == "c":
            _cut_channels(attributes, planes // self.plan.planes_per_step)
        if self._is_v3:
            document["attributes"] = attributes
        return document


def _cut_channels(attributes: Document, count: int) -> None:
    """Name only the channels that came."""
    owner = attributes.get("ome", attributes)
    omero = owner.get("omero")
    if isinstance(omero, dict) and isinstance(omero.get("channels"), list):
        omero["channels"] = omero["channels"][:count]


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
