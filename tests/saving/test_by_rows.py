"""Planes that are larger than memory: exported by rows, to the same store."""

import threading
from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr
from contents import contents
from programs import run_python

from napari_zarr_stream import SourceFailed, WriteFailed
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving import by_rows
from napari_zarr_stream._saving.export import (
    default_properties,
    export_layers,
    planned_images,
)
from napari_zarr_stream._saving.verify import ReadBack
from napari_zarr_stream._sources.layer import LayerSource

SIDE = 16


def properties(path, **other):
    asked = {"tile_width": SIDE, "tile_height": SIDE} | other
    return replace(default_properties(path), **asked)


def pixels(shape=(61, 83), dtype="u2"):
    return np.random.default_rng(7).integers(0, 250, shape).astype(dtype)


def mapped(tmp_path, mode="r", shape=(61, 83)):
    file = tmp_path / f"pixels-{mode}.raw"
    if not file.exists():  # Windows empties no file that is mapped
        pixels(shape).tofile(file)
    return np.memmap(file, "u2", mode, shape=shape)


def written(tmp_path):
    """To a mapping whose changes are nowhere else."""
    array = mapped(tmp_path, "c")
    array[20:30] = 7
    return array


def in_zarr(tmp_path):
    array = zarr.create_array(
        tmp_path / "given.zarr",
        shape=(61, 83),
        chunks=(13, 19),
        dtype="u2",
        overwrite=True,
    )
    array[...] = pixels()
    return array


def halved(dtype="u2"):
    shapes = (61, 83), (31, 42), (16, 21)
    return [pixels(shape, dtype) for shape in shapes]


def one(data, axes, **meta):
    kind = meta.pop("kind", "image")
    return [LayerSource(data, {"name": "cells", "rgb": False} | meta, kind, axes=axes)]


