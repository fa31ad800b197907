"""What holds for every camera: `CameraContract`, whose subclasses say which camera.

The clock is real and the machine may be busy: of several tries the best must be quick.
"""

import itertools
import threading
import time
from contextlib import closing, suppress

import numpy as np
import pytest
from waiting import PATIENCE_S

from napari_zarr_stream.cameras.host_clock import host_time_ns
from napari_zarr_stream.cameras.probes import LEFT_OUT
from napari_zarr_stream.cameras.protocol import CameraError, CameraLost

TIMEOUT_S = 0.2  # the most that may be asked for
SLACK_S = 0.2  # of a busy machine
STOP_S = 0.5
FIRST_FRAME_S = 10.0
RESTARTS = 20
REGION = ("offset_x", "offset_y", "width", "height")


class Place:
    """What may be done with the place for a frame, and that is all."""

    def __init__(self, camera):
        self.shape, self.dtype = camera.shape, camera.dtype
        self.frames = []

    def __setitem__(self, where, frame):
        assert where is Ellipsis
        assert (frame.shape, frame.dtype) == (self.shape, self.dtype)
        self.frames.append(frame.copy())


def read(camera):
    """Return the next frame and its info, however long it takes to come."""
    place = Place(camera)
    deadline = time.perf_counter() + FIRST_FRAME_S
    while time.perf_counter() < deadline:
        info = camera.read_into(place, TIMEOUT_S)
        if info is not None:
            [frame] = place.frames  # written once
            return frame, info
        assert not place.frames  # nothing is written at a timeout
    raise AssertionError(f"no frame within {FIRST_FRAME_S} s")


def infos_of(camera, count):
    """What is said of the next frames."""
    return [read(camera)[1] for _ in range(count)]


def setting_of(camera, name):
    [found] = [setting for setting in camera.settings if setting.name == name]
    return found


def names_of(camera):
    return [setting.name for setting in camera.settings]


def is_number(setting):
    return not isinstance(setting.value, bool | str)


