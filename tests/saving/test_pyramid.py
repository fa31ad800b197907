"""Levels that a layer has already: kept where they are halves, and said rightly."""

from dataclasses import replace

import numpy as np
import pytest
import zarr
from judges import ask

from napari_zarr_stream import InvalidProperties
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export, export_layers
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.record import RECORD_KEY


def levels(*shapes, dtype="u2"):
    """Pixels that no downsampling would make of one another."""
    rng = np.random.default_rng(3)
    return [rng.integers(0, 999, shape).astype(dtype) for shape in shapes]


def small(path, **other):
    return replace(default_properties(path), tile_width=16, tile_height=16, **other)


def stored(path):
    group = zarr.open_group(path, mode="r")
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    return [group[dataset["path"]][...] for dataset in datasets]


def record(path):
    return zarr.open_group(path, mode="r").attrs[RECORD_KEY]


FITTING = {
    "halves": ([(61, 50), (31, 25), (16, 13)], 3),
    "of each plane": ([(3, 61, 50), (3, 31, 25), (3, 16, 13)], 3),
    "z with them": ([(5, 40, 40), (3, 20, 20), (2, 10, 10)], 3),
    "more than we would make": ([(40, 40), (20, 20), (10, 10), (5, 5), (3, 3)], 5),
    "fewer: the rest is made": ([(61, 50), (31, 25)], 2),
}


@pytest.mark.parametrize("name", FITTING)
def test_levels_that_are_halves_are_kept_as_they_are(name, tmp_path):
    shapes, kept = FITTING[name]
    given = levels(*shapes)
    meta = {
        "name": "cells",
        "contrast_limits": (0, 999),
        "scale": (0.5,) * given[0].ndim,
    }
    axes = "zyx"[-given[0].ndim :]
    path = tmp_path / "a.zarr"
    assert export(LayerSource(given, meta, axes=axes), small(path))
    found = stored(path)
    assert len(found) >= kept
    for one, other in zip(found, given, strict=False):
        np.testing.assert_array_equal(one, other)
    assert record(path)["levels_kept"] == kept
    assert found[-1].shape[-1] <= 16
    ask("yaozarrs", path)
    ask("ome_zarr_models", path)
    ask("tensorstore", path)


OTHERS = {
    "rounded down": ([(61, 50), (30, 25)]),
    "a third": ([(60, 60), (20, 20)]),
    "only y": ([(60, 60), (30, 60)]),
    "time": ([(4, 60, 60), (2, 30, 30)]),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_levels_are_made_again(name, tmp_path):
    given = levels(*OTHERS[name])
    axes = "tyx"[-given[0].ndim :]
    export(LayerSource(given, {}, axes=axes), small(tmp_path / "a.zarr"))
    found = stored(tmp_path / "a.zarr")
    np.testing.assert_array_equal(found[0], given[0])
    mean = (given[0][..., 0:2, 0:2].sum(axis=(-1, -2)) + 2) // 4
    np.testing.assert_array_equal(found[1][..., 0, 0], mean)
    assert "levels_kept" not in record(tmp_path / "a.zarr")


def test_without_multiscale_there_is_one_level(tmp_path):
    given = levels((60, 60), (30, 30))
    export(LayerSource(given, {}), small(tmp_path / "a.zarr", enable_multiscale=False))
    assert len(stored(tmp_path / "a.zarr")) == 1


@pytest.mark.parametrize(("step", "moved"), [(None, 1.0), (2, 0.0)])
def test_where_pixels_of_kept_levels_lie(step, moved, tmp_path):
    (full,) = levels((60, 60))
    half = full[::2, ::2] if step else levels((30, 30))[0]
    export(LayerSource([full, half], {"scale": (2, 2)}), small(tmp_path / "a.zarr"))
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    (multiscale,) = group.attrs["ome"]["multiscales"]
    transforms = multiscale["datasets"][1]["coordinateTransformations"]
    start = transforms[1]["translation"] if len(transforms) > 1 else [0.0, 0.0]
    assert start == [moved, moved]
    assert (multiscale["type"] == "decimate") == bool(step)


def test_channels_that_have_the_same_levels_keep_them(tmp_path):
    layers = [
        LayerSource(levels((40, 40), (20, 20), dtype=dtype), {"name": name}, axes="yx")
        for name, dtype in (("a", "u2"), ("b", "u2"))
    ]
    export_layers(layers, small(tmp_path / "a.zarr"))
    found = stored(tmp_path / "a.zarr")
    np.testing.assert_array_equal(found[1][0], levels((40, 40), (20, 20))[1])
    assert [level.shape for level in found[:2]] == [(2, 40, 40), (2, 20, 20)]


def test_an_export_may_begin_at_a_lower_level(tmp_path):
    given = levels((61, 50), (31, 25), (16, 13))
    meta = {"scale": (1, 1), "translate": (10, 20), "contrast_limits": (0, 999)}
    source = LayerSource(given, meta, first_level=1)
    export(source, small(tmp_path / "a.zarr"))
    ((data, placed, _),) = layers_of(tmp_path / "a.zarr")
    np.testing.assert_array_equal(data[0], given[1])
    np.testing.assert_array_equal(data[1], given[2])
    assert placed["scale"] == [2, 2]
    assert placed["translate"] == [10.5, 20.5]  # the centre of four pixels


def test_a_level_that_is_not_there():
    with pytest.raises(InvalidProperties, match=r"2 levels.*no level 2"):
        LayerSource(levels((40, 40), (20, 20)), {}, first_level=2)


def test_colours_stay_those_of_a_pyramid(tmp_path):
    given = levels((64, 64, 3), (32, 32, 3), (16, 16, 3), dtype="u1")
    source = LayerSource(given, {"rgb": True}, first_level=1)
    assert source.describe().shape == (3, 32, 32)
    export(source, small(tmp_path / "a.zarr"))
    np.testing.assert_array_equal(
        stored(tmp_path / "a.zarr")[1], given[2].transpose(2, 0, 1)
    )
