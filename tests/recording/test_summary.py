"""What settings come to, in words: whole frames, all of a disk but its reserve."""

import dataclasses
import math

import numpy as np
import pytest

from napari_zarr_stream import StorageProperties, plan
from napari_zarr_stream._recording.disk import RESERVE_BYTES
from napari_zarr_stream._recording.summary import summary_of
from napari_zarr_stream._sources.source import SourceDescription

LZ4 = "ZarrV3Blosc1Lz4ByteShuffle"


def camera(frame, dtype=np.uint8, rate=None, frames=None):
    """A source of frames of a shape: (height, width), or with planes before that."""
    axes = "tcyx" if len(frame) == 3 else "tyx"
    count = len(axes)
    return SourceDescription(
        name="camera",
        axes=axes,
        shape=(frames, *frame),
        dtype=np.dtype(dtype),
        scale=(1.0,) * count,
        translation=(0.0,) * count,
        units=(None,) * count,
        planes_per_frame=math.prod(frame[:-2]),
        frame_rate=rate,
    )


def summary(properties, *sources, free=None):
    return str(parts_of_summary(properties, *sources, free=free))


def parts_of_summary(properties, *sources, free=None):
    return summary_of(
        [
            (
                plan(properties, axes=of.axes, shape=of.shape, dtype=of.dtype),
                properties,
                of,
            )
            for of in sources
        ],
        free,
    )


ONE_LEVEL = {"enable_multiscale": False}


@pytest.mark.parametrize(
    ("options", "rate", "said"),
    [
        # 16 MiB of 512 x 512 pixels: 32 frames
        ({"sharded": True}, 4.0, "a crash could cost the last 8 s, until it is repair"),
        ({"sharded": True}, None, "a crash could cost the last file, until it is rep"),
        ({"sharded": False}, 4.0, None),
    ],
)
def test_what_a_crash_costs_on_a_disk_without_holes(options, rate, said):
    properties = StorageProperties("a", tile_width=512, tile_height=512, **options)
    of = camera((512, 512), np.uint16, rate)
    planned = plan(properties, axes=of.axes, shape=of.shape, dtype=of.dtype)
    words = [
        str(summary_of([(planned, properties, of)], None, has_holes=has_holes))
        for has_holes in (False, True)
    ]
    assert "no holes" not in words[1]
    assert ("no holes" in words[0]) == bool(said)
    assert (said or "") in words[0]


@pytest.mark.parametrize(
    ("frame", "options", "said"),
    [
        ((1000, 1000), ONE_LEVEL, "10 MB/s, disk space for 17 min or more"),
        ((3, 1000, 1000), ONE_LEVEL, "30 MB/s, disk space for 6 min or more"),
        ((1000, 1000), {"tile_width": 500, "tile_height": 500}, "12.5 MB/s"),
        ((3, 1000, 1000), {"tile_width": 500, "tile_height": 500}, "37.5 MB/s"),
        ((3, 1000, 1000), {"tile_width": 500, "tile_height": 500}, "12 tiles of 500"),
        ((3, 1000, 1000), {"frames_per_chunk": 15}, "A chunk layer fills in 2 s"),
    ],
    ids=["grey", "colours", "levels", "colours, levels", "tiles", "chunk layer"],
)
def test_rates_and_times_are_of_whole_frames(frame, options, said):
    """At 10 frames a second, with 10 GB free beyond the reserve."""
    properties = StorageProperties("a.zarr", LZ4, **options)
    free = 10**10 + RESERVE_BYTES
    text = summary(properties, camera(frame, rate=10.0), free=free)
    assert said in text


def test_all_that_is_recorded_shares_the_disk():
    properties = StorageProperties("a.zarr", LZ4, **ONE_LEVEL)
    grey, colours = camera((1000, 1000), rate=10.0), camera((3, 1000, 1000), rate=10.0)
    text = summary(properties, grey, colours, free=2 * 10**10 + RESERVE_BYTES)
    assert "10 MB/s\n" in text
    assert "30 MB/s\n" in text
    assert "Together: 40 MB/s, disk space for 8 min or more\n" in text


def test_what_does_not_fit_beside_the_reserve_is_said():
    properties = StorageProperties("a.zarr", LZ4, **ONE_LEVEL)
    source = camera((3, 1000, 1000), frames=1000)
    text = summary(properties, source, free=2 * 10**9 + RESERVE_BYTES)
    assert (
        "3 GB in all before compression, but only 2 GB free beyond the reserve" in text
    )


def test_levels_of_volumes_are_halved_along_z_as_well():
    source = dataclasses.replace(
        camera((8, 64, 64), frames=10), axes="tzyx", planes_per_frame=1
    )
    properties = StorageProperties(
        "a.zarr", LZ4, tile_planes=4, tile_width=32, tile_height=32
    )
    assert f"{10 * 64 * 64 * 9 / 1000:.3g} kB in all" in summary(properties, source)


@pytest.mark.parametrize(
    ("kind", "options", "fills", "costs"),
    [
        (LZ4, {"frames_per_chunk": 30}, "60 s", "60 s, until"),
        (LZ4, {"frames_per_chunk": 4}, "8 s", None),
        (LZ4, {"frames_per_chunk": 30, "tile_width": 32}, "60 s", "60 s, until"),
        ("Zarr", {"frames_per_chunk": 30}, "60 s", None),
        ("ZarrV3", {"sharded": True}, None, None),
        ("ZarrV3", {"sharded": True, "frames_per_chunk": 30}, "60 s", "60 s: fewer"),
    ],
)  # fmt: skip
def test_the_summary_says_what_a_crash_costs(kind, options, fills, costs):
    given = StorageProperties("a.zarr", kind, **options)
    said = summary(given, camera((512, 512), np.uint16, 0.5), free=10**12)
    assert (f"A chunk layer fills in {fills}" in said) == (fills is not None)
    assert ("A crash could cost" in said) == (costs is not None)
    assert costs is None or f"the last {costs}" in said


SMALL_CAP = {"max_bytes_per_chunk": 2**24}


@pytest.mark.parametrize(
    ("source", "options", "file"),
    [
        (
            camera((2048, 2048), np.uint16, 30.0),
            {"tile_width": 512, "tile_height": 512, "sharded": True, **SMALL_CAP},
            "32 frames of 512 × 512 px, 16 MiB",
        ),
        (
            camera((2048, 2048), np.uint16, 30.0),
            SMALL_CAP,
            "2 frames of 2048 × 2048 px, 16 MiB",
        ),
        (
            camera((100, 200), frames=7),
            SMALL_CAP,
            "7 frames of 200 × 100 px, 0.134 MiB",
        ),
        (
            dataclasses.replace(
                camera((8, 64, 64), frames=10), axes="tzyx", planes_per_frame=1
            ),
            {"tile_planes": 4, **SMALL_CAP},
            "10 frames of 64 × 64 px × 4 planes, 0.156 MiB",
        ),
    ],
    ids=["shards", "whole frames", "short", "volumes"],
)
def test_three_lines_come_first(source, options, file):
    given = StorageProperties("a.zarr", LZ4, **options)
    brief = parts_of_summary(given, source, free=10**12).brief.splitlines()
    assert brief[0] == f"One file: {file}"
    assert "MB/s, disk space for" in brief[1] or "in all" in brief[1]
    assert brief[2].endswith(" of memory")
    assert len(brief) == 3
    assert max(map(len, brief)) <= 64
