"""What images a sequence makes, against what useq really goes through."""

import time
from collections import Counter

import numpy as np
import pytest
import useq

from napari_zarr_stream import InvalidProperties
from napari_zarr_stream._acquisition.frame_format import FrameFormat
from napari_zarr_stream._acquisition.layout import layout_of

FRAME = FrameFormat(32, 48, "uint16", 0.5)
STACK = {"range": 4, "step": 1}
TIMES = {"interval": 1, "loops": 4}
TWO = [(0, 0, 0), (100, 50, 5)]


def own(**plans):
    """Two positions, the second with a sequence of its own."""
    return [(0, 0, 0), {"x": 10, "y": 20, "z": 3, "sequence": plans}]


SEQUENCES = {
    "channel": {"channels": ["DAPI"]},
    "all": {"axis_order": "tpcz", "time_plan": TIMES, "stage_positions": TWO,
            "channels": ["DAPI", "FITC"], "z_plan": STACK},
    "channels outermost": {"axis_order": "cpzt", "time_plan": TIMES, "z_plan": STACK,
                           "stage_positions": TWO, "channels": ["DAPI", "FITC"]},
    "middle": {"channels": ["A", {"config": "B", "do_stack": False}], "z_plan": STACK},
    "uneven stack": {"channels": [{"config": "B", "do_stack": False}],
                     "z_plan": {"range": 4.3, "step": 1}},
    "every third": {"time_plan": {"interval": 1, "loops": 5},
                    "channels": ["A", {"config": "B", "acquire_every": 3}]},
    "stack of one position": {"stage_positions": own(z_plan=STACK),
                              "channels": ["A", "B"]},
    "stack of both": {"stage_positions": own(z_plan=STACK),
                      "z_plan": {"range": 2, "step": 1}},
    "channels of one position": {"stage_positions": own(channels=["Cy5", "Cy3", "X"]),
                                 "channels": ["A", "B"], "time_plan": TIMES},
    "channels and stack of one": {
        "stage_positions": own(channels=["X", {"config": "Y", "do_stack": False}],
                               z_plan=STACK),
        "channels": ["A", "B"], "z_plan": {"range": 2, "step": 1}, "time_plan": TIMES},
    "times of one position": {"stage_positions": own(time_plan=TIMES),
                              "channels": ["A"]},
    "times of one in channels": {"stage_positions": own(time_plan=TIMES),
                                 "channels": ["A", "B"]},
    "grid": {"grid_plan": {"rows": 2, "columns": 3}, "stage_positions": TWO,
             "time_plan": TIMES},
    "grid of one position": {"stage_positions": own(
        grid_plan={"rows": 2, "columns": 2}), "channels": ["A", "B"]},
    "grid of both": {"stage_positions": own(grid_plan={"rows": 2, "columns": 2}),
                     "grid_plan": {"rows": 1, "columns": 3}},
    "empty sequence of one": {"stage_positions": own(metadata={"a": 1}),
                              "channels": ["A", "B"]},
    "autofocus of one": {"stage_positions": own(autofocus_plan={
        "autofocus_motor_offset": 5, "axes": ["p"]}), "channels": ["A", "B"]},
    "autofocus": {"stage_positions": TWO, "z_plan": STACK, "autofocus_plan": {
        "autofocus_motor_offset": 5, "axes": ["p", "z"]}},
    "phases": {"time_plan": [{"interval": 1, "loops": 3}, {"interval": 5, "loops": 2},
                             {"interval": 2, "loops": 4}]},
    "duration": {"time_plan": {"interval": 0.5, "duration": 3}},
    "one loop": {"time_plan": {"interval": 0, "loops": 1}, "channels": ["A"]},
    "random": {"grid_plan": {"num_points": 5, "random_seed": 1, "max_width": 100,
                             "max_height": 100}},
    "area": {"grid_plan": {"top": 30, "left": 0, "bottom": 0, "right": 60}},
    "around": {"grid_plan": {"width": 60, "height": 40, "overlap": 10}},
    "polygon": {"grid_plan": {"vertices": [(0, 0), (90, 0), (45, 60)]}},
    "absolute stack": {"z_plan": {"absolute": [1, 4, 2]}, "channels": ["A"]},
    "channels of one that are left out": {
        "channels": ["A", "B"],
        "stage_positions": own(axis_order="tz", channels=["X"])},
    "axis that is left out": {"axis_order": "tc", "time_plan": TIMES, "z_plan": STACK,
                              "channels": ["A"]},
    "plate": {"stage_positions": useq.WellPlatePlan(
        plate="96-well", a1_center_xy=(0, 0), selected_wells=([0, 1], [0, 2]),
        well_points_plan=useq.GridRowsColumns(rows=1, columns=2)), "channels": ["A"]},
}  # fmt: skip


def counted(sequence, layout):
    """Events of a sequence by their place, as an engine would set it up."""
    frame = layout.frame
    grids = [sequence.grid_plan]
    grids += [p.sequence.grid_plan for p in sequence.stage_positions if p.sequence]
    for grid in filter(None, grids):
        grid.fov_width = frame.width * frame.pixel_size_um
        grid.fov_height = frame.height * frame.pixel_size_um
    events = [e for e in sequence if isinstance(e.action, useq.AcquireImage)]
    return Counter(
        (layout.image_of(e.index), layout.place_of(e.index)) for e in events
    ), events


