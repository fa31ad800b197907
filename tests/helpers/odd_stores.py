"""Stores for the tests of readers: our own, and others' written by hand."""

import json
from dataclasses import replace

import numpy as np
import zarr

from napari_zarr_stream import DeviceKind
from napari_zarr_stream._saving.export import default_properties, export
from napari_zarr_stream._sources.layer import LayerSource

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
