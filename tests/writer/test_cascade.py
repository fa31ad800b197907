"""Volumes halved along z while they come: to the pixel, and in little memory."""

import numpy as np
import pytest
import zarr
from frames import planes

from napari_zarr_stream import StorageProperties, ZarrStream, plan
from napari_zarr_stream._writer import intake, slot_queue
from napari_zarr_stream._writer.downsample import halve
from napari_zarr_stream._writer.properties import DownsamplingMethod

KINDS = {
    "raw": {"device_kind": "ZarrV3"},
    "raw-v2": {"device_kind": "Zarr"},
    "zstd-v2": {"device_kind": "ZarrBlosc1ZstdByteShuffle"},
    "sharded": {"device_kind": "ZarrV3Blosc1Lz4ByteShuffle", "sharded": True},
}

TILES = {"tile_width": 32, "tile_height": 32, "frames_per_chunk": 1}


def halved(volumes, of, level):
    """Volumes, (n, planes, height, width), of `level` + 1 from those of `level`."""
    step = 2 if of.halves_z_below(level) else 1
    starts = range(0, volumes.shape[1], step)
    size = of.plane_shape(level + 1)
    below = np.empty((len(volumes), len(starts), *size), volumes.dtype)
    for volume, out in zip(volumes, below, strict=True):
        for z, half in zip(starts, out, strict=True):
            halve(list(volume[z : z + step]), half, DownsamplingMethod.MEAN)
    return below


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("axes", "shape", "tile_planes", "count"),
    [
        pytest.param("zyx", (16,), 4, 16, id="tiles-fit"),
        pytest.param("zyx", (13,), 3, 13, id="odd-tiles-and-planes"),
        pytest.param("zyx", (13,), 3, 7, id="cut-in-a-pair"),
        pytest.param("zyx", (13,), 3, 1, id="one-plane"),
        pytest.param("tzyx", (None, 9), 2, 27, id="one-after-another"),
        pytest.param("tczyx", (2, 3, 5), 2, 30, id="channels"),
    ],
)
def test_every_level_is_the_halves_of_the_one_above(
    tmp_path, kind, axes, shape, tile_planes, count
):
    path, size = tmp_path / "a.zarr", (70, 150)
    properties = StorageProperties(
        path, tile_planes=tile_planes, **TILES, **KINDS[kind]
    )
    frames = planes(count, size)
    with ZarrStream(
        properties, axes=axes, shape=(*shape, *size), dtype="uint16"
    ) as stream:
        assert stream.plan.cascades
        for first in range(0, count, 5):
            stream.append(frames[first : first + 5])
    depth = min(count, shape[-1])
    expected = frames.reshape(-1, depth, *size)
    group = zarr.open_group(path, mode="r")
    for level in range(len(stream.plan.level_shapes)):
        pixels = group[str(level)][:]
        np.testing.assert_array_equal(pixels.reshape(expected.shape), expected)
        if level + 1 < len(stream.plan.level_shapes):
            expected = halved(expected, stream.plan, level)


def plan_of(depth):
    properties = StorageProperties("a.zarr", tile_planes=16, **TILES)
    return plan(properties, axes="tzyx", shape=(None, depth, 128, 128), dtype="u2")


def test_memory_does_not_grow_with_the_depth_of_a_volume():
    """acquire-zarr#232: 1.2 GB, and no byte on disk until the volume of 2048 ended."""
    assert plan_of(2048).peak_memory_bytes == plan_of(256).peak_memory_bytes


def test_a_volume_is_written_while_it_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "SEAL_AFTER_S", 0.0)
    monkeypatch.setattr(intake, "COMMIT_INTERVAL_S", 0.0)
    monkeypatch.setattr(slot_queue, "LOOK_INTERVAL_S", 0.01)
    properties = StorageProperties(tmp_path / "a.zarr", tile_planes=4, **TILES)
    shape = (None, 256, 64, 64)
    with ZarrStream(properties, axes="tzyx", shape=shape, dtype="uint16") as stream:
        stream.append(planes(200, (64, 64)))
        stream.flush()
        status = stream.status()
        assert status.bytes_written > status.bytes_appended // 50
        for level in ("0", "1"):
            assert any((tmp_path / "a.zarr" / level / "c").rglob("*"))
