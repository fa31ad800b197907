"""Exports in pieces: the files of one in a go, and what a killed one left is used."""

from dataclasses import replace

import dask.array as da
import numpy as np
import pytest
import zarr
from programs import start_python
from same_files import same_files
from waiting import wait_until

from napari_zarr_stream import (
    DeviceKind,
    InvalidProperties,
    SourceFailed,
    StoreExists,
    ZHalving,
)
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._saving.pieces import cut, work
from napari_zarr_stream._sources.layer import LayerSource

SIDE = 16


def properties(path, kind=DeviceKind.ZARR_V3_ZSTD, sharded=None, **other):
    asked = {"tile_width": SIDE, "tile_height": SIDE} | other
    return replace(default_properties(path, kind, sharded), **asked)


def pixels(shape=(9, 61, 83), dtype="u2", seed=7):
    return np.random.default_rng(seed).integers(0, 250, shape).astype(dtype)


def one(data, axes, kind="image", **meta):
    return [LayerSource(data, {"name": "cells", "rgb": False} | meta, kind, axes=axes)]


def lazy(shape=(9, 61, 83), chunks=(2, 20, 30), **how):
    return da.from_array(pixels(shape, **how), chunks)


def halved(dtype="u2"):
    return [pixels(shape, dtype) for shape in ((61, 83), (31, 42), (16, 21))]


