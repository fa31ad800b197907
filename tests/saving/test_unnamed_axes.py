"""Layers whose axes nobody named: those of others win, guesses are said."""

import warnings

import numpy as np
import pytest
import tifffile
import zarr
from napari.layers import Image, Labels

from napari_zarr_stream import InvalidProperties
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._sources.layer import LayerSource

MOVIE = np.random.default_rng(0).poisson(300, (4, 64, 80)).astype("u2")
SCALE, UNITS, TYX = (2.0, 0.325, 0.325), ("s", "um", "um"), ("t", "y", "x")
PLACE = {"scale": SCALE, "units": UNITS, "axis_labels": TYX}
FLOAT32 = tuple(np.asarray(SCALE, "f4").astype(float))


def movie(**other):
    return Image(MOVIE, name="movie", **PLACE | other)


def saved(path, *layers):
    """Documents of the image, and all that was told."""
    told = []
    sources = [LayerSource.of(layer) for layer in layers]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        export_layers(sources, default_properties(path), tell=told.append)
    return zarr.open_group(path, mode="r").attrs["ome"], told


def place(ome):
    [image] = ome["multiscales"]
    scale = image["datasets"][0]["coordinateTransformations"][0]["scale"]
    return "".join(axis["name"] for axis in image["axes"]), scale


# What a user has after running a plugin on a recording:
# napari 1199, ome/napari-ome-zarr 101 and 163, fractal napari-ome-zarr-navigator 62
# fmt: off
LAYERS = {  # how a plugin adds its result
    "nothing": {},
    "scale": {"scale": SCALE},
    "scale through 32 bits": {"scale": FLOAT32},
    "scale and units": {"scale": SCALE, "units": UNITS},
    "all but some labels": {"scale": SCALE, "axis_labels": ("", "y", "x")},
    "all, through 32 bits": PLACE | {"scale": FLOAT32},
    "affine": {"affine": np.diag([*SCALE, 1])},
    "moved by nothing": PLACE | {"translate": (0, 1e-7, 0)},
}
# fmt: on


@pytest.mark.parametrize("kind", [Image, Labels])
@pytest.mark.parametrize("name", LAYERS)
def test_a_recording_and_what_a_plugin_made_of_it_are_saved_together(
    tmp_path, kind, name
):
    result = kind(MOVIE // 2, name="result", **LAYERS[name])
    for number, layers in enumerate([(movie(), result), (result, movie())]):
        path = tmp_path / f"{number}.zarr"
        ome, told = saved(path, *layers)
        given = LAYERS[name]
        unnamed = given.get("axis_labels") != TYX and "units" not in given
        said = "axes of 'result' are not named: taken from 'movie', tyx"
        assert told == ([said] if unnamed else [])
        if kind is Image:
            assert place(ome) == ("tcyx", pytest.approx([2.0, 1.0, 0.325, 0.325]))
            continue
        assert place(ome) == ("tyx", list(SCALE))
        found = zarr.open_group(path / "labels" / "result", mode="r").attrs["ome"]
        assert place(found) == ("tyx", pytest.approx(SCALE))


def test_the_channels_of_an_image_need_not_be_in_its_labels(tmp_path):
    pixels = np.zeros((2, 3, 64, 80), "u2")
    image = Image(pixels, name="a", axis_labels=("t", "c", "y", "x"))
    labels = Labels(pixels[:, 0].astype("u1"), name="b")
    _, told = saved(tmp_path / "a.zarr", image, labels)
    assert told == ["axes of 'b' are not named: taken from 'a', tyx"]
    found = zarr.open_group(tmp_path / "a.zarr" / "labels" / "b", mode="r").attrs["ome"]
    assert place(found)[0] == "tyx"


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 64, 80), "zyx"), ((2, 3, 64, 80), "tzyx"), ((2, 5, 3, 64, 80), "tczyx")],
)
def test_a_guess_is_said(tmp_path, shape, axes):
    image = Image(np.zeros(shape), name="a")
    labels = Labels(np.zeros(shape, "u1"), name="b")
    ome, told = saved(tmp_path / "a.zarr", image)
    assert place(ome)[0] == axes
    assert len(told) == 1
    assert f"'a' are not named and were guessed: {axes}" in told[0]
    if "c" not in axes:
        _, told = saved(tmp_path / "b.zarr", image, labels)
        assert len(told) == 1
        assert "'a', 'b' are not named" in told[0]


def test_a_guess_is_a_warning_where_nobody_listens(tmp_path):
    source = LayerSource.of(Image(np.zeros((4, 64, 80)), name="a"))
    with pytest.warns(UserWarning, match="'a' are not named and were guessed: zyx"):
        export_layers([source], default_properties(tmp_path / "a.zarr"))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"axis_labels": TYX},
        {"units": UNITS},
        {"scale": SCALE, "units": ("um", "um", "um")},
    ],
)
def test_what_needs_no_guess_needs_no_word(tmp_path, given):
    pixels = MOVIE if given else MOVIE[0]
    _, told = saved(tmp_path / "a.zarr", Image(pixels, **given))
    assert told == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"scale": (2.0, 0.3251, 0.325)}, "scale"),
        ({"translate": (0, 0.1, 0)}, "translation"),
        ({"units": ("s", "nm", "um")}, "units"),
    ],
)
def test_another_place_is_another_image(tmp_path, given, said):
    other = Image(MOVIE, name="other", **PLACE | given)
    with pytest.raises(InvalidProperties, match=f"'movie' and 'other'.*{said}"):
        saved(tmp_path / "a.zarr", movie(), other)


def test_layers_dragged_together_are_channels_of_one_image(tmp_path):
    moved = np.eye(4)
    moved[1:3, 3] = 12.5, -7
    ome, _ = saved(tmp_path / "a.zarr", movie(affine=moved), movie(affine=moved))
    dataset = ome["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert dataset[1]["translation"] == [0.0, 0.0, 12.5, -7.0]


# napari 5162 and 8162, ndev-kit/napari-ndev 76
def test_what_a_window_opened_from_a_file_is_saved_as_the_file_says(
    make_napari_viewer, tmp_path
):
    pixels = np.arange(2 * 5 * 3 * 16 * 20, dtype="u2").reshape(2, 5, 3, 16, 20)
    tifffile.imwrite(
        tmp_path / "hyper.tif",
        pixels,
        imagej=True,
        metadata={"axes": "TZCYX", "spacing": 2.0, "unit": "um"},
        resolution=(4.0, 4.0),
    )
    viewer = make_napari_viewer()
    viewer.open(str(tmp_path / "hyper.tif"), plugin="napari")
    path = tmp_path / "a.zarr"
    viewer.layers.save(str(path), plugin="napari-zarr-stream")
    ome = zarr.open_group(path, mode="r").attrs["ome"]
    assert place(ome) == ("tczyx", [1.0, 1.0, 2.0, 0.25, 0.25])
    stored = zarr.open_array(path / "0", mode="r")[...]
    np.testing.assert_array_equal(stored, pixels.transpose(0, 2, 1, 3, 4))
