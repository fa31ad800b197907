"""Label images: beside their image, by themselves, painted, coloured."""

import shutil

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import (
    KINDS,
    PLACE,
    addressed,
    change,
    image_v2,
    opened,
    small_tiles,
    write,
)

from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import export_layers
from napari_zarr_stream._sources.layer import LayerSource


@pytest.mark.parametrize("kind", KINDS)
def test_labels_come_with_their_image(kind, path):
    pixels, objects = addressed((3, 40, 50)), addressed((3, 40, 50), "i4") // 100
    layers = [
        LayerSource(pixels, {"name": "cells"} | PLACE),
        LayerSource(objects, {"name": "a: b"} | PLACE, "labels"),
    ]
    export_layers(layers, small_tiles(path, kind))
    image, labels = layers_of(path)
    assert (image[2], labels[2]) == ("image", "labels")
    assert labels[1]["name"] == "a: b"
    assert tuple(labels[1]["scale"]) == PLACE["scale"]
    np.testing.assert_array_equal(labels[0][0], objects)
    # the group of labels, and one of them, by themselves
    for inner in (path / "labels", path / "labels" / "a_ b"):
        ((data, _, layer_type),) = layers_of(inner)
        assert layer_type == "labels"
        np.testing.assert_array_equal(data[0], objects)


def test_labels_of_one_level_can_be_painted(path):
    objects = addressed((12, 14), "i4")
    ((data, meta, layer_type),) = layers_of(write(path, objects, layer_type="labels"))
    assert layer_type == "labels"
    assert isinstance(data, np.ndarray)
    layer = ViewerModel().add_labels(data, **meta)
    layer.paint((3, 3), 5)
    assert layer.data[3, 3] == 5


def test_colours_and_properties_of_objects(path):
    write(path, addressed((12, 14), "i4"), layer_type="labels")
    shown = {
        "colors": [{"label-value": 1, "rgba": [255, 0, 0, 255]}, {"label-value": 2}],
        "properties": [{"label-value": 1, "area": 5}, {"label-value": 2, "kind": "x"}],
    }
    change(
        path / "zarr.json",
        lambda d: d["attributes"]["ome"].update({"image-label": shown}),
    )
    ((data, meta, _),) = layers_of(path)
    layer = ViewerModel().add_labels(data, **meta)
    np.testing.assert_array_equal(layer.colormap.map(1), [1, 0, 0, 1])
    assert list(layer.features["index"]) == [1, 2]
    assert layer.features["area"][0] == 5


def layer(kind="image", name="a"):
    return LayerSource(addressed((20, 20)), {"name": name, "rgb": False}, kind)


def test_a_lost_label_image_leaves_the_image(path):
    layers = [layer(), layer("labels", "l")]
    export_layers(layers, small_tiles(path))
    shutil.rmtree(path / "labels" / "l")
    with pytest.warns(UserWarning, match="left out a label image"):
        assert len(layers_of(path)) == 1


