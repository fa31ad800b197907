"""Where layers lie: all transforms of a layer together, as napari applies them."""

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.transforms import Affine

from napari_zarr_stream import InvalidProperties
from napari_zarr_stream._sources.layer import LayerSource

SHAPE = (4, 20, 30)


def affine(linear, start):
    matrix = np.eye(len(start) + 1)
    matrix[:-1, :-1], matrix[:-1, -1] = linear, start
    return matrix


# What napari's transform tool leaves behind is an affine of the last axes.
# fmt: off
PLACES = {  # transforms: scale and translation of the pixels as they are stored
    "none": ({}, (1, 1, 1), (0, 0, 0)),
    "scale": ({"scale": (2, 0.5, 0.5)}, (2, 0.5, 0.5), (0, 0, 0)),
    "scale of the last axes": ({"scale": (0.5, 0.5)}, (1, 0.5, 0.5), (0, 0, 0)),
    "translate": ({"translate": (1, 2, 3)}, (1, 1, 1), (1, 2, 3)),
    "dragged": ({"affine": affine(np.eye(3), (0, 12.5, -7))}, (1, 1, 1), (0, 12.5, -7)),
    "dragged in 2-D": ({"affine": affine(np.eye(2), (12.5, -7))},
                       (1, 1, 1), (0, 12.5, -7)),
    "resized": ({"affine": affine(np.diag([1, 2, 3]), (0, 0, 0))},
                (1, 2, 3), (0, 0, 0)),
    "resized and dragged": ({"affine": affine(np.diag([1, 2, 3]), (4, 5, 6))},
                            (1, 2, 3), (4, 5, 6)),
    "after scale and translate": (
        {"scale": (2, 0.5, 0.5), "translate": (10, 20, 30),
         "affine": affine(np.diag([1, 2, 4]), (1, 1, 1))},
        (2, 1, 2), (11, 41, 121)),
    "as a class": ({"affine": Affine(scale=(1, 2, 2), translate=(0, 3, 3))},
                   (1, 2, 2), (0, 3, 3)),
    "rounding": ({"affine": affine(np.eye(3) + 1e-9, (0, 1, 1))}, (1, 1, 1), (0, 1, 1)),
    "too little to see": ({"affine": affine([[1, 0, 0], [0, 1, 1e-5], [0, -1e-5, 1]],
                                            (0, 0, 0))}, (1, 1, 1), (0, 0, 0)),
    "turned by 0": ({"rotate": 0.0}, (1, 1, 1), (0, 0, 0)),
    "turned by 0, thrice": ({"rotate": (0, 0, 0)}, (1, 1, 1), (0, 0, 0)),
    "turned by 360": ({"rotate": 360.0}, (1, 1, 1), (0, 0, 0)),
    "turned there and back": (
        {"rotate": 30.0, "affine": Affine(rotate=-30.0, ndim=3)},
        (1, 1, 1), (0, 0, 0)),
    "shear 0": ({"shear": (0, 0, 0)}, (1, 1, 1), (0, 0, 0)),
    # Mirrored layers are read backwards, so that they stay where they are.
    "turned by 180": ({"rotate": 180.0}, (1, 1, 1), (0, -19, -29)),
    "turned by 180 about z": ({"rotate": (0, 0, 180)}, (1, 1, 1), (0, -19, -29)),
    "turned by 180 about x": ({"rotate": (180, 0, 0)}, (1, 1, 1), (-3, -19, 0)),
    "mirrored": ({"affine": affine(np.diag([1, 1, -2]), (0, 0, 100))},
                 (1, 1, 2), (0, 0, 42)),
}
# fmt: on


@pytest.mark.parametrize("place", PLACES)
def test_moves_and_scales_are_taken_however_they_are_said(place):
    given, scale, start = PLACES[place]
    meta = {"rgb": False, "axis_labels": ("z", "y", "x")} | given
    for data in (np.zeros(SHAPE, "u1"), np.zeros((*SHAPE, 3), "u1")):
        meta = meta | {"rgb": data.ndim == 4}
        description = LayerSource(data, meta).describe()
        at = [description.axes.index(axis) for axis in "zyx"]
        assert [description.scale[i] for i in at] == pytest.approx(scale)
        found = [description.translation[i] for i in at]
        assert found == pytest.approx(start, abs=1e-6)


@pytest.mark.parametrize("place", PLACES)
def test_a_layer_lies_in_the_world_where_its_pixels_are_stored(place):
    """The corners of the layer, as napari says, and those of what is stored."""
    layer = Image(np.zeros(SHAPE), axis_labels=("z", "y", "x"), **PLACES[place][0])
    description = LayerSource.of(layer).describe()
    ends = [layer.data_to_world(end) for end in (np.zeros(3), np.array(SHAPE) - 1)]
    stored = np.array(description.translation)
    last = stored + np.array(description.scale) * (np.array(SHAPE) - 1)
    np.testing.assert_allclose(np.min(ends, 0), stored, atol=1e-3)
    np.testing.assert_allclose(np.max(ends, 0), last, atol=1e-3)


# fmt: off
TURNED = {
    "rotate": {"rotate": 30.0},
    "rotate ": {"rotate": (0, 0, 5)},
    "rotate  ": {"rotate": 90.0},
    "shear": {"shear": (0, 0, 0.1)},
    "affine": {"affine": affine([[1, 0, 0], [0, 1, 0.1], [0, 0, 1]], (0, 0, 0))},
    "affine ": {"affine": affine([[1, 0, 0], [0, 0, 1], [0, 1, 0]], (0, 0, 0))},
    "shear, rotate": {"rotate": 30.0, "shear": (0, 0, 0.1)},
}
# fmt: on


@pytest.mark.parametrize("names", TURNED)
def test_the_others_are_refused_with_what_to_do(names):
    layer = Image(np.zeros(SHAPE), name="my cells", **TURNED[names])
    with pytest.raises(InvalidProperties) as caught:
        LayerSource.of(layer)
    said = str(caught.value)
    assert f"'my cells' is turned or slanted by {names.strip()}, " in said
    for name in names.strip().split(", "):
        assert f"layer.{name}" in said


@pytest.mark.parametrize(
    "given",
    [
        {"affine": np.ones((3, 4))},
        {"affine": np.full((6, 6), 2.0)},
        {"rotate": (1.0, 2.0)},
        {"shear": (1.0, 2.0)},
    ],
)
def test_what_is_no_transform_is_refused_by_name(given):
    with pytest.raises(InvalidProperties, match="'my cells'"):
        LayerSource(np.zeros(SHAPE), {"name": "my cells", "rgb": False} | given)
