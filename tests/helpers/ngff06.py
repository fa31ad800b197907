"""Stores of OME-NGFF 0.6, written by hand from the specification.

The only writer of it here, ngff-zarr, writes scales and translations of images;
ome-zarr-py does from 0.19 on, which wants Python 3.12.
"""

from odd_stores import array_v3, group_v3, halved

UM = "micrometer"


def system(name, *axes):
    """A coordinate system, of axes as "x:unit"."""
    kinds = {"c": "channel", "t": "time"}
    entries = []
    for axis in axes:
        letter, _, unit = axis.partition(":")
        entry = {"name": letter, "type": kinds.get(letter, "space")}
        entries.append(entry | ({"unit": unit} if unit else {}))
    return {"name": name, "axes": entries}


def scale(*values):
    return {"type": "scale", "scale": list(values)}


def move(*values):
    return {"type": "translation", "translation": list(values)}


def affine(*rows):
    return {"type": "affine", "affine": [list(row) for row in rows]}


def rotation(*rows):
    return {"type": "rotation", "rotation": [list(row) for row in rows]}


def sequence(*transformations):
    return {"type": "sequence", "transformations": list(transformations)}


def to(name, transformation, begin="intrinsic"):
    ends = {"input": {"name": begin}, "output": {"name": name}}
    return transformation | ends


def multiscale(systems, own, common, levels=2):
    outputs = {"output": {"name": "intrinsic"}}
    datasets = [
        {
            "path": f"s{i}",
            "coordinateTransformations": [{"input": {"path": f"s{i}"}} | outputs | own],
        }
        for i in range(levels)
    ]
    said = {"name": "cells", "coordinateSystems": systems, "datasets": datasets}
    return said | ({"coordinateTransformations": common} if common else {})


def image(path, pixels, systems, own, common, **ome):
    """A store of OME-NGFF 0.6 with two levels."""
    axes = ("c", "z", "y", "x")[-pixels.ndim :]
    for i, level in enumerate(halved(pixels, axes)):
        array_v3(path / f"s{i}", level)
    entry = multiscale(systems, own, common)
    group_v3(path, {"ome": {"version": "0.6", "multiscales": [entry]} | ome})
    return path
