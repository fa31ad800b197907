"""Stores for the tests of readers: our own, and others' written by hand."""

import json
import warnings
from dataclasses import replace

import numpy as np
import zarr

from napari_zarr_stream import DeviceKind
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.axes import AXIS_TYPES

KINDS = [DeviceKind.ZARR_LZ4, DeviceKind.ZARR_V3_LZ4]
PLACE = {
    "scale": (2.0, 0.5, 0.25),
    "translate": (1.0, 2.0, 3.0),
    "units": ("second", "micrometer", "micrometer"),
    "axis_labels": ("t", "y", "x"),
}


def addressed(shape, dtype="u2"):
    return (np.arange(np.prod(shape)) % 60000).astype(dtype).reshape(shape)


def small_tiles(path, kind=DeviceKind.ZARR_V3_LZ4):
    return replace(default_properties(path, kind), tile_width=16, tile_height=16)


def write(path, pixels, kind=DeviceKind.ZARR_V3_LZ4, layer_type="image", **meta):
    given = {"name": "cells", "rgb": False} | meta
    export(LayerSource(pixels, given, layer_type), small_tiles(path, kind))
    return path


def change(path, edit):
    """Damage a JSON document."""
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def others_group(path, version, array, axes, **extra):
    """A store as OME-NGFF of `version` has it, written with zarr alone."""
    group = zarr.open_group(str(path), mode="w", zarr_format=2)
    stored = group.create_array("0", shape=array.shape, dtype=array.dtype)
    stored[...] = array
    multiscale = {"version": version, "datasets": [{"path": "0"}]}
    if axes:
        multiscale["axes"] = axes
    group.attrs.put({"multiscales": [multiscale | extra]})
    return path


def write_group(path, ome):
    path.mkdir(parents=True, exist_ok=True)
    document = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (path / "zarr.json").write_text(json.dumps(document))


# Written by hand, since no library writes what is as odd as in the reports.


def put(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def chunks_of(data, chunks):
    """Index and padded pixels of each chunk."""
    counts = [-(-size // side) for size, side in zip(data.shape, chunks, strict=True)]
    for at in np.ndindex(*counts):
        block = np.zeros(chunks, data.dtype)
        part = data[
            tuple(slice(i * n, i * n + n) for i, n in zip(at, chunks, strict=True))
        ]
        block[tuple(map(slice, part.shape))] = part
        yield at, block


def put_chunk(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def array_v2(path, data, chunks=None, between="/", encode=bytes, **document):
    """An array of Zarr v2 without a codec; `document` replaces what .zarray says."""
    chunks = tuple(chunks or (max(1, size) for size in data.shape))
    said = {
        "zarr_format": 2,
        "shape": list(data.shape),
        "chunks": list(chunks),
        "dtype": data.dtype.str,
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }
    said |= document
    put(path / ".zarray", {key: v for key, v in said.items() if v is not ...})
    for at, block in chunks_of(data, chunks):
        put_chunk(path / between.join(map(str, at)), encode(block.tobytes()))


def array_v3(path, data, chunks=None, names=("c", "/"), encode=bytes, **document):
    """The same of Zarr v3; chunks have `names`: what is before and between numbers."""
    before, between = names
    chunks = tuple(chunks or (max(1, size) for size in data.shape))
    grid = {"name": "regular", "configuration": {"chunk_shape": list(chunks)}}
    said = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(data.shape),
        "data_type": data.dtype.name,
        "chunk_grid": grid,
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
    }
    said |= document
    put(path / "zarr.json", {key: v for key, v in said.items() if v is not ...})
    for at, block in chunks_of(data, chunks):
        key = between.join([*filter(None, [before]), *map(str, at)])
        put_chunk(path / key, encode(block.tobytes()))


def group_v2(path, attributes=None):
    put(path / ".zgroup", {"zarr_format": 2})
    if attributes is not None:
        put(path / ".zattrs", attributes)


def group_v3(path, attributes=None):
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes or {}}
    put(path / "zarr.json", group)


def multiscale_of(names, levels, **entry):
    """One entry of multiscales, with scales by the shapes of the levels."""
    datasets = [
        {
            "path": str(i),
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [
                        round(whole / max(part, 1))
                        for whole, part in zip(
                            levels[0].shape, level.shape, strict=False
                        )
                    ],
                }
            ],
        }
        for i, level in enumerate(levels)
    ]
    named = [{"name": name, "type": AXIS_TYPES[name]} for name in names]
    said = {"version": "0.4", "name": "cells", "axes": named, "datasets": datasets}
    return said | entry


def image_v2(path, names, levels, chunks=None, attributes=None, **entry):
    """An image of OME-NGFF 0.4."""
    for i, level in enumerate(levels):
        array_v2(path / str(i), level, chunks)
    group_v2(
        path,
        {"multiscales": [multiscale_of(names, levels, **entry)]} | (attributes or {}),
    )
    return path


def halved(data, axes, levels=2):
    """Levels of every second pixel along y and x."""
    found = [data]
    for _ in range(levels - 1):
        steps = [slice(None, None, 2 if axis in "yx" else None) for axis in axes]
        found.append(found[-1][tuple(steps)])
    return found


def opened(path):
    """Layers of a store, and all that was said of it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        layers = layers_of(path)
    return layers, "\n".join(str(w.message) for w in caught)


def full_size(layer):
    data = layer[0]
    return np.asarray(data[0] if isinstance(data, list) else data)
