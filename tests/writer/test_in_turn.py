"""Files whose parts lie in the order of their numbers, whichever worker was faster."""

import random

import numpy as np
import pytest

from napari_zarr_stream import StorageProperties, plan
from napari_zarr_stream._writer.array import LevelArray
from napari_zarr_stream._writer.codecs import codec_of
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.ngff import serializer_of

SHAPE = (7, 2, 50, 70)
TILES = {"tile_width": 16, "tile_height": 16, "tile_planes": 1}
CASES = {
    "shards": {"sharded": True, "shard_chunks": (2, 3)},
    "shards of raw chunks": {"sharded": True, "device_kind": "ZarrV3"},
    "shards of several frames": {"sharded": True, "frames_per_chunk": 2},
    "chunks in parts": {"frames_per_chunk": 4, "tile_width": 128, "tile_height": 64},
    "chunks in parts, v2": {
        "frames_per_chunk": 4,
        "tile_width": 128,
        "tile_height": 64,
        "device_kind": "ZarrBlosc1Lz4ByteShuffle",
    },
    "raw chunks": {"frames_per_chunk": 4, "device_kind": "Zarr"},
    "chunks of a frame": {"frames_per_chunk": 1},
}


def written(path, options, chance=None):
    """All files of level 0, boxes of whole parts written in an order of its own."""
    asked = {"device_kind": "ZarrV3Blosc1ZstdByteShuffle"} | TILES | options
    properties = StorageProperties(path, **asked)
    laid = plan(properties, axes="tcyx", shape=SHAPE, dtype="u2")
    kind = properties.kind
    store = LocalStore(path, overwrite=False)
    array = LevelArray(
        laid,
        0,
        store,
        codec_of(kind, laid.blosc_block_bytes, properties.codec_level),
        serializer_of(properties.ngff),
        in_turn=True,
    )
    pixels = np.random.default_rng(3).integers(0, 999, SHAPE).astype("u2")
    if chance is None:
        array.write_box((0, 0, 0, 0), pixels)
    else:
        side = laid.part_shape
        starts = [
            tuple(i * n for i, n in zip(at, side, strict=True))
            for at in np.ndindex(
                *(-(-size // n) for size, n in zip(SHAPE, side, strict=True))
            )
        ]
        chance.shuffle(starts)
        for start in starts:
            box = tuple(slice(a, a + n) for a, n in zip(start, side, strict=True))
            part = pixels[box].copy()
            array.write_box(start, part)
            part[...] = 0  # whoever comes early keeps none of the caller's memory
    array.finish()
    files = {
        file.relative_to(store.root): file.read_bytes()
        for file in store.root.rglob("*")
        if file.is_file()
    }
    store.discard()
    return files


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_the_order_in_which_parts_come_is_not_seen(options, tmp_path):
    chance = random.Random(5)
    expected = written(tmp_path / "a.zarr", options)
    for _ in range(3):
        assert written(tmp_path / "a.zarr", options, chance) == expected
