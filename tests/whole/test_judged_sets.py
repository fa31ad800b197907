"""Positions and plates, as validators and readers that are not ours find them."""

import contextlib
import io
import os
import subprocess
import sys
import warnings

import numpy as np
import ome_zarr_models
import pytest
import yaozarrs
from bioio_ome_zarr import Reader as BioReader
from napari_ome_zarr import napari_get_reader
from ngff_zarr import from_hcs_zarr
from ome_zarr.io import parse_url
from ome_zarr.reader import Reader
from ome_zarr_models import v04, v05

from napari_zarr_stream import (
    Channel,
    DeviceKind,
    ImageDescription,
    ImageSet,
    Plate,
    StorageProperties,
)
from napari_zarr_stream._reading.reader import layers_of

PLATE = Plate("plate", tuple("ABCDEFGH"), tuple(map(str, range(1, 13))))
FIELDS = ["A/1/0", "A/1/1", "B/3/0", "B/3/1"]
SERIES = ["0", "1", "2"]
T, C, Z, HEIGHT, WIDTH = 2, 2, 3, 40, 56
KINDS = [(DeviceKind.ZARR_V3_LZ4, True), (DeviceKind.ZARR_ZSTD, False)]


def pixels_of(number):
    """One image; its second channel has the middle of each stack only."""
    random = np.random.default_rng(number)
    pixels = random.integers(1, 2**16, (T, C, Z, HEIGHT, WIDTH), "uint16")
    pixels[:, 1, ::2] = 0
    return pixels


@pytest.fixture(
    scope="module",
    params=[3, pytest.param(2, marks=pytest.mark.long)],
    ids=["0.5", "0.4"],
)
def sets(request, tmp_path_factory):
    """A plate and positions; what was never asked for is in neither."""
    folder = tmp_path_factory.mktemp("sets")
    kind, sharded = KINDS[3 - request.param]
    for name, paths, plate in (("plate", FIELDS, PLATE), ("series", SERIES, None)):
        properties = StorageProperties(
            folder / name, kind, tile_width=32, tile_height=32, sharded=sharded
        )
        described = [
            ImageDescription(
                path, path, "tczyx", (None, C, Z, HEIGHT, WIDTH), "uint16",
                scale={"z": 1.0, "y": 0.5, "x": 0.5},
                units=dict.fromkeys("zyx", "um"),
                channels=(Channel("DAPI", "0000ff"), Channel("FITC", "00ff00")),
            )
            for path in paths
        ]  # fmt: skip
        with ImageSet(properties, described, plate=plate) as images:
            for t, number, c, z in np.ndindex(T, len(paths), C, Z):
                if c == 0 or z == 1:
                    plane = pixels_of(number)[t, c, z]
                    images.put(number, (t, c, z), plane, {"x_um": 9.0 * number})
    return folder


def quietly(call, *given, **named):
    """What other programs say of themselves is no failure of ours."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return call(*given, **named)


@pytest.mark.parametrize("name", ["plate", "series"])
def test_validators_are_content(sets, name):
    quietly(yaozarrs.validate_zarr_store, str(sets / name))
    import zarr

    version = v05 if (sets / name / "zarr.json").exists() else v04
    group = zarr.open_group(sets / name, mode="r")
    if name == "plate":
        model = quietly(ome_zarr_models.open_ome_zarr, group)
        assert isinstance(model, version.HCS)
        plate = model.attributes.plate if version is v04 else model.ome_attributes.plate
        assert (len(plate.rows), len(plate.columns), len(plate.wells)) == (8, 12, 2)
        assert plate.field_count == 2
        assert plate.acquisitions is not None
    elif version is v05:
        v05.BioFormats2Raw.from_zarr(group)
    for path in FIELDS if name == "plate" else SERIES:
        quietly(version.Image.from_zarr, group[path])


def theirs_of(path, count):
    """The other reader's images; channels are layers of their own from 0.11 on."""
    layers = quietly(lambda: napari_get_reader(path)(path))
    pixels = [np.asarray(data[0]) for data, _, _ in layers]
    if len(pixels) == count:
        return pixels
    assert len(pixels) == count * C
    return [np.stack(pixels[i : i + C], 1) for i in range(0, len(pixels), C)]


def test_ours_and_the_other_reader_of_napari_show_one_mosaic(sets):
    path = str(sets / "plate")
    ours = quietly(layers_of, path)
    [theirs] = theirs_of(path, 1)
    assert theirs.shape[-2:] == (8 * HEIGHT, 12 * WIDTH)
    for channel, (levels, _, _) in enumerate(ours):
        # Ours has both fields of a well, theirs the first.
        assert levels[0].shape[-2:] == (8 * HEIGHT, 12 * 2 * WIDTH)
        for row, column, number in ((0, 0, 0), (1, 2, 2)):
            y, x = row * HEIGHT, column * WIDTH
            expected = pixels_of(number)[:, channel]
            for field in range(2):
                first = 2 * x + field * WIDTH
                at = np.s_[..., y : y + HEIGHT, first : first + WIDTH]
                np.testing.assert_array_equal(
                    np.asarray(levels[0][at]), pixels_of(number + field)[:, channel]
                )
            at = np.s_[..., y : y + HEIGHT, x : x + WIDTH]
            np.testing.assert_array_equal(theirs[:, channel][at], expected)


def test_ours_and_the_other_reader_of_napari_show_all_positions(sets):
    path = str(sets / "series")
    (levels, _, _), _ = quietly(layers_of, path)
    assert levels[0].shape == (len(SERIES), T, Z, HEIGHT, WIDTH)
    for number, image in enumerate(theirs_of(path, len(SERIES))):
        np.testing.assert_array_equal(image, pixels_of(number))
        at = np.asarray(levels[0][number])
        np.testing.assert_array_equal(at, pixels_of(number)[:, 0])


def test_ome_zarr_and_ngff_zarr_know_the_plate(sets):
    path = str(sets / "plate")
    node, *_ = quietly(lambda: list(Reader(parse_url(path, mode="r"))()))
    assert node.data[0].shape == (T, C, Z, 8 * HEIGHT, 12 * WIDTH)
    plate = quietly(from_hcs_zarr, path)
    assert [well.path for well in plate.wells] == ["A/1", "B/3"]
    images = plate.get_well("B", "3").get_image(1).images
    np.testing.assert_array_equal(np.asarray(images[0].data), pixels_of(3))


@pytest.mark.parametrize(("path", "number"), [("plate/B/3/0", 2), ("series/1", 1)])
def test_bioio_reads_each_image(sets, path, number):
    found = quietly(lambda: BioReader(str(sets / path)).get_image_data("TCZYX"))
    np.testing.assert_array_equal(found, pixels_of(number))


OUTSIDE_JUDGE = os.environ.get("NAPARI_ZARR_STREAM_JUDGE")

if OUTSIDE_JUDGE:

    @pytest.mark.parametrize("name", ["plate", "series"])
    def test_the_outside_judge(sets, name):
        """A script that judges a store by itself, where there is one."""
        command = [sys.executable, OUTSIDE_JUDGE, str(sets / name), "--allow-missing"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
