"""Axes, units and places of images, in every version of OME-NGFF."""

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import (
    addressed,
    array_v3,
    full_size,
    group_v3,
    halved,
    image_v2,
    opened,
    others_group,
)

from napari_zarr_stream._reading.lazy import LazyArray
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream.cli import main


@pytest.mark.parametrize(
    ("version", "axes"), [("0.1", None), ("0.2", None), ("0.3", list("tczyx"))]
)
def test_old_versions(version, axes, path):
    array = addressed((2, 2, 3, 8, 9))
    layers = layers_of(others_group(path, version, array, axes))
    assert len(layers) == 2
    data, meta, _ = layers[1]
    np.testing.assert_array_equal(data, array[:, 1])
    assert meta["axis_labels"] == ["t", "z", "y", "x"]
    assert meta["name"] == "image: channel 1"


def test_scale_of_level_and_of_all_levels_multiply(path):
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    own = [
        {"type": "scale", "scale": [2, 3]},
        {"type": "translation", "translation": [1, 1]},
    ]
    common = [{"type": "scale", "scale": [10, 10]}, {"type": "identity"}]
    others_group(
        path,
        "0.4",
        addressed((8, 9)),
        axes,
        datasets=[{"path": "0", "coordinateTransformations": own}],
        coordinateTransformations=common,
    )
    ((_, meta, _),) = layers_of(path)
    assert meta["scale"] == [20, 30]
    assert meta["translate"] == [10, 10]


def test_units_and_axes_that_napari_does_not_know(path):
    axes = [
        {"name": "angle"},
        {"name": "y", "type": "space", "unit": "furlong"},
        {"name": "x", "type": "space", "unit": "micron"},
    ]
    others_group(path, "0.4", addressed((3, 8, 9)), axes)
    with pytest.warns(UserWarning, match="unit 'furlong' of axis y is unknown"):
        ((data, meta, _),) = layers_of(path)
    assert meta["units"] == ["pixel", "pixel", "micrometer"]
    assert meta["axis_labels"] == ["angle", "y", "x"]
    ViewerModel().add_image(data, **meta)


def names_of(layer):
    return layer[1]["axis_labels"]


# id: what axes are said to be, their labels in napari, what is said
ODD = {
    # ome/ngff 25 and 215, ome/napari-ome-zarr 91: axes of other writers
    "of-another-number": (["y", "x"], "zyx", "axes ['y', 'x'] are not those of"),
    "more": (list("tczyx"), "zyx", "are not those of level 0, which has 3"),
    "a-number": (3, "zyx", "axes 3 are not those"),
    "an-object": ({"name": "z"}, "zyx", "are not those"),
    "a-word": ("zyx", "zyx", ""),
    "null": (None, "zyx", ""),
    "names-only": (["t", "y", "x"], "tyx", ""),
    "no-names": ([{}, {"type": "space"}, {"name": "x"}], "zyx", "axis 0 has no name"),
    "numbers": ([1, "y", "x"], "zyx", "axis 0 has no name"),
    "twice": (["y", "y", "x"], ["axis 0", "y", "x"], "two axes are called 'y'"),
    "long": (["time point", "lat", "lon"], ["time point", "lat", "lon"], ""),
    "odd-type": ([{"name": "z", "type": 7}, "y", "x"], "zyx", ""),
    "odd-unit": ([{"name": "z", "unit": ["um"]}, "y", "x"], "zyx", "unit ['um']"),
    "unit-of-a-channel": (
        [{"name": "t", "type": "time", "unit": "micrometer"}, "y", "x"],
        "tyx",
        "unit 'micrometer' of axis t is unknown",
    ),
    "more-keys": ([{"name": "z", "orientation": {"value": 1}}, "y", "x"], "zyx", ""),
}


@pytest.mark.parametrize(("axes", "labels", "said"), ODD.values(), ids=ODD)
def test_odd_axes_do_not_hide_pixels(path, axes, labels, said):
    pixels = addressed((3, 40, 50))
    image_v2(path, "zyx", [pixels], axes=axes)
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), pixels)
    assert names_of(layer) == list(labels)
    assert said in words
    assert bool(said) == bool(words)
    ViewerModel().add_image(layer[0], **layer[1])


def test_names_in_the_array_count_where_the_image_has_none(path):
    pixels = addressed((3, 40, 50))
    array_v3(path / "0", pixels, dimension_names=["t", "y", "x"])
    entry = {"datasets": [{"path": "0"}]}
    group_v3(path, {"ome": {"version": "0.5", "multiscales": [entry]}})
    (layer,), words = opened(path)
    assert (names_of(layer), words) == (["t", "y", "x"], "")


@pytest.mark.parametrize(
    ("stored", "on_screen"),
    [
        # google/neuroglancer 333, ome/ngff 35: x first; others: channels last
        ("xyz", "zyx"),
        ("yxz", "zyx"),
        ("xyzt", "tzyx"),
        ("xy", "yx"),
        ("yxt", "tyx"),
        ("ztyx", "ztyx"),
        ("tyxz", "tzyx"),
    ],
)
def test_y_and_x_are_shown_last(path, stored, on_screen):
    sizes = {"t": 3, "z": 4, "y": 20, "x": 30}
    pixels = addressed(tuple(sizes[axis] for axis in stored))
    levels = halved(pixels, stored)
    image_v2(path, stored, levels, chunks=[2] * pixels.ndim)
    (layer,), words = opened(path)
    order = [stored.index(axis) for axis in on_screen]
    np.testing.assert_array_equal(full_size(layer), pixels.transpose(order))
    assert names_of(layer) == list(on_screen)
    assert all(isinstance(level, LazyArray) for level in layer[0])
    assert layer[0][1].shape == levels[1].transpose(order).shape
    assert words == ""
    shown = ViewerModel().add_image(layer[0], **layer[1])
    assert shown.data[0].shape == pixels.transpose(order).shape


def test_channels_that_are_stored_last(path):
    pixels = addressed((20, 30, 3))
    image_v2(path, "yxc", halved(pixels, "yxc"))
    layers, _ = opened(path)
    for i, layer in enumerate(layers):
        np.testing.assert_array_equal(full_size(layer), pixels[..., i])
        assert names_of(layer) == ["y", "x"]


def test_a_transposed_image_is_exported_as_it_is_shown(path, tmp_path):
    pixels = addressed((30, 20, 4))
    image_v2(path, "xyz", [pixels])
    assert main(["export", str(path), str(tmp_path / "out.zarr")]) == 0
    (layer,), _ = opened(tmp_path / "out.zarr")
    np.testing.assert_array_equal(full_size(layer), pixels.transpose())