class CameraContract:
    """Tests of any camera. A subclass has a fixture `make`: a factory of cameras.

    They are not open, but ready to be: where there is an "address", it is set. What a
    factory makes is made again and again, while at most one is open.

    A subclass says which of `OPTIONAL` its cameras have: there is a test more for each.
    """

    has = frozenset()

    def __init_subclass__(cls, has=()):
        cls.has = frozenset(has)
        for name in has:
            setattr(cls, f"test_every_{name}_gives_frames_that_fit", OPTIONAL[name])

    @pytest.fixture
    def make(self):
        raise NotImplementedError("say which camera")

    @pytest.fixture
    def camera(self, make):
        with closing(make()) as camera:
            camera.open()
            yield camera

    # life cycle

    def test_is_opened_and_closed_again_and_again(self, make):
        camera = make()
        for _ in range(2):
            camera.open()
            camera.start()
            read(camera)
            camera.close()  # while it runs
            camera.close()

    def test_another_one_takes_over(self, make):
        for _ in range(2):
            with closing(make()) as camera:
                camera.open()
                camera.start()
                read(camera)

    def test_closing_what_was_never_opened(self, make):
        make().close()

    def test_calls_out_of_order_are_refused(self, make):
        with closing(make()) as camera:
            with pytest.raises(CameraError):
                camera.start()
            camera.open()
            place = Place(camera)
            with pytest.raises(CameraError):
                camera.read_into(place, TIMEOUT_S)
            camera.stop()
            camera.start()
            with pytest.raises(CameraError):
                camera.start()
            read(camera)  # it runs on
            camera.stop()
            with pytest.raises(CameraError):
                camera.read_into(place, TIMEOUT_S)
            assert not place.frames
            camera.close()
            with pytest.raises(CameraError):
                camera.start()

    def test_restarts(self, camera):
        for _ in range(RESTARTS):
            camera.start()
            assert camera.stats.delivered == camera.stats.incomplete == 0
            assert camera.stats.lost in (0, None)
            assert [read(camera)[1].index for _ in range(2)] == [0, 1]
            camera.stop()
            camera.stop()

    def test_a_life_in_another_thread(self, make):
        done, failed = [], []

        def live():
            try:
                with closing(make()) as camera:
                    camera.open()
                    for _ in range(2):
                        camera.start()
                        done.extend(read(camera)[1].index for _ in range(3))
                        camera.stop()
            except BaseException as error:
                failed.append(error)
                raise

        thread = threading.Thread(target=live)
        thread.start()
        thread.join(PATIENCE_S)
        assert not failed
        assert done == [0, 1, 2, 0, 1, 2]

    def test_counts_stay_after_stop(self, camera):
        camera.start()
        for _ in range(3):
            read(camera)
        camera.stop()
        assert camera.stats.delivered == 3

    # frames

    def test_what_it_says_of_itself(self, camera):
        assert camera.info["name"]
        for name, value in camera.info.items():
            assert isinstance(name, str)
            assert isinstance(value, str)
        assert LEFT_OUT not in camera.info  # all could be asked
        assert len(camera.shape) in (2, 3)
        assert all(type(side) is int and side > 0 for side in camera.shape)
        assert isinstance(camera.dtype, np.dtype)
        assert 1 <= camera.bit_depth <= 8 * camera.dtype.itemsize
        assert camera.frame_rate is None or camera.frame_rate > 0
        assert camera.pixel_size_um is None or camera.pixel_size_um > 0

    def test_frames_and_their_counts(self, camera):
        shape, dtype, bit_depth = camera.shape, camera.dtype, camera.bit_depth
        before_ns = host_time_ns()
        camera.start()
        infos, lost, incomplete = [], 0, 0
        for index in range(8):
            before = camera.stats
            frame, info = read(camera)
            assert (camera.shape, camera.dtype, camera.bit_depth) == (
                shape,
                dtype,
                bit_depth,
            )
            assert frame.max() < 2**bit_depth
            assert info.index == index
            assert info.lost_before >= 0
            lost, incomplete = lost + info.lost_before, incomplete + (not info.complete)
            stats = camera.stats
            assert stats.delivered == before.delivered + 1 == index + 1
            assert stats.incomplete == incomplete
            assert stats.lost is None or stats.lost >= lost
            assert (stats.lost is None) == (before.lost is None)
            infos.append(info)
        for one, next_one in itertools.pairwise(infos):
            assert before_ns <= one.host_time_ns <= next_one.host_time_ns
            if one.device_time_ns is not None:
                assert next_one.device_time_ns >= one.device_time_ns
            if one.device_index is not None:
                step = next_one.device_index - one.device_index
                assert step == next_one.lost_before + 1

    def test_a_wait_is_as_short_as_asked_for(self, camera):
        """At the lowest rate there is, so that there is something to wait for."""
        self.slow_down(camera)
        camera.start()
        for timeout_s in (TIMEOUT_S, 0.0):
            waits_s = []
            for _ in range(5):
                place = Place(camera)
                start = time.perf_counter()
                info = camera.read_into(place, timeout_s)
                waits_s.append(time.perf_counter() - start)
                assert len(place.frames) == (info is not None)
            assert min(waits_s) < timeout_s + SLACK_S

    def slow_down(self, camera):
        """Make frames rare: one in 1 s, or as near to it as the camera comes."""
        names = names_of(camera)
        with suppress(CameraError):  # as far as it goes
            if "frame_rate" in names:
                camera.set("frame_rate", 1)
            if "exposure_ms" in names:
                camera.set("exposure_ms", 1000)

    def test_stops_soon(self, camera):
        stops_s = []
        for _ in range(3):
            camera.start()
            read(camera)
            start = time.perf_counter()
            camera.stop()
            stops_s.append(time.perf_counter() - start)
        assert min(stops_s) < STOP_S

    # settings

    def test_it_has_what_it_is_tested_for(self, camera):
        names = set(names_of(camera))
        found = names & OPTIONAL.keys()
        assert found | ({"region"} if set(REGION) <= names else set()) == self.has

    def test_settings_are_what_they_say(self, camera):
        names = names_of(camera)
        assert len(set(names)) == len(names)
        assert all(setting.label for setting in camera.settings)
        for setting in camera.settings:
            value = camera.get(setting.name)
            assert value == setting.value
            assert type(value) is type(setting.value) in (bool, int, float, str)
            if setting.choices:
                assert value in setting.choices
            if is_number(setting):
                assert setting.minimum is None or setting.minimum <= value
                assert setting.maximum is None or value <= setting.maximum

    def test_a_setting_can_be_set_to_what_it_is(self, camera):
        for setting in camera.settings:
            value = camera.set(setting.name, setting.value)
            assert value == camera.get(setting.name) == pytest.approx(setting.value)
            assert type(value) is type(setting.value)

    def test_numbers_are_read_back(self, camera):
        for name in [each.name for each in camera.settings if is_number(each)]:
            setting = setting_of(camera, name)
            for wanted in (0, setting.minimum, setting.maximum, 1e12, -1e12):
                if wanted is None:
                    continue
                before = camera.get(name)
                try:
                    in_force = camera.set(name, wanted)
                except CameraLost:
                    raise
                except CameraError:
                    in_force = before  # refused: nothing has changed
                assert in_force == camera.get(name) == setting_of(camera, name).value
                assert type(in_force) is type(before)
            camera.set(name, setting.value)
            assert camera.get(name) == pytest.approx(setting.value)

    def test_what_makes_no_sense_is_refused(self, camera):
        for setting in camera.settings:
            nonsense = "no such thing"
            if isinstance(setting.value, str) and not setting.choices:
                continue
            with pytest.raises(CameraError, match=setting.name):
                camera.set(setting.name, nonsense)
            assert camera.get(setting.name) == setting.value
        for call in (camera.get, lambda name: camera.set(name, 1)):
            with pytest.raises(CameraError, match="no such thing"):
                call("no such thing")

    def test_settings_that_are_locked_while_it_runs(self, camera):
        camera.start()
        for setting in camera.settings:
            if setting.locked_while_running:
                with pytest.raises(CameraError, match=setting.name):
                    camera.set(setting.name, setting.value)
            else:
                in_force = camera.set(setting.name, setting.value)
                assert in_force == pytest.approx(setting.value)
            assert camera.get(setting.name) == pytest.approx(setting.value)
        read(camera)
        camera.stop()
        self.test_a_setting_can_be_set_to_what_it_is(camera)


