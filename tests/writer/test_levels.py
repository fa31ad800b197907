"""Levels whose z is halved apart from y and x: by hand, and against plain numpy."""

import itertools
import shutil

import numpy as np
import pytest
import zarr
from frames import planes
from killed_writer import VOLUME, kill, start_server, write_volumes
from left_open import arrays, assert_same, change_record, left_open
from records import record_of
from tables import long_but

from napari_zarr_stream import (
    InvalidProperties,
    StorageProperties,
    ZarrStream,
    ZHalving,
    plan,
)
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._writer.repair import examine, repair

VOXEL, FITS = ZHalving.BY_VOXEL_SIZE, ZHalving.UNTIL_IT_FITS


@pytest.mark.parametrize(
    ("z_halving", "shape", "tile", "scale", "smaller"),
    [
        pytest.param(
            VOXEL, (40, 64, 64), (4, 16, 16), (4, 1, 1),
            [(40, 32, 32), (40, 16, 16)], id="thick-planes-keep-z",
        ),
        pytest.param(
            VOXEL, (40, 128, 128), (4, 16, 16), (2, 1, 1),
            [(40, 64, 64), (20, 32, 32), (10, 16, 16)], id="z-joins-once-equal",
        ),
        pytest.param(
            VOXEL, (40, 64, 64), (4, 16, 16), (1.5, 1, 1),
            [(40, 32, 32), (20, 16, 16)], id="0.75-is-closer-to-equal-than-1.5",
        ),
        pytest.param(
            VOXEL, (40, 64, 64), (4, 16, 16), (1.4, 1, 1),
            [(20, 32, 32), (10, 16, 16)], id="1.4-is-about-equal",
        ),
        pytest.param(
            VOXEL, (40, 64, 64), (4, 16, 16), (0.25, 1, 1),
            [(20, 64, 64), (10, 64, 64), (5, 32, 32), (3, 16, 16)],
            id="thin-planes-come-first",
        ),
        pytest.param(
            VOXEL, (9, 75, 101), (0, 32, 32), (1, 1, 1),
            [(5, 38, 51), (3, 19, 26)], id="tiles-of-all-planes-do-not-matter",
        ),
        pytest.param(
            VOXEL, (9, 75, 101), (1, 32, 32), (3, 1, 1),
            [(9, 38, 51), (9, 19, 26)], id="odd",
        ),
        pytest.param(
            VOXEL, (1, 64, 64), (1, 16, 16), (0.1, 1, 1),
            [(1, 32, 32), (1, 16, 16)], id="one-plane",
        ),
        pytest.param(
            VOXEL, (40, 16, 16), (4, 16, 16), (0.25, 1, 1),
            [(20, 16, 16), (10, 16, 16)], id="z-alone-until-equal",
        ),
        pytest.param(
            VOXEL, (40, 16, 16), (4, 16, 16), (1, 1, 1), [], id="nothing-to-gain",
        ),
        pytest.param(
            VOXEL, (40, 64, 64), (4, 16, 16), (2, 1, 4),
            [(20, 32, 32), (10, 16, 16)], id="between-y-and-x",
        ),
        pytest.param(
            VOXEL, (8, 1, 64), (1, 1, 16), (1, 100, 1),
            [(4, 1, 32), (2, 1, 16)], id="a-row-has-no-y",
        ),
        pytest.param(
            VOXEL, (None, 64, 64), (1, 16, 16), (0.1, 1, 1),
            [(None, 32, 32), (None, 16, 16)], id="without-bound",
        ),
        pytest.param(
            FITS, (9, 75, 101), (1, 32, 32), None,
            [(5, 38, 51), (3, 19, 26), (2, 19, 26), (1, 19, 26)],
            id="z-goes-on-alone",
        ),
        pytest.param(
            FITS, (2, 100, 100), (1, 32, 32), None,
            [(1, 50, 50), (1, 25, 25)], id="y-and-x-go-on",
        ),
        pytest.param(
            FITS, (9, 75, 101), (5, 32, 32), None,
            [(5, 38, 51), (5, 19, 26)], id="no-further-than-its-tile",
        ),
        pytest.param(
            FITS, (9, 75, 101), (0, 32, 32), None,
            [(9, 38, 51), (9, 19, 26)], id="a-tile-of-all-planes-fits",
        ),
        pytest.param(
            FITS, (100, 32, 32), (30, 32, 32), None,
            [(50, 32, 32), (25, 32, 32)], id="only-z-is-too-large",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("outer", [(), (None, 2)], ids=["zyx", "tczyx"])
def test_level_shapes(outer, z_halving, shape, tile, scale, smaller):
    if outer and None in shape:
        pytest.skip("only the first axis may be without bound")
    tiles = dict(zip(("tile_planes", "tile_height", "tile_width"), tile, strict=True))
    properties = StorageProperties("a.zarr", z_halving=z_halving, **tiles)
    p = plan(
        properties,
        axes="tczyx"[-3 - len(outer) :],
        shape=(*outer, *shape),
        dtype="u2",
        scale=scale and (*(1,) * len(outer), *scale),
    )
    assert p.level_shapes == tuple((*outer, *level) for level in [shape, *smaller])


def test_voxels_in_different_units_are_not_compared():
    properties = StorageProperties("a.zarr", tile_width=16, z_halving=VOXEL)
    given = {"axes": "zyx", "shape": (8, 64, 64), "dtype": "u2", "scale": (2, 1, 1)}
    with pytest.raises(InvalidProperties, match="z in nanometer, y in micrometer"):
        plan(properties, **given, units=("nm", "um", "um"))
    with pytest.raises(InvalidProperties, match="y in pixels"):
        plan(properties, **given, units={"z": "um"})
    plan(properties, **given, units=("um", "um", "micron"))
    plan(properties, axes="yx", shape=(64, 64), dtype="u2", units={"x": "um"})


# pixels


def block_value(corners, method):
    """One pixel of the pixels of its block, an array of (pixels, ...)."""
    count = len(corners)
    if method == "mean":  # half up
        return (2 * corners.astype(np.int64).sum(axis=0) + count) // (2 * count)
    if method == "mode":
        seen = (corners[:, np.newaxis] == corners[np.newaxis]).sum(axis=1)
        return np.take_along_axis(corners, seen.argmax(axis=0)[np.newaxis], 0)[0]
    return {"decimate": corners[0], "min": corners.min(0), "max": corners.max(0)}[
        method
    ]


def made_smaller(pixels, axes, method):
    """(..., z, y, x) with `axes` halved: the edge is doubled where it is odd."""
    steps = [2 if axis in axes else 1 for axis in "zyx"]
    pad = [
        (0, size % 2 * (s - 1))
        for size, s in zip(pixels.shape[-3:], steps, strict=True)
    ]
    padded = np.pad(pixels, [(0, 0)] * (pixels.ndim - 3) + pad, mode="edge")
    corners = [
        padded[..., z :: steps[0], y :: steps[1], x :: steps[2]]
        for z, y, x in itertools.product(*map(range, steps))
    ]
    return block_value(np.stack(corners), method).astype(pixels.dtype)


KINDS = {
    "raw": {"device_kind": "ZarrV3", "frames_per_chunk": 3},
    "zstd-v2": {"device_kind": "ZarrBlosc1ZstdByteShuffle", "frames_per_chunk": 1},
    "sharded": {"device_kind": "ZarrV3Blosc1Lz4ByteShuffle", "sharded": True},
    "stacked": {"device_kind": "ZarrV3Blosc1Lz4ByteShuffle", "frames_per_chunk": 2},
}

WAYS = [
    *((kind, "mean") for kind in KINDS),
    *zip(KINDS, ("decimate", "min", "max", "mode"), strict=True),
]

VOLUMES = [
    # axes, planned axes before y and x, planes, tile, rule, length along z, halved
    pytest.param(
        "zyx", (13,), 13, 3, VOXEL, 0.25, ["z", "z", "zyx", "zyx"], id="thin"
    ),
    pytest.param("tczyx", (2, 3, 5), 30, 0, VOXEL, 2, ["yx", "zyx"], id="thick"),
    pytest.param("tzyx", (None, 1), 3, 0, VOXEL, 0.1, ["yx", "yx"], id="one-plane"),
    pytest.param(
        "tzyx", (None, 5), 15, 2, VOXEL, 0.5, ["z", "zyx", "zyx"], id="one-by-one"
    ),
    pytest.param("zyx", (13,), 13, 1, FITS, 1, ["zyx", "zyx", "z", "z"], id="fits"),
    pytest.param("zyx", (13,), 7, 1, FITS, 1, ["zyx", "zyx", "z", "z"], id="cut"),
    pytest.param("tczyx", (2, 3, 5), 30, 2, FITS, 1, ["zyx", "zyx"], id="channels"),
    pytest.param(
        "tczyx", (None, 2, 5), 30, 1, FITS, 1, ["zyx", "zyx", "z"], id="pictures"
    ),
]  # fmt: skip
SIZE = (40, 30)


@pytest.mark.parametrize(("kind", "method"), WAYS)
@pytest.mark.parametrize(
    ("axes", "outer", "count", "tile_planes", "z_halving", "length", "halved"), VOLUMES
)
def test_every_level_to_the_pixel(
    tmp_path, method, kind, axes, outer, count, tile_planes, z_halving, length, halved
):
    path = tmp_path / "a.zarr"
    properties = StorageProperties(
        path, tile_width=16, tile_height=16, tile_planes=tile_planes,
        z_halving=z_halving, downsampling_method=method, **KINDS[kind],
    )  # fmt: skip
    # Few values, so that some are equally frequent.
    frames = planes(count, SIZE) % 7
    options = {"axes": axes, "shape": (*outer, *SIZE), "dtype": "uint16"}
    with ZarrStream(properties, **options, scale={"z": length}) as stream:
        for first in range(0, count, 4):
            stream.append(frames[first : first + 4])
    sizes = [size or -1 for size in outer]
    expected = frames.reshape(*sizes[:-1], min(count, outer[-1]), *SIZE)
    group = zarr.open_group(path, mode="r")
    described = dict(group.attrs).get("ome", group.attrs)["multiscales"][0]
    assert len(described["datasets"]) == len(halved) + 1
    layers = layers_of(path)  # one for each channel
    lengths = {"z": length, "y": 1.0, "x": 1.0}
    for level, axes_halved in enumerate(["", *halved]):
        if level:
            expected = made_smaller(expected, axes_halved, method)
            lengths |= {axis: 2 * lengths[axis] for axis in axes_halved}
        np.testing.assert_array_equal(group[str(level)][:], expected)
        shown = [np.asarray(pixels[level]) for pixels, _, _ in layers]
        shown = np.stack(shown, axis=axes.index("c")) if "c" in axes else shown[0]
        np.testing.assert_array_equal(shown, expected)
        scale, *moved = described["datasets"][level]["coordinateTransformations"]
        assert scale["scale"][-3:] == list(lengths.values())
        if method != "decimate":
            start = zip(lengths.values(), (length, 1, 1), strict=True)
            centres = [(now - first) / 2 for now, first in start]
            assert moved[0]["translation"][-3:] == centres
    assert all(meta["scale"][-3:] == [length, 1, 1] for _, meta, _ in layers)


# what a killed program leaves


@pytest.mark.parametrize(("kind", "method"), WAYS[:4])
@pytest.mark.parametrize(
    ("axes", "outer", "count", "tile_planes", "z_halving", "length", "halved"), VOLUMES
)
def test_levels_are_made_again_as_they_were(
    tmp_path, method, kind, axes, outer, count, tile_planes, z_halving, length, halved
):
    path = tmp_path / "a.zarr"
    properties = StorageProperties(
        "x", tile_width=16, tile_height=16, tile_planes=tile_planes,
        z_halving=z_halving, downsampling_method=method, **KINDS[kind],
    )  # fmt: skip
    live = left_open(
        path, planes(count, SIZE), properties,
        axes=axes, shape=(*outer, *SIZE), scale={"z": length},
    )  # fmt: skip
    for level in range(1, len(halved) + 1):
        for file in (path / str(level)).iterdir():
            if file.is_dir():
                shutil.rmtree(file)
    assert examine(path).can_be_repaired
    repair(path)
    assert_same(path, live)
    assert not examine(path).can_be_repaired
    assert record_of(path)["z_halving"] == z_halving


@pytest.mark.parametrize("seed", long_but([0, 1, 2, 3, 6, 7], 0, 6))
def test_killed_at_any_moment(tmp_path, seed):
    path = tmp_path / "a.zarr"
    rules = [(VOXEL, ["z", "zyx", "zyx"]), (FITS, ["zyx", "zyx", "z"])]
    z_halving, halved = rules[seed % 2]
    options = {"z_halving": z_halving, "tile_planes": 1, "sharded": seed % 3 == 0}
    _, committed, _ = kill(start_server(), seed, path, options, target=write_volumes)
    if not path.exists():
        assert committed == 0
        return
    repair(path)
    full, *smaller = arrays(path)
    assert committed // VOLUME[0] <= len(full)
    wanted = planes(len(full) * VOLUME[0], VOLUME[1:])
    np.testing.assert_array_equal(full.reshape(-1, *VOLUME[1:]), wanted)
    assert len(smaller) == len(halved)
    for pixels, axes_halved in zip(smaller, halved, strict=True):
        full = made_smaller(full, axes_halved, "mean")
        np.testing.assert_array_equal(pixels, full)


def test_a_store_of_before_there_was_a_choice_is_repaired(tmp_path):
    path = tmp_path / "a.zarr"
    properties = StorageProperties(
        "x", tile_width=16, tile_height=16, tile_planes=2, frames_per_chunk=1
    )
    live = left_open(
        path, planes(10, SIZE), properties, axes="tzyx", shape=(None, 5, *SIZE)
    )
    change_record(path, lambda record: record.pop("z_halving"))
    shutil.rmtree(path / "1" / "c")
    repair(path)
    assert_same(path, live)