LAYERS = {
    "movie": lambda: one(lazy(), "tyx"),
    "one plane": lambda: one(pixels((61, 83)), "yx"),
    "volume": lambda: one(lazy(), "zyx"),
    "other order, mirrored": lambda: one(
        lazy((83, 61, 5), (20, 30, 2)), "xyz", scale=(1, 2, -3)
    ),
    "floats": lambda: one(lazy(dtype="f4") / 7, "tyx"),
    "labels": lambda: one(pixels(dtype="i4") // 80, "tyx", "labels"),
    "bool": lambda: one(lazy() > 99, "zyx"),
    "colours": lambda: one(pixels((61, 83, 3), "u1"), "yxc", rgb=True),
    "everything": lambda: one(lazy((4, 3, 5, 40, 50), (2, 1, 2, 40, 20)), "tczyx"),
    "levels that are there": lambda: one(halved(), "yx", multiscale=True),
    "channels and labels": lambda: [
        *one(lazy(), "tyx"),
        LayerSource(lazy(seed=8), {"name": "b", "rgb": False}, axes="tyx"),
        LayerSource(pixels(dtype="i4"), {"name": "names"}, "labels", axes="tyx"),
    ],
}
WAYS = {
    "shards": {},
    "shards of some tiles": {"shard_chunks": (2, 3)},
    "raw shards": {"kind": DeviceKind.ZARR_V3, "frames_per_chunk": 2},
    "joined chunks": {"sharded": False, "frames_per_chunk": 4},
    "v2": {"kind": DeviceKind.ZARR_ZSTD, "frames_per_chunk": 1},
    "v2, joined": {"kind": DeviceKind.ZARR_LZ4, "tile_width": 512, "tile_height": 512},
    "v2, raw": {"kind": DeviceKind.ZARR, "frames_per_chunk": 3},
    "blocks, halved along z": {"tile_planes": 2},
    "blocks of v2": {"kind": DeviceKind.ZARR_ZSTD, "tile_planes": 4},
    "z by voxels": {"tile_planes": 2, "z_halving": ZHalving.BY_VOXEL_SIZE},
    "no levels": {"enable_multiscale": False},
    "least of four": {"downsampling_method": "min"},
}
QUICK = {
    ("movie", "shards of some tiles"),
    ("movie", "v2, joined"),
    ("levels that are there", "joined chunks"),
    ("channels and labels", "v2, raw"),
}
TABLE = [
    pytest.param(
        layers,
        way,
        id=f"{name}, {how}",
        marks=() if (name, how) in QUICK else pytest.mark.long,
    )
    for name, layers in LAYERS.items()
    for how, way in WAYS.items()
]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Several of each level, each read in several goes."""
    monkeypatch.setattr(cut, "PIECE_BYTES", 8000)
    monkeypatch.setattr(work, "READ_BYTES", 3000)


@pytest.mark.parametrize(("layers", "way"), TABLE)
def test_the_files_are_those_of_an_export_in_one_go(layers, way, tmp_path):
    whole, cut_up = tmp_path / "a/cells.zarr", tmp_path / "b/cells.zarr"
    assert export_layers(layers(), properties(whole, **way))
    assert export_layers(layers(), properties(cut_up, **way), resume=True)
    same_files(whole, cut_up)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["cells.zarr"]


# ---------------------------------------------------------------- going on

KILLED = """
import os, sys, threading, time
import dask.array as da, numpy as np
from napari_zarr_stream import export
from napari_zarr_stream._saving.pieces import cut, work

path, resume, planes = sys.argv[1], sys.argv[2] == "resume", int(sys.argv[3])
cut.PIECE_BYTES, work.READ_BYTES = 8000, 3000
given = np.random.default_rng(7).integers(0, 250, (40, 61, 83)).astype("u2")

def block(block_info):
    t = block_info[None]["array-location"][0][0]
    if t >= planes:
        print(flush=True)
        time.sleep(1000)
    return given[t:t + 1]

array = da.map_blocks(block, chunks=((1,) * 40, 61, 83), dtype="u2",
                      meta=np.empty((0, 0, 0), "u2"))
export(array, path, axes="tyx", name="cells", tile_width=16, tile_height=16,
       resume=resume, sharded=False, frames_per_chunk=2)
"""
ASKED = {"sharded": False, "frames_per_chunk": 2}


def movie(seed=7):
    return one(da.from_array(pixels((40, 61, 83), seed=seed), (1, 61, 83)), "tyx")


def killed_at(path, way, planes):
    """An export that waits for a plane, and is killed there; returns its folder."""
    path.parent.mkdir(exist_ok=True)
    with start_python(KILLED, path, way, planes) as process:
        process.stdout.readline()
        if way == "resume":
            wait_until(lambda: len(notes(path)) >= 8)
        else:
            wait_until(lambda: len(list(path.parent.rglob("0/c/8/*/*"))) > 4)
        process.kill()
    [folder] = path.parent.glob(".cells.zarr.????????")
    return folder


def notes(path):
    return list(path.parent.glob(".cells.zarr.*/.pieces/.0.*.json"))


@pytest.mark.parametrize(
    ("way", "verify"),
    [("resume", True), pytest.param("in one go", False, marks=pytest.mark.long)],
)
def test_what_a_killed_one_left_is_not_written_again(way, verify, tmp_path):
    whole, path = tmp_path / "a/cells.zarr", tmp_path / "b/cells.zarr"
    assert export_layers(movie(), properties(whole, **ASKED), verify=verify)
    folder = killed_at(path, way, 24)
    before = {
        (each := folder / key): each.stat().st_mtime_ns
        for file in folder.rglob("*")
        if (key := file.relative_to(folder).as_posix()).startswith("0/c/")
        and (whole / key).is_file()  # not one that was being written
        and (whole / key).read_bytes() == file.read_bytes()
    }
    assert before
    # One that is whole, and not right.
    spoiled = max(before)
    del before[spoiled]
    spoiled.write_bytes(bytes(100))
    assert export_layers(movie(), properties(path, **ASKED), verify=verify, resume=True)
    same_files(whole, path)
    kept = [
        (path / old.relative_to(folder)).stat().st_mtime_ns == changed
        for old, changed in before.items()
    ]
    # Pieces of which a file is wrong, or not there, are done again.
    assert kept.count(False) <= 24 < kept.count(True)
    assert [each.name for each in path.parent.iterdir()] == ["cells.zarr"]


@pytest.mark.parametrize(
    ("layers", "asked", "words"),
    [
        (movie(), {"tile_width": 32}, r"tile_width: 16, now 32"),
        (movie(), {"codec_level": 3}, r"codec_level: 1, now 3"),
        (one(lazy(), "tyx"), {}, r"shape: \[40, 61, 83\], now \[9, 61, 83\]"),
        (movie(seed=8), {}, "pixels of 'cells' are others"),
    ],
    ids=["tiles", "codec", "shape", "pixels"],
)
def test_what_was_of_another_export_is_refused_and_left(
    left_behind, layers, asked, words
):
    path, folder = left_behind
    before = sorted(folder.rglob("*"))
    with pytest.raises(InvalidProperties, match=words):
        export_layers(layers, properties(path, **ASKED | asked), resume=True)
    assert sorted(folder.rglob("*")) == before
    assert list(path.parent.iterdir()) == [folder]


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory):
    path = tmp_path_factory.mktemp("left") / "cells.zarr"
    return path, killed_at(path, "resume", 24)


class Breaking:
    """An array of which a part cannot be read, for as long as `is_broken`."""

    shape, dtype, ndim = (9, 61, 83), np.dtype("u2"), 3
    is_broken = True

    def __getitem__(self, index):
        if self.is_broken and index[0].stop > 6:
            raise OSError("the share is gone")
        return pixels()[index]


def test_one_that_fails_can_be_gone_on_with(tmp_path):
    path, array = tmp_path / "cells.zarr", Breaking()
    with pytest.raises(SourceFailed, match="the share is gone"):
        export_layers(one(array, "tyx"), properties(path), resume=True)
    assert [each.name[:12] for each in tmp_path.iterdir()] == [".cells.zarr."]
    array.is_broken = False
    assert export_layers(one(array, "tyx"), properties(path), resume=True)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(StoreExists, match="Nothing is left to go on with"):
        export_layers(one(array, "tyx"), properties(path), resume=True)
    np.testing.assert_array_equal(zarr.open_array(path / "0", mode="r")[...], pixels())


def test_one_that_is_stopped_leaves_nothing(tmp_path):
    planes = []
    assert not export_layers(
        one(lazy(), "tyx"),
        properties(tmp_path / "cells.zarr"),
        lambda done, _: planes.append(done),
        should_stop=lambda: bool(planes) and planes[-1] > 2,
        resume=True,
    )
    assert list(tmp_path.iterdir()) == []
