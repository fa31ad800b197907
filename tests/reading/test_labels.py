"""Label images: beside their image, by themselves, painted, coloured."""

import shutil

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import KINDS, PLACE, addressed, change, small_tiles, write

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
