"""Levels of a pyramid: level 0 is the truth, the others where they fit."""

import shutil

import pytest
from odd_stores import KINDS, addressed, change, write

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.reader import layers_of


@pytest.mark.parametrize("kind", KINDS)
def test_levels_that_are_ahead_are_cut(kind, path):
    write(path, addressed((6, 40, 40)), kind)
    array = path / "0" / ("zarr.json" if kind.zarr_format == 3 else ".zarray")
    change(array, lambda d: d.update(shape=[4, 40, 40]))
    change_axes = path / ("zarr.json" if kind.zarr_format == 3 else ".zattrs")

    def call_it_time(document):
        ome = document.get("attributes", {}).get("ome", document)
        ome["multiscales"][0]["axes"][0] = {"name": "t", "type": "time"}

    change(change_axes, call_it_time)
    ((data, _, _),) = layers_of(path)
    assert {level.shape[0] for level in data} == {4}


def test_a_lost_level_leaves_the_others(path):
    pixels = addressed((3, 40, 50))
    write(path, pixels)
    shutil.rmtree(path / "1")
    with pytest.warns(UserWarning, match=r"left out a level.*image.ome.zarr/1"):
        ((data, _, _),) = layers_of(path)
    assert [level.shape for level in data] == [(3, 40, 50), (3, 10, 13)]
    shutil.rmtree(path / "0")
    with pytest.raises(InvalidStore, match=r"image.ome.zarr/0 cannot be opened"):
        layers_of(path)
