"""Axes, units and places of images, in every version of OME-NGFF."""

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import addressed, others_group

from napari_zarr_stream._reading.reader import layers_of


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