def every_region_gives_frames_that_fit(self, camera):
    full = {name: camera.get(name) for name in REGION}
    wanted = {
        "width": full["width"] // 2,
        "height": full["height"] // 4,
        "offset_x": full["width"] // 4,
        "offset_y": full["height"] // 8,
    }
    for name, value in wanted.items():
        in_force = camera.set(name, value)
        assert abs(in_force - value) < 64, "steps of a sensor are smaller"
        assert camera.shape[-2:] == (camera.get("height"), camera.get("width"))
    camera.start()
    read(camera)
    camera.stop()
    for name in REGION:  # offsets first, to make room
        camera.set(name, full[name])
    assert {name: camera.get(name) for name in REGION} == full
    assert camera.shape[-2:] == (full["height"], full["width"])


def every_choice_gives_frames_that_fit(name):
    def test(self, camera):
        setting = setting_of(camera, name)
        choices = setting.choices or (1, 2)
        for choice in (*choices, setting.value):
            try:
                in_force = camera.set(name, choice)
            except CameraError:
                assert not setting.choices, "a choice has to be possible"
                continue
            assert in_force == camera.get(name)
            if setting.choices:
                assert in_force == choice
            if "width" in names_of(camera):
                assert camera.shape[-2:] == (camera.get("height"), camera.get("width"))
            camera.start()
            frame, info = read(camera)
            assert info.complete is False or frame.max() < 2**camera.bit_depth
            camera.stop()

    return test


OPTIONAL = {
    "region": every_region_gives_frames_that_fit,
    "pixel_type": every_choice_gives_frames_that_fit("pixel_type"),
    "binning": every_choice_gives_frames_that_fit("binning"),
}
"""What a camera need not have, and what holds where it has it."""