@pytest.mark.parametrize("plans", SEQUENCES.values(), ids=SEQUENCES.keys())
def test_planes_are_those_that_useq_goes_through(plans):
    sequence = useq.MDASequence(**plans)
    layout = layout_of(sequence, FRAME)
    events, in_order = counted(sequence, layout)
    wanted = {
        (number, tuple(place))
        for number, image in enumerate(layout.images)
        for place in np.argwhere(image.wanted).tolist()
    }
    assert set(events.values()) == {1}
    assert wanted == set(events)
    assert layout.planned == len(wanted)
    for event in in_order:
        image = layout.images[layout.image_of(event.index)]
        c = layout.place_of(event.index)[1]
        if event.channel is not None:
            assert image.channels[c].name == event.channel.config
        at = image.place
        asked = [None if v is None else round(v, 6) for v in (event.x_pos, event.y_pos)]
        assert [None if v is None else round(v, 6) for v in (at.x_um, at.y_um)] == asked


def test_looking_at_a_sequence_leaves_its_grid_as_it_is():
    plan = {"grid_plan": {"rows": 1, "columns": 2}, "stage_positions": [(0, 0)]}
    looked_at = useq.MDASequence(**plan)
    layout_of(looked_at, FRAME)
    looked_at.grid_plan.fov_width = looked_at.grid_plan.fov_height = 100
    assert [event.x_pos for event in looked_at] == [-50, 50]


COLLIDING = {
    "times in times": ({"time_plan": TIMES,
                        "stage_positions": own(time_plan=TIMES)}, "position 1.* times"),
    "grid in grid with autofocus": (
        {"grid_plan": {"rows": 1, "columns": 3}, "stage_positions": own(
            grid_plan={"rows": 2, "columns": 2}, autofocus_plan={
                "autofocus_motor_offset": 5, "axes": ["p"]})}, "grid"),
    "channels in channels with autofocus": (
        {"channels": ["A", "B"], "stage_positions": own(
            channels=["X"], autofocus_plan={
                "autofocus_motor_offset": 5, "axes": ["p"]})}, "channels"),
}  # fmt: skip


@pytest.mark.parametrize(("plans", "said"), COLLIDING.values(), ids=COLLIDING.keys())
def test_planes_without_a_place_of_their_own_are_refused(plans, said):
    sequence = useq.MDASequence(**plans)
    places = Counter(tuple(sorted(e.index.items())) for e in sequence
                     if isinstance(e.action, useq.AcquireImage))  # fmt: skip
    assert max(places.values()) > 1
    with pytest.raises(InvalidProperties, match=said):
        layout_of(useq.MDASequence(**plans), FRAME)


REFUSED = {
    "nothing": ({}, "nobody can say"),
    "interval 0": ({"time_plan": {"interval": 0, "duration": 5}}, "interval above 0"),
    "one loop in a duration": ({"time_plan": {"duration": 5, "loops": 1}}, "two loops"),
    "millions of fields": ({"grid_plan": {"width": 90000, "height": 90000}}, "10,000"),
    "millions in a polygon": (
        {"grid_plan": {"vertices": [(0, 0), (1e6, 0), (0, 1e6)]}}, "10,000"),
    "middle of a stack that is left out": (
        {"axis_order": "tc", "z_plan": STACK,
         "channels": [{"config": "B", "do_stack": False}]}, "Add z to the order"),
    "middle of a stack that is left out of one position": (
        {"stage_positions": own(z_plan=STACK, axis_order="tpc", channels=[
            {"config": "B", "do_stack": False}])}, "position 1.* Add z"),
    "middle of a stack of none": (
        {"z_plan": {"relative": []}, "channels": [{"config": "B", "do_stack": False}]},
        "has no planes"),
    "no image left": ({"time_plan": TIMES, "stage_positions": [
        {"sequence": {"z_plan": {"relative": []}}}]}, "0 planes"),
}  # fmt: skip