OBJECTS = (addressed((12, 14)) // 40).astype("u4")


def labels_shown(path, said):
    image_v2(path, "yx", [OBJECTS], attributes={"image-label": said})
    ((data, meta, kind),), words = opened(path)
    assert kind == "labels"
    np.testing.assert_array_equal(data, OBJECTS)
    return ViewerModel().add_labels(data, **meta), words


RED = [255, 0, 0, 255]

# id: "colors" of image-label, the colour of object 1, what is said
COLORS = {
    # ome/ngff 179, ome/ome-zarr-py 71 and 305
    "good": ([{"label-value": 1, "rgba": RED}], [1, 0, 0, 1], ""),
    "three-values": ([{"label-value": 1, "rgba": RED[:3]}], [1, 0, 0, 1], ""),
    "value-of-words": ([{"label-value": "1", "rgba": RED}], [1, 0, 0, 1], ""),
    "value-float": ([{"label-value": 1.0, "rgba": RED}], [1, 0, 0, 1], ""),
    "numbers-of-words": ([{"label-value": 1, "rgba": ["255", 0, 0]}], [1, 0, 0, 1], ""),
    "of-1": ([{"label-value": 1, "rgba": [1.0, 0.0, 0.0, 1.0]}], [1, 0, 0, 1], ""),
    "too-large": ([{"label-value": 1, "rgba": [999, 0, 0, 255]}], [1, 0, 0, 1], ""),
    "no-rgba": ([{"label-value": 1}], None, ""),
    "null": ([{"label-value": 1, "rgba": None}], None, ""),
    "two-values": ([{"label-value": 1, "rgba": [1, 2]}], None, "of object 1"),
    "below-0": ([{"label-value": 1, "rgba": [-1, 0, 0]}], None, "of object 1"),
    "words": ([{"label-value": 1, "rgba": "red"}], None, "colour 'red' of object 1"),
    "no-value": ([{"rgba": RED}], None, "is no colour of an object"),
    "value-of-a-half": ([{"label-value": 1.5, "rgba": RED}], None, "is no colour"),
    "value-nan": ([{"label-value": float("nan"), "rgba": RED}], None, "is no colour"),
    "value-a-list": ([{"label-value": [1], "rgba": RED}], None, "is no colour"),
    "no-objects": ([1, "a", None], None, "is no colour of an object"),
    "one-good-one-odd": (
        [{"label-value": 1, "rgba": RED}, {"label-value": 2, "rgba": 7}],
        [1, 0, 0, 1], "of object 2",
    ),
    "a-mapping": ({"1": RED}, None, "colours of objects are"),
    "a-word": ("red", None, "colours of objects are 'red'"),
    "none": ([], None, ""),
    "nothing": (None, None, ""),
}  # fmt: skip


@pytest.mark.parametrize(("colors", "color", "said"), COLORS.values(), ids=COLORS)
def test_odd_colours_of_objects(path, colors, color, said):
    layer, words = labels_shown(path, {"colors": colors})
    if color:
        np.testing.assert_allclose(layer.colormap.map(1), color, atol=1e-6)
    assert layer.colormap.map(3)[3] > 0, "an object without a colour is seen"
    assert layer.colormap.map(0)[3] == 0
    assert said in words
    assert bool(said) == bool(words)


# id: "properties" of image-label, columns of the table, what is said
PROPERTIES = {
    "good": ([{"label-value": 1, "area": 5}], {"index": [1], "area": [5]}, ""),
    "gaps": (
        [{"label-value": 1, "area": 5}, {"label-value": 2, "kind": "x"}],
        {"index": [1, 2]}, "",
    ),
    "an-index-of-their-own": (
        [{"label-value": 1, "index": 9, "area": 5}], {"index": [1], "area": [5]}, "",
    ),
    "lists": ([{"label-value": 1, "box": [1, 2]}], {"box": ["[1, 2]"]}, ""),
    "no-value": ([{"area": 5}], {}, "1 properties of no object"),
    "no-objects": ([1, "a", None], {}, "3 properties of no object"),
    "one-good-one-odd": ([3, {"label-value": 1}], {"index": [1]}, "1 properties of no"),
    "a-mapping": ({"1": {"area": 5}}, {}, "properties of no object"),
    "a-word": ("a", {}, "properties of no object"),
    "nothing": (None, {}, ""),
}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "columns", "said"), PROPERTIES.values(), ids=PROPERTIES
)
def test_odd_properties_of_objects(path, rows, columns, said):
    layer, words = labels_shown(path, {"properties": rows})
    for name, values in columns.items():
        assert list(layer.features[name]) == values
    assert said in words
    assert bool(said) == bool(words)


@pytest.mark.parametrize("said", [None, {}, [], 3, "a", {"version": 7}, {"source": 1}])
def test_odd_image_label(path, said):
    image_v2(path, "yx", [OBJECTS], attributes={"image-label": said})
    ((data, _, kind),), _ = opened(path)
    assert kind == ("image" if said is None else "labels")
    np.testing.assert_array_equal(data, OBJECTS)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8", "i1", "i4", "i8", "?", "f4"])
def test_objects_of_every_type(path, dtype):
    objects = (OBJECTS % 2).astype(dtype)
    image_v2(path, "yx", [objects], attributes={"image-label": {}})
    ((data, meta, kind),), words = opened(path)
    assert kind == ("image" if dtype == "f4" else "labels")
    assert ("are shown as an image" in words) == (kind == "image")
    np.testing.assert_array_equal(data, objects)
    getattr(ViewerModel(), f"add_{kind}")(data, **meta)


def test_a_mask_of_several_levels_is_labels(path):
    mask = OBJECTS % 2 == 1
    image_v2(path, "yx", [mask, mask[::2, ::2]], attributes={"image-label": {}})
    ((data, meta, kind),), _ = opened(path)
    assert kind == "labels"
    layer = ViewerModel().add_labels(data, **meta)
    for level, stored in zip(layer.data, [mask, mask[::2, ::2]], strict=True):
        np.testing.assert_array_equal(level, stored)


def test_numbers_of_objects_beyond_what_floats_hold(path):
    first = 2**53 + 1
    objects = OBJECTS.astype("u8") % 3 + first
    said = {"colors": [{"label-value": first, "rgba": [255, 0, 0, 255]}]}
    image_v2(path, "yx", [objects], attributes={"image-label": said})
    ((_, meta, _),), _ = opened(path)
    assert meta["colormap"][first] == [1, 0, 0, 1]
