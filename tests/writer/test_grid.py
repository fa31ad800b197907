"""Where a pixel goes: the worked examples to the digit, each function by hand, and laws
that hold for any shape."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from napari_zarr_stream import InvalidProperties, StorageProperties, plan
from napari_zarr_stream._writer.codecs import (
    MAX_BLOSC_BYTES,
    blosc_block,
    stored_dtype,
)
from napari_zarr_stream._writer.limits import MAX_FILES_AT_ONCE, MAX_INDEX_BYTES
from napari_zarr_stream._writer.memory import FILE_BYTES
from napari_zarr_stream._writer.plan import (
    MAX_BLOCK_BYTES,
    MAX_CHUNKS_PER_SHARD,
    Plan,
)

MIB = 2**20
LZ4 = "ZarrV3Blosc1Lz4ByteShuffle"


def make(axes, shape, dtype="uint16", kind=LZ4, **options) -> Plan:
    properties = StorageProperties("a.zarr", kind, **options)
    return plan(properties, axes=axes, shape=shape, dtype=dtype)


def camera():
    """The first worked example: 1920 x 1080 in 3 x 3 tiles."""
    options = {"tile_width": 640, "tile_height": 360, "max_bytes_per_chunk": 64 * MIB}
    return make("tyx", (None, 1080, 1920), "uint8", **options)


def stacked():
    """Tiles too small to be encoded by themselves."""
    options = {"tile_width": 64, "tile_height": 64, "frames_per_chunk": 60}
    return make("tyx", (None, 128, 100), **options)


def volumes():
    """Stacks of 5 planes, two channels, halved in z, 3 frames a chunk."""
    return make(
        "tczyx", (None, 2, 5, 64, 64), tile_width=32, tile_height=32, tile_planes=2,
        frames_per_chunk=3,
    )  # fmt: skip


def raw():
    """Stacks of 5 planes written plane by plane into chunks of 4 frames."""
    options = {"tile_planes": 2, "frames_per_chunk": 4, "enable_multiscale": False}
    return make("tzyx", (None, 5, 64, 64), kind="ZarrV3", **options)


def sharded():
    return make("tyx", (None, 512, 500), tile_width=256, tile_height=256, sharded=True)


# the worked examples


def test_worked_example_of_chunks():
    p = camera()
    assert p.tiles_per_plane == 9
    assert p.frames_per_chunk == 291
    assert p.bytes_per_chunk == 67_046_400
    assert f"{p.bytes_per_chunk / MIB:.2f}" == "63.94"
    assert p.chunk_shape == (291, 360, 640)
    assert p.shard_shape is None
    assert p.notes == ()


def test_worked_example_of_levels():
    p = make("tyx", (None, 1080, 1920), "uint8", tile_width=384, tile_height=216)
    sizes = [(1080, 1920), (540, 960), (270, 480), (135, 240)]
    assert p.level_shapes == tuple((None, *size) for size in sizes)


# tiles, chunks, shards


@pytest.mark.parametrize(
    ("options", "tile_shape"),
    [
        pytest.param({}, (7, 300, 400), id="unset"),
        pytest.param({"tile_width": 401}, (7, 300, 400), id="larger-than-frame"),
        pytest.param({"tile_width": 399}, (7, 300, 399), id="almost"),
        pytest.param(
            {"tile_planes": 1, "tile_height": 64, "tile_width": 32},
            (1, 64, 32),
            id="all",
        ),
        pytest.param({"tile_planes": 9}, (7, 300, 400), id="more-planes"),
    ],
)
def test_tile_shape(options, tile_shape):
    assert make("zyx", (7, 300, 400), **options).tile_shape == tile_shape


@pytest.mark.parametrize(
    ("cap", "in_force", "notes"),
    [
        pytest.param(0, 16 * MIB, 0, id="unset"),
        pytest.param(MIB, 16 * MIB, 1, id="raised-and-said"),
        pytest.param(16 * MIB, 16 * MIB, 0, id="least"),
        pytest.param(1024 * MIB, 1024 * MIB, 0, id="no-maximum"),
    ],
)
def test_chunk_cap(cap, in_force, notes):
    p = make("tyx", (None, 1024, 1024), "uint8", max_bytes_per_chunk=cap)
    assert p.max_bytes_per_chunk == in_force
    assert p.frames_per_chunk == in_force // MIB
    assert len(p.notes) == notes
    assert all("1 MiB" in note and "16 MiB" in note for note in p.notes)


def test_a_tile_above_the_cap_is_a_chunk_of_one_frame():
    assert make("tyx", (None, 8192, 8192)).frames_per_chunk == 1


def test_frames_per_chunk_can_be_fewer_but_not_more_than_the_cap_allows():
    assert make("tyx", (None, 1024, 1024), frames_per_chunk=3).frames_per_chunk == 3
    p = make("tyx", (None, 1024, 1024), frames_per_chunk=100)
    assert p.frames_per_chunk == 8
    assert "100 frames" in p.notes[0]
    assert "8 in force" in p.notes[0]


@pytest.mark.parametrize(
    ("axes", "shape", "chunk_shape"),
    [
        ("yx", (300, 400), (300, 400)),
        ("tyx", (None, 300, 400), (69, 300, 400)),
        ("cyx", (3, 300, 400), (1, 300, 400)),
        ("zyx", (9, 300, 400), (9, 300, 400)),
        ("tcyx", (None, 3, 300, 400), (69, 1, 300, 400)),
        ("tzyx", (None, 9, 300, 400), (7, 9, 300, 400)),
        ("czyx", (3, 9, 300, 400), (1, 9, 300, 400)),
        ("tczyx", (None, 3, 9, 300, 400), (7, 1, 9, 300, 400)),
        ("zyx", (None, 300, 400), (1, 300, 400)),
        ("cyx", (None, 300, 400), (1, 300, 400)),
    ],
)
def test_chunk_shape_of_axes(axes, shape, chunk_shape):
    assert make(axes, shape).chunk_shape == chunk_shape


def test_shards_hold_as_many_chunks_as_the_cap_allows():
    p = sharded()
    assert p.chunk_shape == (1, 256, 256)
    assert p.shard_shape == (128, 256, 256)
    assert p.chunks_per_shard == 128
    options = {"tile_width": 256, "tile_height": 256, "frames_per_chunk": 10}
    p = make("tyx", (None, 512, 500), sharded=True, **options)
    assert p.chunk_shape == (10, 256, 256)
    assert p.shard_shape == (120, 256, 256)


@pytest.mark.parametrize(
    ("shard_chunks", "cap", "shard_shape"),
    [
        ((1, 2), 16, (16, 512, 1024)),
        ((2, 2), 16, (8, 1024, 1024)),
        ((0, 0), 64, (6, 2048, 2560)),
        ((0, 1), 64, (32, 2048, 512)),
        ((99, 99), 64, (6, 2048, 2560)),
    ],
)
def test_tiles_can_share_a_shard(shard_chunks, cap, shard_shape):
    p = make(
        "tyx",
        (None, 2048, 2100),
        tile_width=512,
        tile_height=512,
        max_bytes_per_chunk=cap * 2**20,
        sharded=True,
        shard_chunks=shard_chunks,
    )
    assert p.shard_shape == shard_shape
    assert p.chunks_per_shard * p.bytes_per_chunk <= cap * 2**20
    assert p.notes == ()


SHARDS_OF_STACKS = {
    "tiles beside each other": ((None, 2, 5, 2048, 2048), (1, 1), (5, 1024, 1024)),
    "a grid that is odd": ((None, 2, 5, 2048, 2100), (1, 1), (5, 1024, 1536)),
    "planes": ((None, 2, 1, 2048, 2048), (1, 1), (1, 2048, 2048)),
    "a stack that fills it": ((None, 2, 20, 2048, 2048), (1, 1), (20, 512, 512)),
    "a stack that is too long": ((None, 2, 99, 2048, 2048), (1, 1), (32, 512, 512)),
    "as asked": ((None, 2, 5, 2048, 2048), (1, 2), (5, 512, 1024)),
}


@pytest.mark.parametrize("case", SHARDS_OF_STACKS)
def test_a_stack_has_few_shards(case):
    shape, shard_chunks, of_shard = SHARDS_OF_STACKS[case]
    p = make(
        "tczyx",
        shape,
        tile_width=512,
        tile_height=512,
        tile_planes=1,
        sharded=True,
        shard_axis="z",
        shard_chunks=shard_chunks,
    )
    assert p.shard_shape == (1, 1, *of_shard)
    assert p.chunks_per_shard * p.bytes_per_chunk <= 16 * 2**20


STACKS = {
    "whole stacks": ((None, 20, 2048, 2048), 0, ["20 planes", "168 MB", "memory"]),
    "one plane": ((None, 20, 2048, 2048), 1, []),
    "small ones": ((None, 20, 512, 512), 0, []),
    "no stack": ((None, 1, 4096, 4096), 0, []),
}


@pytest.mark.parametrize("case", STACKS)
def test_what_whole_stacks_cost_is_said(case):
    shape, tile_planes, words = STACKS[case]
    p = make("tzyx", shape, tile_planes=tile_planes)
    said = [note for note in p.notes if "whole stacks" in note]
    assert bool(said) == bool(words)
    assert all(word in note for note in said for word in words)


def test_a_layer_of_tiles_above_the_cap_is_a_shard():
    p = make(
        "tyx",
        (None, 4096, 4096),
        tile_width=512,
        tile_height=512,
        sharded=True,
        shard_chunks=(0, 0),
    )
    assert p.shard_shape == (1, 4096, 4096)
    assert "32 MiB" in p.notes[0]


def test_without_axes_before_y_and_x_a_shard_is_a_chunk():
    p = make("yx", (512, 500), tile_width=256, tile_height=256, sharded=True)
    assert p.shard_shape == p.chunk_shape == (256, 256)
    assert p.chunks_per_shard == 1


@pytest.mark.parametrize(("kind", "refused"), [(LZ4, True), ("ZarrV3", False)])
def test_blosc_takes_no_chunk_above_2_gib(kind, refused):
    def of(frames):
        options = {"max_bytes_per_chunk": 2**33, "frames_per_chunk": frames}
        return make("tyx", (None, 32768, 32768), "uint8", kind, **options)

    assert of(1).bytes_per_chunk == 2**30
    if refused:
        with pytest.raises(InvalidProperties, match=f"{2**31:,}.*{MAX_BLOSC_BYTES:,}"):
            of(2)
    else:
        assert of(2).bytes_per_chunk == 2**31


def test_the_largest_chunk_that_blosc_takes():
    options = {"max_bytes_per_chunk": 2**32}
    make("yx", (1, MAX_BLOSC_BYTES), "uint8", **options)
    with pytest.raises(InvalidProperties, match="blosc"):
        make("yx", (1, MAX_BLOSC_BYTES + 1), "uint8", **options)


# levels


@pytest.mark.parametrize(
    ("shape", "options", "levels"),
    [
        pytest.param((9, 75, 101), {}, [(9, 75, 101)], id="one-tile"),
        pytest.param(
            (9, 75, 101),
            {"tile_width": 32, "tile_height": 32, "tile_planes": 1},
            [(9, 75, 101), (9, 38, 51), (9, 19, 26)],
            id="pictures-keep-z",
        ),
        pytest.param(
            (9, 75, 101),
            {"tile_width": 32, "tile_height": 32, "tile_planes": 4},
            [(9, 75, 101), (5, 38, 51), (3, 19, 26)],
            id="volumes-halve-z",
        ),
        pytest.param(
            (9, 75, 101),
            {"tile_width": 32, "tile_height": 32, "tile_planes": 5},
            [(9, 75, 101), (5, 38, 51), (5, 19, 26)],
            id="z-only-while-larger-than-its-tile",
        ),
        pytest.param(
            (100, 32, 32),
            {"tile_width": 32, "tile_height": 32, "tile_planes": 2},
            [(100, 32, 32)],
            id="z-alone-makes-no-level",
        ),
        pytest.param(
            (1, 3, 100),
            {"tile_width": 30, "tile_height": 3},
            [(1, 3, 100), (1, 2, 50), (1, 1, 25)],
            id="both-until-both-fit",
        ),
        pytest.param(
            (1, 1, 5),
            {"tile_width": 1},
            [(1, 1, 5), (1, 1, 3), (1, 1, 2), (1, 1, 1)],
            id="never-below-one",
        ),
        pytest.param(
            (9, 75, 101),
            {"tile_width": 32, "enable_multiscale": False},
            [(9, 75, 101)],
            id="off",
        ),
    ],
)
def test_level_shapes(shape, options, levels):
    p = make("zyx", shape, **options)
    assert p.level_shapes == tuple(levels)
    assert p.z_is_halved == (levels[0][0] != levels[-1][0])


# each function by hand


def test_outer():
    assert camera().outer == (None,)
    assert volumes().outer == (None, 2, 5)
    assert make("yx", (3, 4)).outer == ()


def test_planes():
    assert volumes().planes is None
    assert make("tczyx", (7, 2, 5, 3, 4)).planes == 70
    assert make("yx", (3, 4)).planes == 1


def test_planes_per_step():
    assert [p.planes_per_step for p in (camera(), volumes(), raw())] == [1, 10, 5]


def test_block():
    assert camera().block == (1, 1, 1)
    assert stacked().block == (10, 1, 1)
    assert volumes().block == (3, 2, 5)
    assert raw().block == (1, 1, 2)
    assert sharded().block == (1, 1, 1)
    assert make("zyx", (9, 8, 8), tile_planes=2, tile_width=4).block == (1, 1, 2)


def test_planes_per_block():
    assert [p.planes_per_block for p in (stacked(), volumes(), raw())] == [10, 30, 2]


def test_blocks_per_slot():
    # 294,912 bytes at level 0 and 49,152 at level 1: three go into 1 MiB
    assert volumes().memory.blocks_per_slot == 3
    assert camera().memory.blocks_per_slot == 1


def test_tile_grid():
    assert [camera().tile_grid(level) for level in (0, 1, 2)] == [
        (3, 3),
        (2, 2),
        (1, 1),
    ]


def test_plane_shape():
    assert [camera().plane_shape(level) for level in (0, 2)] == [
        (1080, 1920),
        (270, 480),
    ]


def test_files_per_level():
    p = make("tyx", (1000, 1080, 1920), "uint8", tile_width=640, tile_height=360)
    assert p.frames_per_chunk == 72  # 16 MiB of 230,400 bytes
    assert p.files_per_level == (14 * 9, 14 * 4, 14 * 1)
    assert camera().files_per_level == (9, 4, 1)
    assert volumes().files_per_level == (2 * 3 * 4, 2 * 2 * 1)


def test_files_at_once():
    assert camera().files_at_once(0) == 9
    assert [volumes().files_at_once(level) for level in (0, 1)] == [24, 4]
    assert raw().files_at_once(0) == 3
    assert make("yx", (8, 8), tile_width=4).files_at_once(0) == 2


def test_planes_at():
    p = volumes()
    assert [p.planes_at(0, n) for n in (0, 1, 4, 5)] == [0, 1, 4, 5]
    assert [p.planes_at(1, n) for n in (0, 1, 4, 5)] == [0, 1, 2, 3]
    assert camera().planes_at(2, 7) == 7


def test_halves_z_below():
    options = {"tile_width": 32, "tile_height": 32, "tile_planes": 5}
    p = make("zyx", (9, 75, 101), **options)
    assert [p.halves_z_below(level) for level in (0, 1)] == [True, False]


def test_slot_shape():
    assert camera().slot_shape(0) == (1, 1, 1, 3, 3, 1, 1, 360, 640)
    assert stacked().slot_shape(0) == (2, 1, 1, 2, 2, 10, 1, 64, 64)
    assert volumes().slot_shape(0) == (3, 2, 3, 2, 2, 3, 2, 32, 32)
    assert volumes().slot_shape(1) == (3, 2, 2, 1, 1, 3, 2, 32, 32)


def test_offsets_at():
    p = volumes()
    assert [p.offsets_at(0, n) for n in (0, 10, 30)] == [0, 10, 30]
    assert [p.offsets_at(1, n) for n in (0, 10, 30)] == [0, 6, 18]


def test_place_in_block():
    # plane 17: frame 1, channel 1, z 2, which is the first of the second chunk
    assert volumes().place_in_block(17, 0) == (1, 1, 1, 0)
    # at level 1 there are 3 planes a volume: frame 2, channel 1, z 2
    assert volumes().place_in_block(17, 1) == (1, 1, 2, 0)
    assert camera().place_in_block(290, 0) == (0, 0, 290, 0)


@pytest.mark.parametrize(
    ("plane", "block", "offset", "size"),
    [
        (0, 0, 0, 2),
        (1, 0, 1, 2),
        (4, 2, 0, 1),
        (5, 3, 0, 2),
        (7, 4, 0, 2),
        (8, 4, 1, 2),
    ],
)
def test_locate_and_first_plane_in_cut_volumes(plane, block, offset, size):
    assert raw().locate(plane) == (block, offset, size)
    assert raw().first_plane(block) == plane - offset


def test_locate_and_first_plane_in_chunk_layers():
    assert volumes().locate(31) == (1, 1, 30)
    assert volumes().first_plane(2) == 60


def test_chunk_origin():
    assert volumes().chunk_origin(1) == ((1, 0, 0), 0)
    # plane 7 is z 2 of frame 1
    assert raw().chunk_origin(4) == ((0, 1), 1)
    assert raw().chunk_origin(3 * 4) == ((1, 0), 0)
    assert make("yx", (3, 4)).chunk_origin(0) == ((), 0)


def test_level_shape_after():
    assert volumes().level_shape_after(0, 0) == (0, 2, 5, 64, 64)
    assert volumes().level_shape_after(1, 7) == (7, 2, 3, 32, 32)
    p = make("zyx", (9, 64, 64), tile_width=32, tile_height=32, tile_planes=2)
    assert p.level_shape_after(1, 3) == (2, 32, 32)
    assert make("yx", (3, 4)).level_shape_after(0, 0) == (3, 4)


# memory


def test_the_queue_is_bounded():
    p = make("tyx", (None, 2048, 2048), tile_width=512, tile_height=512, sharded=True)
    slot = p.dtype.itemsize * sum(
        math.prod(p.slot_shape(level)) for level in range(len(p.level_shapes))
    )
    assert 2 <= p.memory.slots <= 64
    assert p.memory.slots * slot <= 128 * MIB
    assert p.memory.slots * slot < p.peak_memory_bytes < 2 * 128 * MIB


def test_memory_of_a_raw_recording_is_that_of_its_slots():
    tiles = {"tile_width": 512, "tile_height": 512}
    p = make("tyx", (None, 2048, 2048), kind="ZarrV3", **tiles)
    of_files = p.peak_memory_bytes - p.memory.slots_at_start * (8 + 2 + 0.5) * MIB
    assert of_files == (16 + 4 + 1) * FILE_BYTES
    assert (
        make("tyx", (3, 2048, 2048), kind="ZarrV3", **tiles).memory.slots_at_start == 3
    )


def test_large_slots_are_made_when_planes_come():
    assert make("yx", (2**14, 2**14), tile_width=512).memory.slots_at_start == 0


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((None, 100, 100), {"tile_width": 64, "tile_height": 64}, True),
        ((None, 100, 99), {"tile_width": 50, "tile_height": 50}, True),
        ((None, 100, 99), {"tile_width": 49, "tile_height": 50}, False),
        ((None, 99, 120), {"tile_width": 40, "tile_height": 99}, True),
        ((None, 100, 100), {"tile_width": 100, "tile_height": 100}, False),
        (
            (None, 100, 100),
            {"tile_width": 64, "tile_height": 64, "downsampling_method": "max"},
            False,
        ),
    ],
)
def test_halves_in_tiles(shape, options, expected):
    assert make("tyx", shape, **options).halves_in_tiles is expected


@pytest.mark.parametrize(
    ("tile", "frames"),
    [
        pytest.param(512, 1, id="large-enough-alone"),
        pytest.param(128, 2, id="half"),
        pytest.param(64, 8, id="eighth"),
        pytest.param(16, 16, id="no-more-than-memory-allows"),
        pytest.param(100, 2, id="two-where-four-do-not-divide-838"),
        pytest.param(92, 1, id="a-prime-number-of-frames"),
    ],
)
def test_small_tiles_of_as_few_frames_as_are_worth_it_are_encoded_at_once(tile, frames):
    """Whole chunks took 1.6 GB for ten frames of 2048 x 2048 in tiles of 128."""
    p = make("tyx", (None, 2048, 2048), tile_width=tile, tile_height=tile)
    assert p.block == (frames, 1, 1)
    assert p.frames_per_chunk % frames == 0
    part_bytes = p.bytes_per_chunk // p.parts_per_chunk
    assert part_bytes % p.blosc_block_bytes == 0
    assert frames == 1 or frames * p.bytes_per_plane <= MAX_BLOCK_BYTES
    assert p.peak_memory_bytes < 512 * MIB


# what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        # acquire-zarr#184: a chunk of 1 x 1 pixels is accepted, and nothing comes of it
        pytest.param(
            {"tile_width": 1, "tile_height": 1},
            ["5,592,405", f"{MAX_FILES_AT_ONCE:,}", "larger tiles", "shards"],
            id="files",
        ),
        pytest.param(
            {"tile_width": 4, "tile_height": 4, "sharded": True},
            [f"{MAX_FILES_AT_ONCE:,}", "larger tiles", "shard_chunks"],
            id="shards",
        ),
        # acquire-zarr#232
        pytest.param(
            {"tile_width": 32, "tile_height": 32, "sharded": True},
            ["5,461", "8,192", f"{MAX_INDEX_BYTES // MIB} MiB", "shard_chunks"],
            id="indexes",
        ),
        pytest.param(
            {
                "tile_width": 4,
                "tile_height": 4,
                "sharded": True,
                "shard_chunks": (0, 0),
            },
            ["262,144", f"{MAX_CHUNKS_PER_SHARD:,}", "fewer tiles"],
            id="chunks-of-a-shard",
        ),
    ],
)
def test_what_cannot_go_well_is_refused(options, words):
    with pytest.raises(InvalidProperties) as caught:
        make("tyx", (None, 2048, 2048), **options)
    assert all(word in str(caught.value) for word in words), caught.value


def test_shards_of_few_frames_have_no_large_indexes():
    tiles = {"tile_width": 16, "tile_height": 16, "tile_planes": 1}
    tiles |= {"sharded": True, "enable_multiscale": True, "shard_chunks": (1, 1)}
    tiles["max_bytes_per_chunk"] = 64 * MIB
    p = make("tczyx", (6, 2, 5, 70, 80), **tiles)
    assert p.shard_shape == (6, 1, 1, 16, 16)
    assert p.index_bytes < MIB
    with pytest.raises(InvalidProperties, match="chunks each"):
        make("tczyx", (None, 2, 5, 70, 80), **tiles)


def test_many_files_are_said():
    tiles = {"tile_width": 256, "tile_height": 256, "frames_per_chunk": 1}
    p = make("tyx", (100_000, 2048, 2048), **tiles)
    assert "sharding" in p.notes[0]
    assert f"{sum(p.files_per_level):,} files" in p.notes[0]
    assert not make("tyx", (10, 2048, 2048), **tiles).notes


@pytest.mark.parametrize(
    ("axes", "shape", "words"),
    [
        pytest.param("xyt", (1, 2, 3), ["'xyt'", "tczyx"], id="order"),
        pytest.param("tyxs", (1, 2, 3, 4), ["'tyxs'"], id="unknown"),
        pytest.param("ttyx", (1, 1, 2, 3), ["'ttyx'"], id="twice"),
        pytest.param("x", (3,), ["yx"], id="no-plane"),
        pytest.param("tyx", (2, 3), ["2 numbers", "3 axes"], id="too-few"),
        pytest.param("tyx", (2, 0, 3), ["'y'", "0"], id="empty"),
        pytest.param("tyx", (-1, 2, 3), ["'t'", "-1"], id="negative"),
        pytest.param(
            "tczyx", (1, None, 3, 4, 5), ["'c'", "first axis"], id="inner-none"
        ),
        pytest.param("yx", (None, 5), ["'y'", "first axis"], id="plane-none"),
        pytest.param("tyx", (2.5, 3, 4), ["2.5", "float"], id="fraction"),
    ],
)
def test_shapes_that_cannot_be(axes, shape, words):
    with pytest.raises(InvalidProperties) as caught:
        make(axes, shape)
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize(
    "dtype",
    [
        "float16",
        "complex64",
        "U3",
        "datetime64[s]",
        "object",
        "no",
        "f16",
        "1/2",
        "(,)u",
    ],
)
def test_types_that_cannot_be_stored(dtype):
    with pytest.raises(InvalidProperties, match=r"type.*"):
        stored_dtype(dtype)


@pytest.mark.parametrize("dtype", [">u2", "<u2", "uint16", np.uint16])
def test_stored_little_endian(dtype):
    assert stored_dtype(dtype).str == "<u2"


# laws


@st.composite
def plans(draw):
    axes = draw(st.sampled_from(["", "t", "c", "z", "tc", "tz", "cz", "tcz"])) + "yx"
    outer = [draw(st.integers(1, 7)) for _ in axes[:-2]]
    shape: list[int | None] = [
        *outer,
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
    ]
    if outer and draw(st.booleans()):
        shape[0] = None
    kind = draw(st.sampled_from(["Zarr", LZ4, "ZarrV3"]))
    options = {
        name: draw(st.integers(0, 12))
        for name in ("tile_width", "tile_height", "tile_planes", "frames_per_chunk")
    }
    options["sharded"] = kind != "Zarr" and draw(st.booleans())
    options["enable_multiscale"] = draw(st.booleans())
    dtype = draw(st.sampled_from(["u1", "f8"]))
    try:
        return make(axes, tuple(shape), dtype, kind, **options)
    except InvalidProperties:  # of tiles of a pixel there may be too many
        reject()


def some_planes(p: Plan) -> range:
    return range(7 * p.planes_per_step if p.planes is None else p.planes)


@given(plans())
def test_locate_and_first_plane_are_inverse(p):
    for plane in some_planes(p):
        block, offset, size = p.locate(plane)
        assert 0 <= offset < size <= p.planes_per_block
        assert p.first_plane(block) + offset == plane


@given(plans())
def test_every_plane_lands_at_its_own_index(p):
    """The way over block and chunk ends where C order says the plane belongs."""
    outer = [7 if size is None else size for size in p.outer]
    for plane in some_planes(p):
        block, offset, _ = p.locate(plane)
        origin, part = p.chunk_origin(block)
        channel, z_chunk, frame, z = p.place_in_block(offset, 0)
        steps = {"t": p.frames_per_chunk, "c": 1, "z": p.tile_shape[0]}
        ahead = {
            "t": part * p.block[0] + frame,
            "c": channel,
            "z": z_chunk * steps["z"] + z,
        }
        index = tuple(
            chunk * steps[axis] + ahead[axis]
            for axis, chunk in zip(p.axes, origin, strict=False)
        )
        assert index == tuple(np.unravel_index(plane, outer)) if outer else not index


@given(plans())
def test_places_in_a_block_are_all_different(p):
    for level in range(len(p.level_shapes)):
        # Blocks of small tiles have thousands of planes.
        count = min(p.offsets_at(level, p.planes_per_block), 500)
        places = {p.place_in_block(offset, level) for offset in range(count)}
        assert len(places) == count
        shape = p.slot_shape(level)
        inner = (shape[1], shape[2], shape[5], shape[6])
        assert all(np.ravel_multi_index(place, inner) >= 0 for place in places)


@given(plans())
def test_chunks_cover_every_level(p):
    for level, shape in enumerate(p.level_shapes):
        down, across = p.tile_grid(level)
        for tiles, tile, size in zip(
            (down, across), p.tile_shape[1:], shape[-2:], strict=True
        ):
            assert (tiles - 1) * tile < size <= tiles * tile
    if p.shard_shape:
        pairs = zip(p.shard_shape, p.chunk_shape, strict=True)
        assert all(shard % chunk == 0 for shard, chunk in pairs)


@given(plans())
def test_levels_halve_until_a_plane_is_one_tile(p):
    sizes = [shape[-2:] for shape in p.level_shapes]
    for above, below in itertools.pairwise(sizes):
        assert below == tuple(-(-size // 2) for size in above)
        assert any(a > t for a, t in zip(above, p.tile_shape[1:], strict=True))
    outer = [shape[:-2] for shape in p.level_shapes]
    kept = [[n for n, a in zip(o, p.axes, strict=False) if a != "z"] for o in outer]
    assert all(o == kept[0] for o in kept)


@given(plans())
def test_a_pyramid_ends_in_one_tile(p):
    if len(p.level_shapes) > 1:
        assert p.tile_grid(len(p.level_shapes) - 1) == (1, 1)


def test_parts_per_chunk():
    plans = (camera(), stacked(), volumes(), raw(), sharded())
    assert [p.parts_per_chunk for p in plans] == [291, 6, 1, 4, 1]


def test_steps_per_file():
    plans = (camera(), stacked(), volumes(), raw(), sharded())
    assert [p.steps_per_file for p in plans] == [291, 60, 1, 1, 1]
    for p in plans:
        assert p.steps_until_read(True) == p.steps_per_file
        shard = p.shard_shape and p.shard_shape[0]
        assert p.steps_until_read(False) == (shard or p.steps_per_file)


@pytest.mark.parametrize(
    ("part_bytes", "itemsize", "codec", "expected"),
    [
        (256 * 256 * 2, 2, "lz4", 256 * 256 * 2),
        (512 * 512 * 2, 2, "lz4", 2**17),
        (512 * 512 * 2, 2, "zstd", 512 * 512 * 2),
        (640 * 360, 1, "lz4", 640 * 360 // 2),
        (1920 * 1080, 1, "lz4", 1920 * 1080 // 16),
        (1920 * 1080, 1, "zstd", 1920 * 1080 // 2),
        (2048 * 2048 * 2, 2, "lz4", 2**17),
        (2048 * 2048 * 2, 2, "zstd", 2**20),
        (362 * 363 * 2, 2, "lz4", 362 * 363 * 2 // 3),
        # Of a large prime: halves are larger than the best, quarters cut a pixel.
        (2 * 2 * 65537, 2, "lz4", 2 * 2 * 65537),
        (1021 * 1021, 1, "lz4", 0),
    ],
)
def test_blosc_block(part_bytes, itemsize, codec, expected):
    assert blosc_block(part_bytes, itemsize, codec) == expected
