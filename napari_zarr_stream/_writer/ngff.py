"""A dataset's JSON documents: Zarr v2 with OME-NGFF 0.4, Zarr v3 with 0.5 or 0.6."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .codecs import Codec, shard_index_codecs
from .ngff_image import (
    Document,
    Image,
    multiscales,
    record_of,
    shown,
    with_axes,
    with_systems,
)
from .plate import Plate, plate_metadata, well_metadata, wells_of
from .record import RECORD_KEY

CHUNK_PREFIX = {2: "", 3: "c/"}
"""Of the keys of chunks and shards below their array, in Zarr 2 and 3."""

BF2RAW = "bioformats2raw.layout"
"""Marks a group of several images; 3 is the layout that OME-NGFF describes."""


def _kept(record: Mapping[str, Any] | None) -> Document:
    return {RECORD_KEY: dict(record)} if record else {}


def _fill_value(dtype: np.dtype[np.generic]) -> bool | int | float:
    return {"b": False, "f": 0.0}.get(dtype.kind, 0)


class _Groups(ABC):
    """Documents of groups by their keys, as both versions of Zarr have them."""

    _of_image: Document
    """The version, where images say it each by themselves."""
    _of_plate: Document
    """The same of plates and wells."""

    @abstractmethod
    def group(
        self, path: str, attributes: Document | None = None
    ) -> dict[str, Document]:
        """Documents by key of a group at `path` ("" or ending in "/")."""

    @abstractmethod
    def _said(self, metadata: Document) -> Document:
        """Attributes of a group with this metadata of OME-NGFF."""

    def _where(self, image: Image) -> Document:
        """Where an image lies."""
        return with_axes(image)

    def image(self, image: Image) -> dict[str, Document]:
        """The root group's documents."""
        described = self._of_image | multiscales(image, self._where(image))
        metadata = {"multiscales": [described], **shown(image, self._of_image)}
        return self.group("", self._said(metadata) | {RECORD_KEY: record_of(image)})

    def labels(self, names: Sequence[str]) -> dict[str, Document]:
        """Documents of a `labels` group that holds label images of these names."""
        return self.group("", self._said({"labels": list(names)}))

    def series(
        self, paths: Sequence[str], record: Mapping[str, Any] | None = None
    ) -> dict[str, Document]:
        """Documents of a group that holds images at these paths."""
        root = self.group("", self._said({BF2RAW: 3}) | _kept(record))
        return root | self.group("OME/", self._said({"series": list(paths)}))

    def plate(
        self, plate: Plate, paths: Sequence[str], record: Mapping[str, Any]
    ) -> dict[str, Document]:
        """Documents of a plate whose fields are at these paths, row/column/field."""
        described = self._of_plate | plate_metadata(plate, paths)
        attributes = self._said({"plate": described}) | _kept(record)
        documents = self.group("", attributes)
        for row in {path.split("/")[0]: None for path in paths}:
            documents |= self.group(f"{row}/")
        for well, fields in wells_of(paths).items():
            described = self._of_plate | well_metadata(fields)
            documents |= self.group(f"{well}/", self._said({"well": described}))
        return documents


class ZarrV2(_Groups):
    """Zarr v2 with OME-NGFF 0.4: `.zgroup`, `.zattrs`, `.zarray`."""

    chunk_prefix = CHUNK_PREFIX[2]

    _of_image = _of_plate = {"version": "0.4"}  # noqa: RUF012

    def group(
        self, path: str, attributes: Document | None = None
    ) -> dict[str, Document]:
        """Documents by key of a group at `path` ("" or ending in "/")."""
        documents: dict[str, Document] = {f"{path}.zgroup": {"zarr_format": 2}}
        if attributes:
            documents[f"{path}.zattrs"] = attributes
        return documents

    def _said(self, metadata: Document) -> Document:
        return metadata

    def array(
        self,
        path: str,
        *,
        shape: Sequence[int],
        chunk_shape: Sequence[int],
        shard_shape: Sequence[int] | None,
        dtype: np.dtype[np.generic],
        codec: Codec,
        names: Sequence[str],
    ) -> dict[str, Document]:
        """Documents by key of an array at `path`."""
        assert shard_shape is None, "Zarr v2 has no shards"
        array = {
            "zarr_format": 2,
            "shape": list(shape),
            "chunks": list(chunk_shape),
            "dtype": dtype.str,
            "compressor": codec.v2(),
            "fill_value": _fill_value(dtype),
            "order": "C",
            "filters": None,
            "dimension_separator": "/",
        }
        return {
            f"{path}/.zattrs": {"_ARRAY_DIMENSIONS": list(names)},  # for xarray
            f"{path}/.zarray": array,
        }


class ZarrV3(_Groups):
    """Zarr v3 with OME-NGFF 0.5 or 0.6: `zarr.json`.

    Parameters
    ----------
    version : str
        Of OME-NGFF.
    """

    chunk_prefix = CHUNK_PREFIX[3]

    _of_image: Document = {}  # noqa: RUF012

    def __init__(self, version: str) -> None:
        self._version: Document = {"version": version}
        # Before 0.6 plates and wells said it again.
        self._of_plate = self._version if version == "0.5" else {}
        self._has_systems = version != "0.5"

    def group(
        self, path: str, attributes: Document | None = None
    ) -> dict[str, Document]:
        """Documents by key of a group at `path` ("" or ending in "/")."""
        group = {
            "zarr_format": 3,
            "node_type": "group",
            "attributes": attributes or {},
        }
        return {f"{path}zarr.json": group}

    def _said(self, metadata: Document) -> Document:
        return {"ome": self._version | metadata}

    def _where(self, image: Image) -> Document:
        return with_systems(image) if self._has_systems else with_axes(image)

    def array(
        self,
        path: str,
        *,
        shape: Sequence[int],
        chunk_shape: Sequence[int],
        shard_shape: Sequence[int] | None,
        dtype: np.dtype[np.generic],
        codec: Codec,
        names: Sequence[str],
    ) -> dict[str, Document]:
        """Documents by key of an array at `path`."""
        codecs = codec.v3(dtype)
        if shard_shape is not None:
            configuration = {
                "chunk_shape": list(chunk_shape),
                "codecs": codecs,
                "index_codecs": shard_index_codecs(),
                "index_location": "end",
            }
            codecs = [{"name": "sharding_indexed", "configuration": configuration}]
        array = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(shape),
            "data_type": dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(shard_shape or chunk_shape)},
            },
            "chunk_key_encoding": {
                "name": "default",
                "configuration": {"separator": "/"},
            },
            "fill_value": _fill_value(dtype),
            "codecs": codecs,
            "dimension_names": list(names),
            "attributes": {},
        }
        return {f"{path}/zarr.json": array}


Serializer = ZarrV2 | ZarrV3


def serializer_of(version: str) -> Serializer:
    """The serializer of OME-NGFF 0.4, 0.5 or 0.6."""
    return ZarrV2() if version == "0.4" else ZarrV3(version)
