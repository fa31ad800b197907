"""A dataset's JSON documents: Zarr v2 with OME-NGFF 0.4, Zarr v3 with 0.5 or 0.6.

`Image` says what is to be described; the serializers differ only in how they wrap it.
Section names refer to the OME-NGFF specification.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .axes import AXIS_TYPES
from .codecs import Codec, shard_index_codecs
from .colours import WHITE, given_color
from .errors import InvalidProperties
from .plan import Plan
from .plate import Plate, plate_metadata, well_metadata, wells_of
from .properties import Channel, DownsamplingMethod, ZHalving
from .record import RECORD_KEY, RecordKey

Document = dict[str, Any]

CHUNK_PREFIX = {2: "", 3: "c/"}
"""Of the keys of chunks and shards below their array, in Zarr 2 and 3."""

PHYSICAL = "physical"
"""The coordinate system in which the levels of an image lie, in OME-NGFF 0.6."""

BF2RAW = "bioformats2raw.layout"
"""Marks a group of several images; 3 is the layout that OME-NGFF describes."""


@dataclass(frozen=True, slots=True)
class Image:
    """What is described: an array with its pyramid, as `plan` laid it out.

    Attributes
    ----------
    plan : Plan
    name : str
    method : DownsamplingMethod
    scale, translation : tuple of float
        Of level 0, one number per axis.
    units : tuple of str or None
    channels : tuple of Channel
        As many as there are channels; one where there is no such axis.
    is_label : bool
        Whether pixels are names of objects.
    inside_image : bool
        Whether these are labels of the image two groups above, and so a label image.
    record : mapping
        JSON values.
    """

    plan: Plan
    name: str
    method: DownsamplingMethod
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    units: tuple[str | None, ...]
    channels: tuple[Channel, ...]
    is_label: bool = False
    inside_image: bool = False
    record: Mapping[str, Any] = field(default_factory=dict)


def _kept(record: Mapping[str, Any] | None) -> Document:
    return {RECORD_KEY: dict(record)} if record else {}


def check_channels(
    channels: Sequence[Channel] | None, plan: Plan
) -> tuple[Channel, ...]:
    """As many channels as the array has, with names and colours of our own if None.

    Raises
    ------
    InvalidProperties
        Where their number is another.
    """
    count = plan.shape[plan.axes.index("c")] if "c" in plan.axes else 1
    if channels is not None:
        if count is not None and len(channels) != count:
            raise InvalidProperties(f"{len(channels)} channels given for {count}")
        return tuple(channels)
    if count is None:
        return ()
    if count < 2:
        return (Channel("channel 0"),)[:count]
    return tuple(Channel(f"channel {i}", given_color(i)) for i in range(count))


def range_of(dtype: np.dtype[np.generic]) -> tuple[float, float]:
    """Smallest and largest value; 0 and 1 for bool and floats."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype.str[1:])
        return float(limits.min), float(limits.max)
    return 0.0, 1.0


def _axes(image: Image) -> list[Document]:
    axes = []
    for name, unit in zip(image.plan.axes, image.units, strict=True):
        axis = {"name": name, "type": AXIS_TYPES[name]}
        axes.append(axis | ({"unit": unit} if unit else {}))
    return axes


def _datasets(image: Image) -> list[Document]:
    """Paths and "coordinateTransformations" of the levels.

    A pixel's position is that of its centre. A block's centre lies half of the added
    size beyond the centre of its first pixel, so a level that centres its pixels is
    moved by (scale - scale of level 0) / 2.
    """
    plan = image.plan
    halvings = [0] * len(plan.axes)
    datasets = []
    shifted = any(image.translation) or (
        image.method.centres_pixels and len(plan.level_shapes) > 1
    )
    for level, shape in enumerate(plan.level_shapes):
        if level:
            above = plan.level_shapes[level - 1]
            for i in range(len(plan.axes)):
                # A row or column of one pixel is not halved.
                halvings[i] += above[i] != shape[i]
        scale = [s * 2**h for s, h in zip(image.scale, halvings, strict=True)]
        transforms: list[Document] = [{"type": "scale", "scale": scale}]
        if shifted:
            centred = image.method.centres_pixels
            translation = [
                start + (now - first) / 2 * centred
                for start, now, first in zip(
                    image.translation, scale, image.scale, strict=True
                )
            ]
            transforms.append({"type": "translation", "translation": translation})
        datasets.append({"path": str(level), "coordinateTransformations": transforms})
    return datasets


