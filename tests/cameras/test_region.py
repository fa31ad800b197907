"""Regions of interest: rectangles on a picture, and the order in which they are set."""

import itertools
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_zarr_stream.cameras import CameraError, Setting, SimulatedCamera
from napari_zarr_stream.cameras.region import (
    Rectangle,
    Region,
    full_sensor,
    region_of,
    region_within,
    restore_settings,
    set_region,
)

SHOWN = Region(100, 200, 640, 480)


@pytest.mark.parametrize(
    ("rectangle", "region"),
    [
        # the whole picture, by its edges
        ((-0.5, -0.5, 639.5, 479.5), SHOWN),
        # one pixel, by its edges, and what a hair more touches
        ((9.5, 19.5, 10.5, 20.5), Region(110, 220, 1, 1)),
        ((9.49, 19.5, 10.51, 20.5), Region(109, 220, 3, 1)),
        # beyond the picture
        ((-50, -60, 19.5, 9.5), Region(100, 200, 20, 10)),
        ((629.5, 469.5, 9999, 9999), Region(730, 670, 10, 10)),
    ],
)
def test_the_pixels_a_rectangle_touches(rectangle, region):
    assert region_within(Rectangle(*rectangle), SHOWN) == region


@pytest.mark.parametrize("rectangle", [(700, 0, 800, 10), (0, -9, 10, -1)])
def test_a_rectangle_beside_the_picture_is_refused(rectangle):
    with pytest.raises(CameraError, match="640 × 480"):
        region_within(Rectangle(*rectangle), SHOWN)


@given(st.lists(st.floats(-300, 900), min_size=4, max_size=4))
def test_no_region_leaves_the_picture(corners):
    left, right = sorted(corners[:2])
    top, bottom = sorted(corners[2:])
    try:
        region = region_within(Rectangle(left, top, right, bottom), SHOWN)
    except CameraError:
        return
    assert SHOWN.offset_x <= region.offset_x
    assert SHOWN.offset_y <= region.offset_y
    assert region.offset_x + region.width <= SHOWN.offset_x + SHOWN.width
    assert region.offset_y + region.height <= SHOWN.offset_y + SHOWN.height


def test_region_and_sensor_of_a_camera():
    camera = SimulatedCamera(width=640, height=480)
    set_region(camera, Region(50, 60, 320, 200))
    assert region_of(camera.settings) == Region(50, 60, 320, 200)
    assert full_sensor(camera.settings) == Region(0, 0, 8192, 8192)
    assert region_of([s for s in camera.settings if s.name != "offset_x"]) is None


class SteppedCamera:
    """A sensor of 640 x 480 that reads out in steps of 16, and refuses what leaves it.

    The limits of each setting depend on the others, as with GenICam cameras.
    """

    def __init__(self):
        self.values = dict(zip(Region._fields, (0, 0, 640, 480), strict=True))
        self.fails_at = None

    @property
    def settings(self):
        return [Setting(name, name, value) for name, value in self.values.items()]

    def get(self, name):
        return self.values[name]

    def set(self, name, value):
        if name == self.fails_at:
            self.fails_at = None
            raise CameraError("refused")
        new = self.values | {name: value // 16 * 16}
        if new["offset_x"] + new["width"] > 640 or new["width"] < 16:
            raise CameraError("this leaves the sensor")
        if new["offset_y"] + new["height"] > 480 or new["height"] < 16:
            raise CameraError("this leaves the sensor")
        self.values = new
        return new[name]


@given(st.lists(st.tuples(st.integers(0, 620), st.integers(0, 460)), min_size=2))
def test_no_step_on_the_way_leaves_the_sensor(corners):
    camera = SteppedCamera()
    for x, y in corners:
        wanted = Region(x, y, max(16, 640 - x), max(16, 480 - y))
        got = set_region(camera, wanted)
        assert all(0 <= a - b < 16 for a, b in zip(wanted, got, strict=True))


def test_a_refusal_leaves_the_region_as_it_was():
    camera = SteppedCamera()
    set_region(camera, Region(320, 160, 160, 160))
    camera.fails_at = "height"
    with pytest.raises(CameraError, match="refused"):
        set_region(camera, Region(16, 16, 320, 320))
    assert tuple(camera.values.values()) == (320, 160, 160, 160)


def test_a_largest_size_that_nobody_knows_is_the_present_one():
    camera = SimulatedCamera(width=64, height=48)
    settings = [replace(s, maximum=None) for s in camera.settings]
    assert isinstance(settings[0], Setting)
    assert full_sensor(settings) == Region(0, 0, 64, 48)


# settings of another time


REGION = {"offset_x": 320, "offset_y": 160, "width": 160, "height": 160}


@pytest.mark.parametrize("order", list(itertools.permutations(REGION)))
@pytest.mark.parametrize("before", [(0, 0, 640, 480), (480, 320, 160, 160)])
def test_a_region_comes_back_in_any_order(order, before):
    camera = SteppedCamera()
    set_region(camera, Region(*before))
    assert restore_settings(camera, {name: REGION[name] for name in order}) == []
    assert camera.values == REGION


def test_settings_that_limit_each_other_come_back():
    wanted = {"exposure_ms": 500.0, "frame_rate": 2.0, "pixel_type": "uint8"}
    camera = SimulatedCamera()
    assert restore_settings(camera, wanted | {"no such thing": 1}) == []
    assert {name: camera.get(name) for name in wanted} == wanted


def test_what_does_not_come_back_is_said_and_hides_nothing():
    camera = SimulatedCamera()
    wanted = {"pixel_type": "float128", "exposure_ms": 500.0, "width": 64}
    problems = restore_settings(camera, wanted)
    assert camera.get("width") == 64
    assert len(problems) == 2
    assert all(problem.startswith("Not as last time: ") for problem in problems)
    assert "float128" in problems[0]
    assert re.search(r"exposure_ms is 33\.3.*, it was 500", problems[1])


def test_a_region_that_is_refused_is_said_once():
    camera = SteppedCamera()
    [problem] = restore_settings(camera, REGION | {"width": 640})
    assert "leaves the sensor" in problem
    assert region_of(camera.settings) == Region(0, 0, 640, 480)
