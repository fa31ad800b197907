"""Planes that were never acquired, told from those that are black."""

import json
import warnings

import numpy as np
import pytest

from napari_zarr_stream import (
    ImageDescription,
    ImageSet,
    Plate,
    StorageProperties,
    cli,
)
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._reading.reader import layers_of

PLATE = Plate("plate", ("A", "B"), ("1", "2"))
SHAPE = (None, 2, 3, 32, 48)
ALL = [(t, c, z) for t in range(2) for c in range(2) for z in range(3)]
MIDDLE = [(t, c, z) for t, c, z in ALL if c == 0 or z == 1]

CASES = {  # planes of two images; what is there, and not, of positions and of a plate
    "all": (ALL, ALL, (24, 0), (24, 0)),
    "do_stack False": (MIDDLE, ALL, (20, 4), (20, 4)),
    "canceled": (ALL, ALL[:1], (13, 5), (13, 11)),
    "none of one": (ALL, [], (12, 6), (12, 12)),
}


def write(path, plate, *places):
    names = ["A/1/0", "B/2/0"] if plate else ["0", "1"]
    described = [ImageDescription(n, n, "tczyx", SHAPE, "uint16") for n in names]
    images = ImageSet(StorageProperties(path), described, plate=plate)
    black = np.zeros(SHAPE[-2:], "u2")  # a picture as good as any
    for number, of_image in enumerate(places):
        for place in of_image:
            images.put(number, place, black)
    images.flush()
    return images


def warned(path):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        layers_of(path)
    return "\n".join(str(each.message) for each in said)


@pytest.mark.parametrize("plate", [None, PLATE], ids=["positions", "plate"])
@pytest.mark.parametrize("case", CASES)
def test_what_was_not_acquired_is_told(tmp_path, case, plate):
    *places, of_positions, of_plate = CASES[case]
    path = tmp_path / "a.zarr"
    write(path, plate, *places).close()
    there, missing = of_plate if plate else of_positions
    assert facts_of(path)["planes"] == {"acquired": there, "not_acquired": missing}
    assert f"{there} acquired" in text_of(facts_of(path))
    words = f"{missing} of {there + missing} planes were not acquired"
    assert (words in warned(path)) == bool(missing)


def test_an_image_says_which(tmp_path):
    path = tmp_path / "a.zarr"
    write(path, None, MIDDLE, ALL).close()
    assert facts_of(path)["images"][0]["planes"]["not_acquired"] == 4
    assert "(t 0, c 1, z 0; t 0, c 1, z 2; t 1, c 1, z 0; t 1, c 1, z 2)" in warned(
        path / "0"
    )
    assert "acquired" not in warned(path / "1")


def test_an_image_of_a_set_in_one_file_says_which(tmp_path):
    path = tmp_path / "a.zarr"
    write(path, None, MIDDLE, ALL).close()
    assert cli.main(["export", str(path), str(tmp_path / "a.ozx")]) == 0
    first, second = facts_of(located(tmp_path / "a.ozx"))["images"]
    assert first["planes"] == {"acquired": 8, "not_acquired": 4}
    assert second["planes"] == {"acquired": 12, "not_acquired": 0}


@pytest.mark.parametrize("part", ["", "0"])
def test_nothing_is_called_missing_while_it_is_acquired(tmp_path, part):
    path = tmp_path / "a.zarr"
    images = write(path, None, ALL[:3], ALL)
    assert "not acquired" not in warned(path / part)
    images.close()
    assert "not acquired" in warned(path / part)


def test_a_log_that_cannot_be_read_hides_no_pixels(tmp_path):
    path = tmp_path / "a.zarr"
    write(path, None, MIDDLE, ALL).close()
    column = path / "frame_log" / "image" / "zarr.json"
    column.write_text(json.dumps({"shape": "many"}))
    assert "is not known" in warned(path)
    assert "not known" in text_of(facts_of(path))