@pytest.mark.parametrize(("plans", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_counted_is_refused(plans, said):
    with pytest.raises(InvalidProperties, match=said):
        layout_of(useq.MDASequence(**plans), FRAME)


def test_an_area_needs_the_field_of_view():
    sequence = useq.MDASequence(grid_plan={"width": 1000, "height": 1000})
    with pytest.raises(InvalidProperties, match="pixel size"):
        layout_of(sequence, FrameFormat(32, 48, "uint16"))


def test_a_long_run_is_laid_out_without_going_through_it():
    sequence = useq.MDASequence(
        time_plan={"interval": 1, "loops": 100},
        stage_positions=useq.WellPlatePlan(
            plate="96-well", a1_center_xy=(0, 0), selected_wells=slice(None)
        ),
        channels=["A", "B", "C", "D"],
        z_plan=STACK,
    )
    list(sequence.stage_positions)  # useq makes and keeps them
    began = time.thread_time()
    layout = layout_of(sequence, FRAME)
    took = time.thread_time() - began
    assert layout.planned == 192_000
    assert took < 0.5  # of this thread: going through it takes it seconds


# images


def test_images_have_channels_and_shapes_of_their_own():
    plans = SEQUENCES["channels and stack of one"]
    first, second = layout_of(useq.MDASequence(**plans), FRAME).images
    assert first.axes == second.axes == "tczyx"
    assert (first.shape, second.shape) == ((4, 2, 3, 32, 48), (4, 2, 5, 32, 48))
    assert [channel.name for channel in first.channels] == ["A", "B"]
    assert [channel.name for channel in second.channels] == ["X", "Y"]
    assert first.scale == {"t": 1, "z": 1, "y": 0.5, "x": 0.5}


def test_names_are_kept_whatever_they_hold():
    names = ["a/b", "a/b", "", "ä µ"]
    positions = [{"x": 0, "y": 0, "name": name} for name in names]
    layout = layout_of(useq.MDASequence(stage_positions=positions), FRAME)
    assert [image.name for image in layout.images] == ["a/b", "a/b", "p2", "ä µ"]
    assert [image.path for image in layout.images] == ["0", "1", "2", "3"]


def test_a_plate_has_all_its_rows_and_fields_of_one_shape():
    layout = layout_of(useq.MDASequence(**SEQUENCES["plate"]), FRAME)
    assert layout.plate.name == "96-well"
    assert (len(layout.plate.rows), len(layout.plate.columns)) == (8, 12)
    paths = [image.path for image in layout.images]
    assert paths == ["A/1/0", "A/1/1", "B/3/0", "B/3/1"]
    assert not layout.is_padded


def test_wells_that_positions_name_are_a_plate_and_padded():
    wells = [
        {"x": 0, "y": 0, "plate_row": 0, "plate_col": 0},
        {"x": 9, "y": 0, "plate_row": 2, "plate_col": 6, "sequence": {"z_plan": STACK}},
    ]
    layout = layout_of(useq.MDASequence(stage_positions=wells), FRAME)
    assert [image.path for image in layout.images] == ["A/1/0", "C/7/0"]
    assert (len(layout.plate.rows), len(layout.plate.columns)) == (6, 8)
    assert {image.shape for image in layout.images} == {(5, 32, 48)}
    assert layout.is_padded
    assert layout.planned == 6


def test_rows_go_on_after_z():
    plan = useq.WellPlatePlan(
        plate="1536-well", a1_center_xy=(0, 0), selected_wells=([27], [0])
    )
    layout = layout_of(useq.MDASequence(stage_positions=plan), FRAME)
    assert layout.images[0].path == "AB/1/0"


CAMERAS = {
    "two cameras": (("left", "right"), 1, ["A left", "A right", "B left", "B right"]),
    "colours": (("cam",), 3, ["A red", "A green", "A blue",
                              "B red", "B green", "B blue"]),
}  # fmt: skip


@pytest.mark.parametrize(("cameras", "colors", "names"), CAMERAS.values(), ids=CAMERAS)
def test_cameras_and_colours_become_channels(cameras, colors, names):
    frame = FrameFormat(32, 48, "uint8", 0.0, cameras, colors)
    layout = layout_of(useq.MDASequence(channels=["A", "B"]), frame)
    (image,) = layout.images
    assert [channel.name for channel in image.channels] == names
    assert image.shape == (len(names), 32, 48)
    assert layout.planned == len(names)
    assert (
        layout.place_of({"c": 1, "cam": len(cameras) - 1}, colors - 1)[1]
        == len(names) - 1
    )


def test_dyes_have_the_colours_of_their_light():
    layout = layout_of(useq.MDASequence(channels=["DAPI", "FITC", "Cy5"]), FRAME)
    colors = [channel.color for channel in layout.images[0].channels]
    assert colors == ["0000FF", "00FF00", "FF00FF"]


RANGES = {
    "12 of 16 bits": ("uint16", 12, (0, 4095)),
    "all of them": ("uint16", 16, (0, 65535)),
    "not said": ("uint8", 0, (0, 255)),
    "more than there are": ("uint8", 32, (0, 255)),
    "signed": ("int16", 16, (-32768, 32767)),
    "floats": ("float32", 32, None),
}


@pytest.mark.parametrize(("dtype", "bits", "values"), RANGES.values(), ids=RANGES)
def test_values_are_those_that_a_camera_can_give(dtype, bits, values):
    frame = FrameFormat(32, 48, dtype, bit_depth=bits)
    [image] = layout_of(useq.MDASequence(channels=["DAPI"]), frame).images
    assert image.channels[0].value_range == values


SEEN = {
    "12 bits are said": (12, 300, (0, 4095)),
    "few of 16": (16, 1200, (0, 4095)),
    "fewer": (0, 200, (0, 255)),
    "most of 16": (16, 40000, (0, 65535)),
}


@pytest.mark.parametrize(("bits", "brightest", "values"), SEEN.values(), ids=SEEN)
def test_contrast_is_chosen_from_values_that_come(bits, brightest, values):
    assert (
        FrameFormat(32, 48, "uint16", bit_depth=bits).range_around(brightest) == values
    )