def _with_axes(image: Image) -> Document:
    """Where an image lies: its axes, and transformations in the order of their use."""
    return {"axes": _axes(image), "datasets": _datasets(image)}


def _with_systems(image: Image) -> Document:
    """The same as a coordinate system, and one transformation that leads there.

    See "multiscales" of OME-NGFF 0.6: an identity, a scale, or a sequence of a scale
    and a translation.
    """
    datasets = []
    for dataset in _datasets(image):
        given = dataset["coordinateTransformations"]
        one = {"type": "sequence", "transformations": given}
        ends = {"input": {"path": dataset["path"]}, "output": {"name": PHYSICAL}}
        transformation = (given[0] if len(given) == 1 else one) | ends
        datasets.append(dataset | {"coordinateTransformations": [transformation]})
    systems = [{"name": PHYSICAL, "axes": _axes(image)}]
    return {"coordinateSystems": systems, "datasets": datasets}


def _multiscales(image: Image, where: Document) -> Document:
    rule = "as in Acquire's Zarr driver"
    if image.plan.z_halving is not ZHalving.WITH_YX:
        rule = f"z apart from y and x ({image.plan.z_halving})"
    return {
        "name": image.name,
        **where,
        "type": str(image.method),
        "metadata": {
            "description": f"levels by halving in blocks of 2, {rule}; integer means "
            "round half up",
            "method": f"napari_zarr_stream.downsample.{image.method}",
        },
    }


def _shown(image: Image, version: Document) -> Document:
    """How pixels are to be shown: as objects of an image, or as channels.

    A label image that labels none is no image to many readers, and OME-NGFF places it
    in the group `labels` of one: by itself it is an image, and our record says more.
    """
    if image.is_label and image.inside_image:
        said, *_ = _objects(image)
        return {"image-label": version | {"source": {"image": "../../"}} | said}
    return {"omero": version | _omero(image)}


def _objects(image: Image) -> list[Document]:
    """What is said of the objects in each channel."""
    return list(image.record.get(RecordKey.OBJECTS) or [{}])


def _record(image: Image) -> Document:
    record = {k: v for k, v in image.record.items() if k != RecordKey.OBJECTS}
    if image.is_label and not image.inside_image:
        record[RecordKey.OBJECTS] = _objects(image)
    return record


def _omero(image: Image) -> Document:
    full = range_of(image.plan.dtype)
    channels: list[Document] = []
    for channel in image.channels:
        start, end = channel.contrast_limits or channel.value_range or full
        low, high = channel.value_range or full
        channels.append(
            {
                "label": channel.name,
                "color": channel.color,
                "active": channel.active,
                # In OMERO a polynomial is the pixel to the power of the coefficient.
                "coefficient": channel.gamma,
                "family": "linear" if channel.gamma == 1 else "polynomial",
                "inverted": channel.inverted,
                "window": {
                    "min": min(low, start),
                    "max": max(high, end),
                    "start": start,
                    "end": end,
                },
            }
        )
    model = "color"
    if [channel.color for channel in image.channels] == [WHITE]:
        model = "greyscale"  # in which readers show nothing but grey
    return {
        "name": image.name,
        "channels": channels,
        "rdefs": {"model": model, "defaultT": 0, "defaultZ": 0},
    }


def _fill_value(dtype: np.dtype[np.generic]) -> bool | int | float:
    return {"b": False, "f": 0.0}.get(dtype.kind, 0)