LAYERS = {
    "memory": lambda _: one(pixels(), "yx"),
    "mapped file": lambda path: one(mapped(path), "yx"),
    "columns of a mapped file": lambda path: one(mapped(path).T, "xy"),
    "changed mapping": lambda path: one(written(path), "yx"),
    "planes of a mapped file": lambda path: one(mapped(path, shape=(3, 61, 83)), "zyx"),
    "dask": lambda _: one(da.from_array(pixels(), (20, 30)), "yx"),
    "dask, other order": lambda _: one(
        da.from_array(pixels((83, 61, 3)), (20, 30, 2)), "xyz"
    ),
    "zarr": lambda path: one(in_zarr(path), "yx"),
    "mirrored": lambda _: one(da.from_array(pixels(), (20, 30)), "yx", scale=(-1, -2)),
    "colours": lambda _: one(pixels((61, 83, 3), "u1"), "yxc", rgb=True),
    "labels": lambda _: one(pixels(dtype="i4") // 80, "yx", kind="labels"),
    "bool": lambda _: one(pixels() > 99, "yx"),
    "floats": lambda _: one(pixels(dtype="f4") / 7, "yx"),
    "levels that are there": lambda _: one(halved(), "yx", multiscale=True),
    "levels of labels": lambda _: one(halved("i4"), "yx", kind="labels"),
    "image and labels": lambda _: [
        *one(pixels(), "yx"),
        LayerSource(pixels(dtype="i4"), {"name": "names"}, "labels", axes="yx"),
    ],
}
LAYERS["channels"] = lambda _: [
    LayerSource(array, {"name": name, "rgb": False}, axes="zyx")
    for name, array in (
        ("a", pixels((2, 61, 83))),
        ("b", da.from_array(pixels((2, 61, 83)) + 1, (2, 20, 83))),
    )
]
QUICK = ["mapped file", "dask, other order", "channels", "levels that are there"]
TABLE = [
    pytest.param(layers, id=name, marks=() if name in QUICK else pytest.mark.long)
    for name, layers in LAYERS.items()
]


@pytest.fixture
def all_by_rows(monkeypatch):
    """Every plane is too large, and what is read and given at once is little."""
    monkeypatch.setattr(by_rows, "MOST_PLANE_BYTES", 0)
    monkeypatch.setattr(by_rows, "APPEND_BYTES", 1000)
    monkeypatch.setattr(by_rows, "MOST_BYTES", 0)
    monkeypatch.setattr(by_rows, "LEAST_READ_BYTES", 4000)


@pytest.mark.parametrize("layers", TABLE)
def test_the_store_is_that_of_the_way_by_planes(layers, tmp_path, request):
    planes, rows = tmp_path / "planes/a.zarr", tmp_path / "rows/a.zarr"
    for path in (planes, rows):
        path.parent.mkdir()
        given = layers(tmp_path)
        if path is rows:
            request.getfixturevalue("all_by_rows")
            planned = planned_images(given, properties(path))
            assert all(image.by_rows for image in planned.values())
        assert export_layers(given, properties(path))
    assert differences(contents(planes), contents(rows)) == set()


def differences(one, other):
    keys = one.keys() | other.keys()
    return {key for key in keys if one.get(key) != other.get(key)}


def test_large_planes_go_by_rows_where_they_can(tmp_path):
    def goes(shape, axes, **other):
        source = LayerSource(da.zeros(shape, dtype="u2"), {"rgb": False}, axes=axes)
        asked = replace(default_properties(tmp_path / "a.zarr"), **other)
        [image] = planned_images([source], asked).values()
        return image.by_rows, image.memory_bytes(verify=True)

    by, memory = goes((40_000, 40_000), "yx")
    assert by
    assert memory < 400 * 2**20
    assert goes((100_000, 100_000), "yx")[1] < 900 * 2**20
    assert goes((2, 3, 20_000, 20_000), "tcyx")[0]
    assert not goes((8_000, 8_000), "yx")[0]
    assert not goes((4, 10_000, 10_000), "zyx", tile_planes=4)[0]
    assert not goes((10_000, 10_000), "yx", tile_height=0)[0]


def test_what_would_make_a_large_plane_go_by_rows_is_said(tmp_path):
    def notes(**other):
        array = da.zeros((4, 10_000, 10_000), dtype="u2")
        asked = replace(default_properties(tmp_path / "a.zarr"), **other)
        [image] = planned_images(
            [LayerSource(array, {"rgb": False}, axes="zyx")], asked
        ).values()
        return " ".join(image.plan.notes)

    assert "tile_planes 1" in notes(tile_planes=4)
    assert "tile_planes 1" not in notes()


def test_one_that_is_stopped_leaves_nothing(all_by_rows, tmp_path):
    calls = []

    def stop():
        calls.append(1)
        return len(calls) > 3

    before = set(threading.enumerate())
    path = tmp_path / "a.zarr"
    assert not export_layers(one(pixels(), "yx"), properties(path), should_stop=stop)
    assert len(calls) == 4
    assert not list(tmp_path.iterdir())
    assert set(threading.enumerate()) <= before


class Broken:
    """An array of which a part cannot be read."""

    shape, dtype, ndim = (61, 83), np.dtype("u2"), 2

    def __getitem__(self, index):
        if index[0].start <= 40 < index[0].stop:
            raise OSError("the disk is gone")
        return pixels()[index]


def test_rows_that_cannot_be_read_are_heard_of(all_by_rows, tmp_path):
    with pytest.raises(SourceFailed, match=r"row \d+ of plane 0 of 1 .*disk is gone"):
        export_layers(one(Broken(), "yx"), properties(tmp_path / "a.zarr"))
    assert not list(tmp_path.iterdir())


def test_what_came_back_otherwise_is_not_saved(all_by_rows, tmp_path, monkeypatch):
    compare = ReadBack.compare

    def spoiled(self, course):
        path = max(self._array.rglob("c/3/*"))
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 4
        path.write_bytes(data)
        compare(self, course)

    monkeypatch.setattr(ReadBack, "compare", spoiled)
    with pytest.raises(WriteFailed, match="differs"):
        export_layers(one(pixels(), "yx"), properties(tmp_path / "a.zarr"))
    assert not list(tmp_path.iterdir())


SLIDE = """
import sys
import dask.array as da, numpy as np
from napari_zarr_stream import export

path, side, dtype, what = sys.argv[1:]
side = int(side)
if what == "mapped":
    array = np.memmap(path + ".raw", dtype, "r", shape=(side, side))
else:
    def block(block_info):
        rows, columns = (np.arange(*ends, dtype="u2")
                         for ends in block_info[None]["array-location"])
        return (np.add.outer(rows % 251, columns % 251) % 251).astype(dtype)
    array = da.map_blocks(block, chunks=da.core.normalize_chunks((1024, 1024), (side,
                          side)), dtype=dtype, meta=np.empty((0, 0), dtype))
export(array, path, axes="yx", name="slide")
# Not `ru_maxrss`: in that is what the test's own process had at most.
status = open("/proc/self/status").read()
print(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
"""


def check_slide(tmp_path, side, dtype, what, most):
    path = tmp_path / "slide.zarr"
    if what == "mapped":
        values = (np.arange(2 * side) % 251).astype(dtype)
        with (tmp_path / "slide.zarr.raw").open("wb") as file:
            for row in range(side):
                file.write(values[row : row + side])
    [peak] = run_python(SLIDE, path, side, dtype, what).stdout.split()
    assert int(peak) < most, "MiB"
    [(levels, *_)] = layers_of(path)
    rows = np.arange(side - 700, side)
    corner = np.add.outer(rows, rows) % 251
    np.testing.assert_array_equal(levels[0][-700:, -700:], corner)
    assert max(levels[-1].shape) <= 512


@pytest.mark.skipif("sys.platform != 'linux'", reason="says no peak of memory")
def test_a_plane_that_is_larger_than_the_memory_it_takes(tmp_path):
    check_slide(tmp_path, 9_000, "u2", "made", 520)


@pytest.mark.long
@pytest.mark.skipif("sys.platform != 'linux'", reason="says no peak of memory")
@pytest.mark.parametrize("what", ["made", "mapped"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_a_slide_of_40_000_pixels_a_side(what, dtype, tmp_path):
    check_slide(tmp_path, 40_000, dtype, what, 500)
