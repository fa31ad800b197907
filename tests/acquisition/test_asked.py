"""What a form asks for, as a sequence of useq, and in words."""

import pytest

from napari_zarr_stream import InvalidProperties, StorageProperties
from napari_zarr_stream._acquisition.asked import (
    ORDERS,
    Asked,
    AskedChannel,
    AskedPlate,
    AskedPosition,
    positions_in,
    sequence_of,
    wells_in,
)
from napari_zarr_stream._acquisition.frame_format import FrameFormat
from napari_zarr_stream._acquisition.layout import layout_of
from napari_zarr_stream._acquisition.summary import summary_of_run

pytest.importorskip("useq")

DAPI = AskedChannel("Channel", "DAPI", 20.0)
FITC = AskedChannel("Channel", "FITC", 50.0, has_stack=False)
PLACES = (AskedPosition("a", 0.0, 0.0, 5.0), AskedPosition("", 100.0, None))
FRAME = FrameFormat(64, 96, "uint16", 0.5)


@pytest.mark.parametrize("order", ORDERS)
def test_all_of_it(order):
    asked = Asked((DAPI, FITC), order, 3, 2.5, 4.0, 2.0, PLACES)
    sequence = sequence_of(asked)
    assert sequence.axis_order == tuple(order)
    assert {str(k): n for k, n in sequence.sizes.items() if n} == {
        "t": 3, "p": 2, "c": 2, "z": 3,
    }  # fmt: skip
    assert [c.exposure for c in sequence.channels] == [20.0, 50.0]
    assert [c.do_stack for c in sequence.channels] == [True, False]
    assert sequence.time_plan.interval.total_seconds() == 2.5
    assert [(p.name, p.x, p.y, p.z) for p in sequence.stage_positions] == [
        ("a", 0.0, 0.0, 5.0),
        (None, 100.0, None, None),
    ]


# id: what is asked for, sizes
PARTS = {
    "one-channel": (Asked((DAPI,)), {"c": 1}),
    "only-times": (Asked(loops=4), {"t": 4}),
    "only-z": (Asked(z_range_um=10, z_step_um=5), {"z": 3}),
    "here": (Asked((DAPI,), positions=PLACES[:1]), {"p": 1, "c": 1}),
    "plate": (
        Asked((DAPI,), plate=AskedPlate("96-well", "A1, B3", (10.0, 20.0), (1, 2))),
        {"p": 4, "c": 1},
    ),
}


@pytest.mark.parametrize(("asked", "sizes"), PARTS.values(), ids=PARTS)
def test_parts_of_it(asked, sizes):
    found = sequence_of(asked).sizes
    assert {str(axis): n for axis, n in found.items() if n} == sizes


def test_a_plate_has_its_wells():
    plate = AskedPlate("96-well", "A1 B3", (10.0, 20.0), (1, 2))
    layout = layout_of(sequence_of(Asked((DAPI,), plate=plate)), FRAME)
    assert [image.path for image in layout.images] == [
        "A/1/0", "A/1/1", "B/3/0", "B/3/1",
    ]  # fmt: skip
    assert (len(layout.plate.rows), len(layout.plate.columns)) == (8, 12)


# id: what is written, wells
WELLS = {
    "one": ("A1", [(0, 0)]),
    "list": ("a1, B12;C3", [(0, 0), (1, 11), (2, 2)]),
    "row": ("B3-B5", [(1, 2), (1, 3), (1, 4)]),
    "block": ("A1:B2", [(0, 0), (0, 1), (1, 0), (1, 1)]),
    "backwards": ("B2:A1", [(0, 0), (0, 1), (1, 0), (1, 1)]),
    "twice": ("A1 A1:A2", [(0, 0), (0, 1)]),
}


@pytest.mark.parametrize(("text", "wells"), WELLS.values(), ids=WELLS)
def test_wells(text, wells):
    assert wells_in(text, 8, 12) == wells


# id: what is asked for, and why it cannot be
REFUSED = {
    "nothing": (Asked(), "nothing is asked for"),
    "no-wells": (Asked(plate=AskedPlate("96-well", " ", (0, 0))), "no well is named"),
    "odd-well": (Asked(plate=AskedPlate("96-well", "7", (0, 0))), "'7' is no well"),
    "beyond": (Asked(plate=AskedPlate("96-well", "A13", (0, 0))), "no well A13"),
}


@pytest.mark.parametrize(("asked", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused(asked, why):
    with pytest.raises(InvalidProperties, match=why):
        sequence_of(asked)


def test_positions_of_a_file(tmp_path):
    path = tmp_path / "sequence.yaml"
    path.write_text(
        "stage_positions:\n  - {name: a, x: 1, y: 2, z: 3}\n  - {x: 4, y: 5}\n"
    )
    assert positions_in(path) == [
        AskedPosition("a", 1.0, 2.0, 3.0),
        AskedPosition("", 4.0, 5.0, None),
    ]
    path.write_text("channels: [DAPI]\n")
    with pytest.raises(InvalidProperties, match="has no positions"):
        positions_in(path)


# id: what is asked for, what the dock says of it
WORDS = {
    "all": (
        Asked((DAPI, FITC), "tpcz", 3, 2.5, 4.0, 2.0, PLACES),
        "24 planes of 96 × 64 px: "
        "2 positions, each 3 times × 2 channels × 3 planes in z",
    ),
    "plate": (
        Asked((DAPI,), plate=AskedPlate("96-well", "A1-A3", (0, 0), (1, 2))),
        "6 planes of 96 × 64 px: 6 fields in 3 wells",
    ),
    "one": (Asked((DAPI,)), "1 plane of 96 × 64 px: 1 position"),
}


@pytest.mark.parametrize(("asked", "words"), WORDS.values(), ids=WORDS)
def test_what_will_be_written(tmp_path, asked, words):
    layout = layout_of(sequence_of(asked), FRAME)
    properties = StorageProperties(tmp_path / "a.zarr", tile_width=32, tile_height=32)
    summary = summary_of_run(layout, properties, 10**12)
    assert summary.brief.splitlines()[0] == words
    assert "1 TB free" in summary.brief
    assert "3 levels" in summary.details
    assert "not be enough" in summary_of_run(layout, properties, 10).brief