class ZarrV2:
    """Zarr v2 with OME-NGFF 0.4: `.zgroup`, `.zattrs`, `.zarray`."""

    chunk_prefix = CHUNK_PREFIX[2]

    def group(
        self, path: str, attributes: Document | None = None
    ) -> dict[str, Document]:
        """Documents by key of a group at `path` ("" or ending in "/")."""
        documents: dict[str, Document] = {f"{path}.zgroup": {"zarr_format": 2}}
        if attributes:
            documents[f"{path}.zattrs"] = attributes
        return documents

    def image(self, image: Image) -> dict[str, Document]:
        """The root group's documents."""
        version: Document = {"version": "0.4"}
        attributes = {
            "multiscales": [version | _multiscales(image, _with_axes(image))],
            **_shown(image, version),
            RECORD_KEY: _record(image),
        }
        return self.group("", attributes)

    def labels(self, names: Sequence[str]) -> dict[str, Document]:
        """Documents of a `labels` group that holds label images of these names."""
        return self.group("", {"labels": list(names)})

    def series(
        self, paths: Sequence[str], record: Mapping[str, Any] | None = None
    ) -> dict[str, Document]:
        """Documents of a group that holds images at these paths."""
        root = self.group("", {BF2RAW: 3} | _kept(record))
        return root | self.group("OME/", {"series": list(paths)})

    def plate(
        self, plate: Plate, paths: Sequence[str], record: Mapping[str, Any]
    ) -> dict[str, Document]:
        """Documents of a plate whose fields are at these paths, row/column/field."""
        version: Document = {"version": "0.4"}
        attributes = {"plate": version | plate_metadata(plate, paths)} | _kept(record)
        documents = self.group("", attributes)
        for row in {path.split("/")[0]: None for path in paths}:
            documents |= self.group(f"{row}/")
        for well, fields in wells_of(paths).items():
            documents |= self.group(
                f"{well}/", {"well": version | well_metadata(fields)}
            )
        return documents

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


class ZarrV3:
    """Zarr v3 with OME-NGFF 0.5 or 0.6: `zarr.json`.

    Parameters
    ----------
    version : str
        Of OME-NGFF.
    """

    chunk_prefix = CHUNK_PREFIX[3]

    def __init__(self, version: str) -> None:
        self._version: Document = {"version": version}
        # Before 0.6 plates and wells said it again.
        self._inner = self._version if version == "0.5" else {}
        self._where = _with_axes if version == "0.5" else _with_systems

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

    def image(self, image: Image) -> dict[str, Document]:
        """The root group's documents."""
        ome = {
            **self._version,
            "multiscales": [_multiscales(image, self._where(image))],
            **_shown(image, {}),
        }
        return self.group("", {"ome": ome, RECORD_KEY: _record(image)})

    def labels(self, names: Sequence[str]) -> dict[str, Document]:
        """Documents of a `labels` group that holds label images of these names."""
        return self.group("", {"ome": self._version | {"labels": list(names)}})

    def series(
        self, paths: Sequence[str], record: Mapping[str, Any] | None = None
    ) -> dict[str, Document]:
        """Documents of a group that holds images at these paths."""
        root = self.group("", {"ome": self._version | {BF2RAW: 3}} | _kept(record))
        overview = {"ome": self._version | {"series": list(paths)}}
        return root | self.group("OME/", overview)

    def plate(
        self, plate: Plate, paths: Sequence[str], record: Mapping[str, Any]
    ) -> dict[str, Document]:
        """Documents of a plate whose fields are at these paths, row/column/field."""
        described = self._inner | plate_metadata(plate, paths)
        documents = self.group(
            "", {"ome": self._version | {"plate": described}} | _kept(record)
        )
        for row in {path.split("/")[0]: None for path in paths}:
            documents |= self.group(f"{row}/")
        for well, fields in wells_of(paths).items():
            described = self._inner | well_metadata(fields)
            documents |= self.group(
                f"{well}/", {"ome": self._version | {"well": described}}
            )
        return documents

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
