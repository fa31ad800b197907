"""What the user asks for: a wrong one cannot be built."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from napari_zarr_stream import (
    Channel,
    DeviceKind,
    DownsamplingMethod,
    InvalidProperties,
    StorageProperties,
)

KINDS = [
    ("Zarr", 2, None),
    ("ZarrBlosc1ZstdByteShuffle", 2, "zstd"),
    ("ZarrBlosc1Lz4ByteShuffle", 2, "lz4"),
    ("ZarrV3", 3, None),
    ("ZarrV3Blosc1ZstdByteShuffle", 3, "zstd"),
    ("ZarrV3Blosc1Lz4ByteShuffle", 3, "lz4"),
]


@pytest.mark.parametrize(("name", "zarr_format", "compressor"), KINDS)
def test_device_kinds_by_their_names_in_acquire(name, zarr_format, compressor):
    kind = StorageProperties("a.zarr", name).kind
    assert kind == name
    assert (kind.zarr_format, kind.compressor) == (zarr_format, compressor)


def test_there_are_six_kinds_and_five_methods():
    assert [str(kind) for kind in DeviceKind] == [name for name, _, _ in KINDS]
    methods = [str(method) for method in DownsamplingMethod]
    assert methods == ["mean", "decimate", "min", "max", "mode"]


def test_only_decimate_leaves_pixels_where_they_were():
    centring = [method for method in DownsamplingMethod if method.centres_pixels]
    assert set(DownsamplingMethod) - set(centring) == {DownsamplingMethod.DECIMATE}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({"uri": " "}, ["uri", "empty"], id="no-uri"),
        pytest.param(
            {"uri": "s3://bucket/a.zarr"},
            ["s3://", "folders of this computer"],
            id="remote",
        ),
        pytest.param(
            {"device_kind": "zarr"}, ["device_kind", "'zarr'", "ZarrV3"], id="kind"
        ),
        pytest.param(
            {"downsampling_method": "median"},
            ["downsampling_method", "median", "decimate"],
            id="method",
        ),
        pytest.param(
            {"z_halving": "never"}, ["z_halving", "never", "until-it-fits"], id="z"
        ),
        pytest.param({"tile_width": -1}, ["tile_width", "-1"], id="negative"),
        pytest.param({"tile_height": 1.5}, ["tile_height", "1.5"], id="fraction"),
        pytest.param({"tile_planes": "2"}, ["tile_planes", "'2'"], id="text"),
        pytest.param({"frames_per_chunk": True}, ["frames_per_chunk"], id="bool"),
        pytest.param({"max_bytes_per_chunk": None}, ["max_bytes_per_chunk"], id="none"),
        pytest.param(
            {"device_kind": "Zarr", "sharded": True}, ["v2", "shard"], id="v2-sharded"
        ),
        pytest.param(
            {"shard_chunks": (2, 2)}, ["shard_chunks", "sharding on"], id="no-shards"
        ),
        pytest.param(
            {"shard_chunks": 4, "sharded": True}, ["shard_chunks", "two"], id="one"
        ),
        pytest.param(
            {"shard_chunks": (1, -2), "sharded": True},
            ["shard_chunks", "-2"],
            id="less",
        ),
    ],
)
def test_a_wrong_one_cannot_be_built(given, words):
    with pytest.raises(InvalidProperties) as caught:
        StorageProperties(**({"uri": "a.zarr"} | given))
    assert all(word in str(caught.value) for word in words)
    assert isinstance(caught.value, ValueError)


def test_it_is_frozen():
    properties = StorageProperties("a.zarr")
    with pytest.raises(dataclasses.FrozenInstanceError):
        properties.tile_width = 3


def test_numbers_of_numpy_and_paths_become_plain():
    properties = StorageProperties(Path("x") / "a.zarr", tile_width=np.uint8(32))
    assert properties.uri == str(Path("x") / "a.zarr")
    assert properties.path == Path("x") / "a.zarr"
    assert type(properties.tile_width) is int


def test_a_file_uri_is_a_path():
    assert StorageProperties("file:///data/a.zarr").path == Path("/data/a.zarr")


def test_a_channel_has_a_colour_in_six_digits():
    assert Channel("GFP", "#00ff7f").color == "00FF7F"
    with pytest.raises(InvalidProperties, match=r"GFP.*green"):
        Channel("GFP", "green")


@pytest.mark.parametrize("field", ["contrast_limits", "value_range"])
@pytest.mark.parametrize(
    "limits", [(5, 5), (6, 5), (0, float("nan")), (0, float("inf"))]
)
def test_channel_limits_are_a_finite_range(field, limits):
    with pytest.raises(InvalidProperties, match=f"GFP.*{field}"):
        Channel("GFP", **{field: limits})


def test_channel_limits_become_floats():
    limits = Channel("GFP", contrast_limits=(np.uint16(1), 2)).contrast_limits
    assert limits == (1.0, 2.0)
    assert all(type(limit) is float for limit in limits)
