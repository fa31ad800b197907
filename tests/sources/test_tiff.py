"""Axes and pixel sizes of TIFF files, as their own programs wrote them."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.plugins import _initialize_plugins

from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._sources.tiff import place_in_tiff

UM = "micrometer"


def imagej(path, shape, axes, **metadata):
    tifffile.imwrite(
        path,
        np.zeros(shape, "u2"),
        imagej=True,
        metadata={"axes": axes, "spacing": 2.0, "unit": "um"} | metadata,
        resolution=(1 / 0.25, 1 / 0.5),
    )


def ome(path, shape, axes, **metadata):
    sizes = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5, "PhysicalSizeZ": 2.0}
    if metadata.pop("plain", False):
        sizes = {}
    tifffile.imwrite(
        path,
        np.zeros(shape, "u2"),
        ome=True,
        metadata={"axes": axes} | sizes | metadata,
    )


def shaped(path, shape, axes):
    tifffile.imwrite(path, np.zeros(shape, "u2"), metadata={"axes": axes})


# napari 5162 and 8162, ome/ome-zarr-py 458, ndev-kit/napari-ndev 76
# fmt: off
FILES = {  # how it is written: labels, scale, units
    "imagej hyperstack": (imagej, (2, 5, 3, 64, 80), "TZCYX", {},
        "tzcyx", (1, 2, 1, 0.5, 0.25), ("pixel", UM, "pixel", UM, UM)),
    "imagej time": (imagej, (7, 64, 80), "TYX", {"finterval": 0.5},
        "tyx", (0.5, 0.5, 0.25), ("second", UM, UM)),
    "imagej volume": (imagej, (7, 64, 80), "ZYX", {}, "zyx", (2, 0.5, 0.25), (UM,) * 3),
    "imagej channels": (imagej, (3, 64, 80), "CYX", {},
        "cyx", (1, 0.5, 0.25), ("pixel", UM, UM)),
    "imagej plane": (imagej, (64, 80), "YX", {}, "yx", (0.5, 0.25), (UM, UM)),
    "imagej micron": (imagej, (7, 64, 80), "ZYX", {"unit": "micron"},
        "zyx", (2, 0.5, 0.25), (UM,) * 3),
    "imagej \u00b5m": (imagej, (7, 64, 80), "ZYX", {"unit": "\\u00B5m"},
        "zyx", (2, 0.5, 0.25), (UM,) * 3),
    "imagej pixel": (imagej, (7, 64, 80), "ZYX", {"unit": "pixel"}, "zyx", None, None),
    "imagej odd unit": (imagej, (7, 64, 80), "ZYX", {"unit": "bananas"},
        "zyx", None, None),
    "ome": (ome, (2, 3, 5, 64, 80), "TCZYX", {},
        "tczyx", (1, 1, 2, 0.5, 0.25), ("pixel", "pixel", UM, UM, UM)),
    "ome, another order": (ome, (2, 5, 3, 64, 80), "TZCYX", {},
        "tzcyx", (1, 2, 1, 0.5, 0.25), ("pixel", UM, "pixel", UM, UM)),
    "ome, units": (ome, (5, 64, 80), "ZYX",
        {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"},
        "zyx", (2, 0.5, 0.25), ("nanometer",) * 3),
    "ome, time": (ome, (5, 64, 80), "TYX",
        {"TimeIncrement": 3, "TimeIncrementUnit": "ms"},
        "tyx", (3, 0.5, 0.25), ("millisecond", UM, UM)),
    "ome, unit unknown": (ome, (5, 64, 80), "ZYX",
        {"PhysicalSizeZUnit": "reference frame"},
        "zyx", (1, 0.5, 0.25), ("pixel", UM, UM)),
    "ome, no sizes": (ome, (5, 64, 80), "TYX", {"plain": True}, "tyx", None, None),
    "axes alone": (shaped, (2, 3, 5, 64, 80), "TCZYX", {}, "tczyx", None, None),
}
# fmt: on


def written(name, folder):
    write, shape, axes, metadata, labels, scale, units = FILES[name]
    path = folder / ("image.ome.tif" if write is ome else "image.TIF")
    write(path, shape, axes, **metadata)
    expected = {"axis_labels": list(labels)}
    if scale:
        expected |= {"scale": pytest.approx(scale), "units": list(units)}
    return path, shape, expected


@pytest.mark.parametrize("name", FILES)
def test_what_the_file_says(name, tmp_path):
    path, shape, expected = written(name, tmp_path)
    assert place_in_tiff(path, shape) == expected


@pytest.mark.parametrize("name", FILES)
def test_a_layer_that_napari_opened(name, tmp_path):
    path, shape, expected = written(name, tmp_path)
    _initialize_plugins()
    [layer] = ViewerModel().open(str(path), plugin="napari")
    assert layer.data.shape == shape
    source = LayerSource.of(layer)
    assert source.guessed == ""
    assert [axis.name for axis in source.axes] == expected["axis_labels"]
    assert [axis.scale for axis in source.axes] == expected.get(
        "scale", [1.0] * len(shape)
    )
    units = [axis.unit or "pixel" for axis in source.axes]
    assert units == expected.get("units", ["pixel"] * len(shape))


def test_what_the_user_says_counts_more(tmp_path):
    path, *_ = written("imagej time", tmp_path)
    _initialize_plugins()
    [layer] = ViewerModel().open(str(path), plugin="napari")
    layer.scale = (9, 1, 1)
    source = LayerSource.of(layer)
    assert source.axes[0] == ("t", 7, 9, 0, None)
    assert [axis.unit for axis in source.axes] == [None] * 3
    layer.axis_labels = ("z", "y", "x")
    source = LayerSource.of(layer)
    assert source.axes[0] == ("z", 7, 9, 0, None)


def test_colours_have_no_label(tmp_path):
    path = tmp_path / "rgb.tif"
    pixels = np.zeros((5, 64, 80, 3), "u1")
    tifffile.imwrite(path, pixels, photometric="rgb", metadata={"axes": "TYXS"})
    place = place_in_tiff(path, pixels.shape, is_rgb=True)
    assert place == {"axis_labels": ["t", "y", "x"]}
    place = place_in_tiff(path, pixels.shape, is_rgb=False)
    assert place == {"axis_labels": ["t", "y", "x", "c"]}


def test_axes_that_the_file_does_not_name_stay_without_a_name(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 64, 80), "u1"))
    [first, *others] = place_in_tiff(tmp_path / "a.tif", (5, 64, 80))["axis_labels"]
    assert (first, others) == ("", ["y", "x"])


def test_another_shape_or_another_file_says_nothing(tmp_path):
    path, *_ = written("imagej time", tmp_path)
    assert place_in_tiff(path, (8, 64, 80)) == {}
    assert place_in_tiff(path, (7, 80, 64)) == {}
    assert place_in_tiff(path.rename(tmp_path / "a.png"), (7, 64, 80)) == {}


@pytest.mark.parametrize("content", [b"", b"II*\0", b"no TIFF at all", b"II*\0\xff"])
def test_a_damaged_file_is_said(content, tmp_path):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.warns(UserWarning, match=r"a\.tif names were not read"):
        assert place_in_tiff(tmp_path / "a.tif", (7, 64, 80)) == {}


def test_a_file_that_is_gone_is_said(tmp_path):
    with pytest.warns(UserWarning, match=r"gone\.tif names were not read"):
        assert place_in_tiff(tmp_path / "gone.tif", (7, 64, 80)) == {}
