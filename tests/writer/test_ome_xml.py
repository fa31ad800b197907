"""OME-XML of sets: where and when planes were taken, as the schema has it."""

import json

import numpy as np
import ome_types
import pytest
from ome_types.model import UnitsLength, UnitsTime

from napari_zarr_stream import (
    Channel,
    ImageDescription,
    ImageSet,
    InvalidProperties,
    Plate,
    StorageProperties,
    plan,
)
from napari_zarr_stream._writer import ome_xml as module
from napari_zarr_stream._writer.ome_xml import OME_XML, OmeImage, ome_xml
from napari_zarr_stream._writer.repair import repair_set

PLATE = Plate("a <plate>", ("A", "B"), ("1", "2", "3"))
NAN = float("nan")
NAME = '"2" < 3 & \x01µ'


def known(t, image):
    return {
        "time_ns": 10**18 + t * 10**9,
        "runner_time_ms": NAN if image else 1000.0 * t + 1.5,
        "exposure_ms": 20.0,
        "x_um": 1.5 * image,
        "y_um": -3.0,
        "z_um": NAN,
    }


def write(path, plate, kind="ZarrV3Blosc1Lz4ByteShuffle"):
    """Two images, of which the first has a hole in its second channel."""
    paths = ["B/3/0", "A/1/0"] if plate else ["0", "1"]
    described = [
        ImageDescription(
            each, NAME, "tczyx", (None, 2, 3, 16, 24), "uint16",
            scale={"z": 2.0, "y": 0.5, "x": 0.25}, units=dict.fromkeys("zyx", "um"),
            channels=(Channel("DAPI", "0000ff"), Channel("FITC & co", "ffff00")),
        )
        for each in paths
    ]  # fmt: skip
    plane = np.ones((16, 24), "u2")
    with ImageSet(StorageProperties(path, kind), described, plate=plate) as images:
        for t, c, z, image in np.ndindex(2, 2, 3, 2):
            if c == 0 or image == 1 or z == 1:
                images.put(image, (t, c, z), plane, known(t, image))
    return path


def read(path):
    return ome_types.from_xml((path / OME_XML).read_text("utf-8"), validate=True)


def check(told, plate):
    assert [image.name for image in told.images] == [NAME.replace("\x01", "?")] * 2
    for number, (image, count) in enumerate(zip(told.images, (8, 12), strict=True)):
        pixels = image.pixels
        assert (pixels.size_t, pixels.size_c, pixels.size_z) == (2, 2, 3)
        assert [channel.name for channel in pixels.channels] == ["DAPI", "FITC & co"]
        assert pixels.channels[1].color.as_rgb_tuple() == (255, 255, 0)
        places = [(at.the_t, at.the_c, at.the_z) for at in pixels.planes]
        assert places == sorted(set(places))
        assert len(places) == count
        last = pixels.planes[-1]
        assert last.delta_t == pytest.approx(1.0 if number else 1.0015)
        assert last.delta_t_unit is UnitsTime.SECOND
        assert (last.exposure_time, last.exposure_time_unit.value) == (20, "ms")
        assert (last.position_x, last.position_y) == (1.5 * number, -3)
        assert last.position_z is None
        assert last.position_x_unit is UnitsLength.MICROMETER
    assert len(told.plates) == bool(plate)
    for found in told.plates:
        assert (found.name, found.rows, found.columns) == ("a <plate>", 2, 3)
        places = [
            (w.row, w.column, w.well_samples[0].image_ref.id) for w in found.wells
        ]
        assert places == [(1, 2, "Image:0"), (0, 0, "Image:1")]


@pytest.mark.parametrize("plate", [None, PLATE], ids=["positions", "plate"])
@pytest.mark.parametrize("format_", [3, 2])
def test_planes_are_told_with_units(tmp_path, plate, format_):
    kind = f"Zarr{'V3' if format_ == 3 else ''}Blosc1Lz4ByteShuffle"
    told = read(write(tmp_path / "a.zarr", plate, kind))
    check(told, plate)
    pixels = told.images[0].pixels
    sizes = pixels.physical_size_z, pixels.physical_size_y, pixels.physical_size_x
    assert sizes == (2, 0.5, 0.25)


@pytest.mark.parametrize("plate", [None, PLATE], ids=["positions", "plate"])
def test_a_repair_tells_them_as_well(tmp_path, plate):
    path = write(tmp_path / "a.zarr", plate)
    document = json.loads((path / "zarr.json").read_text())
    del document["attributes"]["napari_zarr_stream"]["finish_reason"]
    (path / "zarr.json").write_text(json.dumps(document))
    (path / OME_XML).write_text("as it was at the start")
    list(repair_set(path))
    check(read(path), plate)
    before = (path / OME_XML).stat()
    assert not any(report.can_be_repaired for report in repair_set(path))
    assert (path / OME_XML).stat() == before


def of(planes, **changes):
    given = {"axes": "tyx", "shape": (None, 16, 24), "dtype": "u2"} | changes
    made = plan(StorageProperties("a.zarr"), **given)
    rows = [{"t": t, "c": 0, "z": 0, "exposure_ms": 1.0} for t in range(planes)]
    return OmeImage("a", made, planes, planes=rows)


def test_more_planes_than_anybody_reads_are_left_to_the_log(monkeypatch):
    monkeypatch.setattr(module, "MAX_PLANES", 5)
    assert ome_xml([of(2), of(3)]).count(b"<Plane ") == 5
    assert ome_xml([of(3), of(3)]).count(b"<Plane ") == 0


def test_a_type_without_a_word_is_refused():
    with pytest.raises(InvalidProperties, match="int64"):
        ome_xml([of(1, dtype="int64")])
