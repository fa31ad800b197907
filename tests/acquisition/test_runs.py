"""Runs of Micro-Manager's demo microscope, against copies taken in its engine."""

import json
import threading
from itertools import product

import numpy as np
import pytest
import useq
from judges import ask
from microscopes import (
    check_planes,
    check_pyramid,
    demo_microscope,
    small,
    stored,
)
from waiting import wait_until
from yaozarrs import validate_zarr_store

from napari_zarr_stream import (
    Acquisition,
    DeviceKind,
    IllegalTransition,
    InvalidProperties,
    SourceFailed,
    StoreExists,
    WriteFailed,
    recording_of,
)
from napari_zarr_stream._acquisition.engine import RunRecorder
from napari_zarr_stream._acquisition.presets import settle_camera
from napari_zarr_stream._acquisition.states import AcquisitionState
from napari_zarr_stream._writer.logged import read_column
from napari_zarr_stream._writer.record import FinishReason

STACK = {"range": 2, "step": 1}
TIMES = {"interval": 0, "loops": 3}
TWO = [(0, 0, 0), {"x": 100, "y": 50, "z": 5, "name": "a/b"}]
ALL = {"time_plan": TIMES, "stage_positions": TWO, "channels": ["DAPI", "FITC"],
       "z_plan": STACK}  # fmt: skip
WELLS = useq.WellPlatePlan(
    plate="96-well",
    a1_center_xy=(0, 0),
    selected_wells=([0, 1], [0, 2]),
    well_points_plan=useq.GridRowsColumns(
        rows=1, columns=2, fov_width=30, fov_height=30
    ),
)


@pytest.fixture(scope="module")
def microscope():
    with demo_microscope() as (core, copies):
        yield core, copies


@pytest.fixture
def scope(microscope):
    core, copies = microscope
    core.setAutoShutter(True)
    copies.inner.use_hardware_sequencing = False
    yield core, copies
    assert core.mda.engine is copies
    assert not core.isSequenceRunning()
    assert not core.getShutterOpen()


def ran(scope, path, plans, **options):
    """A run that goes through, recorded."""
    core, _ = scope
    acquisition = Acquisition(stored(path, **options))
    with recording_of(core, acquisition):
        core.run_mda(useq.MDASequence(**plans))
    return acquisition


def failed(scope, acquisition, plans, error):
    """A run that ends with an error of ours, in this thread."""
    core, _ = scope
    recorder = RunRecorder(core, lambda: acquisition)
    with pytest.raises(error) as raised:
        core.mda.run(plans if isinstance(plans, list) else useq.MDASequence(**plans))
    recorder.stop()
    assert str(core.mda.status.finish_reason) == "errored"
    with pytest.raises(error):
        acquisition.wait()
    assert acquisition.status().state is AcquisitionState.ENDED
    assert acquisition.status().finish_reason is FinishReason.FAILED
    return str(raised.value)


def record_of(path):
    text = (path / "zarr.json").read_text()
    return json.loads(text)["attributes"]["napari_zarr_stream"]


# every order, every device kind

ORDERS = ("tpcz", "tpzc", "ptcz", "pzct", "cpzt")
EVERY = [
    pytest.param(
        order, kind, hardware, sharded,
        marks=() if (order, kind, hardware, sharded) in {
            ("tpcz", DeviceKind.ZARR_V3_LZ4, False, True),
            ("cpzt", DeviceKind.ZARR_ZSTD, True, False),
        } else pytest.mark.long,
    )
    for order, kind, hardware, sharded in product(
        ORDERS, DeviceKind, (False, True), (False, True)
    )
    if not sharded or DeviceKind(kind).zarr_format == 3
]  # fmt: skip


@pytest.mark.parametrize(("order", "kind", "hardware", "sharded"), EVERY)
def test_every_order_is_stored_by_place(
    scope, tmp_path, order, kind, hardware, sharded
):
    scope[1].inner.use_hardware_sequencing = hardware
    plans = {**ALL, "axis_order": order}
    path = tmp_path / "run.zarr"
    acquisition = ran(scope, path, plans, device_kind=kind, sharded=sharded)
    came = check_planes(acquisition, scope[1])
    in_hardware = hardware and order[-1] == "t"
    # On a busy computer the engine may give one fewer, with a warning of its own.
    assert came == 36 or (in_hardware and 30 <= came < 36)
    assert (scope[1].hardware > 0) == in_hardware
    check_pyramid(acquisition)
    status = acquisition.status()
    reason = FinishReason.COMPLETED if came == 36 else FinishReason.INCOMPLETE
    assert (status.planned, status.acquired, status.committed) == (36, came, came)
    assert (status.missing, status.finish_reason) == (36 - came, reason)
    assert {image.axes for image in acquisition.layout.images} == {"tczyx"}


@pytest.mark.long
@pytest.mark.parametrize("kind", DeviceKind)
@pytest.mark.parametrize("places", [TWO, WELLS], ids=["positions", "plate"])
def test_other_readers_find_nothing_wrong(scope, tmp_path, kind, places):
    path = tmp_path / "run.zarr"
    acquisition = ran(scope, path, ALL | {"stage_positions": places}, device_kind=kind)
    validate_zarr_store(str(path))
    for image in acquisition.layout.images:
        for name in ("zarr", "yaozarrs", "ome_zarr_models", "ngff_zarr"):
            ask(name, path / image.path)


# what is never asked for, and what is asked for at one place only

PARTLY = {
    "middle of the stack": (
        {"time_plan": TIMES, "stage_positions": TWO, "z_plan": STACK,
         "channels": ["DAPI", {"config": "FITC", "do_stack": False}]}, 24),
    "every third time": (
        {"time_plan": {"interval": 0, "loops": 5}, "stage_positions": TWO,
         "channels": ["DAPI", {"config": "FITC", "acquire_every": 3}]}, 14),
    "stack of one position": (
        {"time_plan": TIMES, "channels": ["DAPI", "FITC"], "stage_positions": [
            (0, 0, 0), {"x": 9, "y": 9, "z": 0, "sequence": {"z_plan": STACK}}]}, 24),
    "channels of one position": (
        {"channels": ["DAPI", "FITC"], "stage_positions": [
            (0, 0, 0), {"x": 9, "sequence": {"channels": ["Cy5"]}}]}, 3),
    "grid": ({"grid_plan": {"rows": 2, "columns": 2}, "channels": ["DAPI"]}, 4),
    "grid of one position": (
        {"stage_positions": [(0, 0), {"x": 9, "y": 9, "sequence": {
            "grid_plan": {"rows": 1, "columns": 3}}}]}, 4),
    "one image": ({"channels": ["DAPI"]}, 1),
    "stack alone": ({"z_plan": STACK}, 3),
    "autofocus": (
        {"stage_positions": TWO, "channels": ["DAPI", "FITC"], "autofocus_plan": {
            "autofocus_motor_offset": 5, "axes": ["p"]}}, 4),
    "region by setup": (
        {"setup": {"roi": (8, 4, 48, 32)}, "time_plan": TIMES}, 3),
    "plate": ({"time_plan": TIMES, "stage_positions": WELLS,
               "channels": ["DAPI", "FITC"]}, 24),
}  # fmt: skip
FEW = {"middle of the stack", "stack of one position", "one image", "region by setup"}


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=() if c in FEW else pytest.mark.long) for c in PARTLY],
)
def test_planes_that_are_not_asked_for_are_not_missing(scope, tmp_path, case):
    core, copies = scope
    plans, planes = PARTLY[case]
    path = tmp_path / "run.zarr"
    acquisition = ran(scope, path, plans)
    core.clearROI()
    assert check_planes(acquisition, copies) == planes
    status = acquisition.status()
    assert (status.planned, status.acquired, status.missing) == (planes, planes, 0)
    assert status.finish_reason is FinishReason.COMPLETED
    assert len(read_column(path, "image")) == planes


# what is refused

REFUSED = {
    "colliding": (
        {"time_plan": TIMES, "stage_positions": [
            (0, 0), {"x": 1, "sequence": {"time_plan": TIMES}}]},
        InvalidProperties, "position 1 has times of its own"),
    "a list of events": ([useq.MDAEvent(), useq.MDAEvent()], InvalidProperties,
                         "a list or an iterator of events"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_place_is_refused_before_anything_is_written(scope, tmp_path, case):
    plans, error, said = REFUSED[case]
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    assert said in failed(scope, acquisition, plans, error)
    assert not list(tmp_path.iterdir())
    again = ran(scope, tmp_path / "again.zarr", {"channels": ["DAPI"]})
    assert again.status().finish_reason is FinishReason.COMPLETED


def test_a_store_that_is_there_is_left_alone(scope, tmp_path):
    path = tmp_path / "run.zarr"
    ran(scope, path, {"channels": ["DAPI"]})
    before = sorted(path.rglob("*"))
    acquisition = Acquisition(stored(path))
    failed(scope, acquisition, {"channels": ["DAPI"]}, StoreExists)
    assert sorted(path.rglob("*")) == before


def test_too_little_disk_is_refused(scope, tmp_path):
    properties = stored(tmp_path / "run.zarr")
    acquisition = Acquisition(properties, reserve_bytes=2**60)
    said = failed(scope, acquisition, {"channels": ["DAPI"]}, WriteFailed)
    assert "kept in reserve" in said
    assert not list(tmp_path.iterdir())


# the end before the end


def test_a_plate_that_is_cancelled_has_fields_of_one_shape(scope, tmp_path):
    core, copies = scope
    path = tmp_path / "run.zarr"
    acquisition = Acquisition(stored(path))
    plans = {"time_plan": TIMES, "stage_positions": WELLS, "channels": ["DAPI", "FITC"]}

    class CancelsAfterNine(Acquisition):
        def take(self, *arguments):
            super().take(*arguments)
            if self.status().acquired == 9:
                core.mda.cancel()

    acquisition = CancelsAfterNine(stored(path))
    with recording_of(core, acquisition):
        core.run_mda(useq.MDASequence(**plans))
    status = acquisition.status()
    assert status.finish_reason is FinishReason.CANCELED
    assert (status.acquired, status.missing) == (9, 15)
    assert "position A1_0000, FITC" in status.missing_planes
    assert "and 10 more" in status.missing_planes
    assert check_planes(acquisition, copies) == 9
    record = record_of(path)
    assert (record["finish_reason"], record["planes_missing"]) == ("canceled", 15)
    assert len(record["missing"]) == 15
    shapes = {
        tuple(json.loads((path / image.path / "0/zarr.json").read_text())["shape"])
        for image in acquisition.layout.images
    }
    assert shapes == {(2, 2, 64, 96)}


def test_a_long_wait_is_cancelled(scope, tmp_path):
    core, _ = scope
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    plans = {"time_plan": {"interval": 3600, "loops": 2}, "channels": ["DAPI"]}
    with recording_of(core, acquisition):
        core.run_mda(useq.MDASequence(**plans))
        wait_until(lambda: (acquisition.status().next_event_s or 0) > 3000)
        status = acquisition.status()
        assert (status.position, status.channel) == ("p0", "DAPI")
        assert status.index == {"t": 1, "c": 0}
        core.mda.cancel()
    status = acquisition.status()
    assert status.finish_reason is FinishReason.CANCELED
    assert status.missing_planes == "t 1, position p0, DAPI"


class CancelsAt(Acquisition):
    """Has its run cancelled once it has so many planes."""

    def __init__(self, properties, core, planes):
        super().__init__(properties)
        self.core, self.planes = core, planes

    def take(self, *arguments):
        super().take(*arguments)
        if self.status().acquired == self.planes:
            self.core.mda.cancel()


@pytest.mark.parametrize("has_autoshutter", [True, False])
@pytest.mark.parametrize("planes", [1, 2, 3])
def test_a_shutter_that_is_kept_open_is_closed_by_a_cancel(
    scope, tmp_path, planes, has_autoshutter
):
    """Micro-Manager leaves it open, and the light bleaches; by hand it stays so."""
    core, copies = scope
    core.setAutoShutter(has_autoshutter)
    acquisition = CancelsAt(stored(tmp_path / "run.zarr"), core, planes)
    plans = {"z_plan": STACK, "time_plan": TIMES, "keep_shutter_open_across": ("z",)}
    with recording_of(core, acquisition):
        core.run_mda(useq.MDASequence(**plans))
    assert acquisition.status().finish_reason is FinishReason.CANCELED
    assert check_planes(acquisition, copies) == planes
    assert core.getAutoShutter() == has_autoshutter
    assert not core.getShutterOpen()


def test_a_hardware_sequence_is_cancelled(scope, tmp_path):
    core, copies = scope
    copies.inner.use_hardware_sequencing = True

    class CancelsAfterTwenty(Acquisition):
        def take(self, *arguments):
            super().take(*arguments)
            if self.status().acquired == 20:
                core.mda.cancel()

    acquisition = CancelsAfterTwenty(stored(tmp_path / "run.zarr"))
    plans = {"time_plan": {"interval": 0, "loops": 2000}, "channels": ["DAPI"]}
    with recording_of(core, acquisition):
        core.run_mda(useq.MDASequence(**plans))
    status = acquisition.status()
    assert status.finish_reason is FinishReason.CANCELED
    assert check_planes(acquisition, copies) == status.acquired < 2000
    assert status.missing == 2000 - status.acquired


class FailsAt(Acquisition):
    """A disk that fails at a plane."""

    def __init__(self, properties, plane):
        super().__init__(properties)
        self.plane = plane

    def take(self, *arguments):
        if self.status().acquired == self.plane:
            raise WriteFailed(5, "the disk is gone")
        super().take(*arguments)


@pytest.mark.parametrize("hardware", [True, False])
def test_a_failure_stops_the_camera_and_closes_the_shutter(scope, tmp_path, hardware):
    core, copies = scope
    copies.inner.use_hardware_sequencing = hardware
    path = tmp_path / "run.zarr"
    acquisition = FailsAt(stored(path), 6)
    plans = {"time_plan": {"interval": 0, "loops": 300}, "channels": ["DAPI"]}
    assert failed(scope, acquisition, plans, WriteFailed) == "the disk is gone"
    assert not core.isSequenceRunning()
    assert not core.getShutterOpen()
    assert core.getAutoShutter()
    assert len(copies.frames) <= 8
    assert check_planes(acquisition, copies.frames[:6]) == 6
    record = record_of(path)
    assert (record["finish_reason"], record["error"]) == ("failed", "the disk is gone")
    assert record["planes_missing"] == 294


def test_a_snap_that_fails_is_a_hole_at_its_place(scope, tmp_path, monkeypatch):
    core, copies = scope
    snap, snaps = core.snapImage, []

    def fails_once():
        snaps.append(None)
        if len(snaps) == 5:
            raise RuntimeError("the cable")
        snap()

    monkeypatch.setattr(core, "snapImage", fails_once)
    path = tmp_path / "run.zarr"
    acquisition = ran(scope, path, {**ALL, "axis_order": "tpcz"})
    assert str(core.mda.status.finish_reason) == "completed"
    status = acquisition.status()
    assert status.finish_reason is FinishReason.INCOMPLETE
    assert (status.acquired, status.missing) == (35, 1)
    assert status.missing_planes == "t 0, position p0, FITC, z 1"
    assert check_planes(acquisition, copies) == 35
    record = record_of(path)
    assert record["finish_reason"] == "incomplete"
    assert record["missing"] == [[0, 0, 1, 1]]


def test_an_event_that_is_skipped_is_missing(scope, tmp_path, monkeypatch):
    from pymmcore_plus.mda import SkipEvent

    _, copies = scope

    def setup_event(event):
        if event.index["t"] == 1:
            raise SkipEvent(reason="the focus is lost")
        copies.inner.setup_event(event)

    monkeypatch.setattr(copies, "setup_event", setup_event)
    plans = {"time_plan": TIMES, "channels": ["DAPI"]}
    acquisition = ran(scope, tmp_path / "run.zarr", plans)
    status = acquisition.status()
    assert status.finish_reason is FinishReason.INCOMPLETE
    assert status.missing_planes == "t 1, position p0, DAPI"
    assert check_planes(acquisition, copies) == 2


def test_an_acquisition_records_one_run(scope, tmp_path):
    core, _ = scope
    acquisition = ran(scope, tmp_path / "run.zarr", {"channels": ["DAPI"]})
    recorder = RunRecorder(core, lambda: acquisition)
    with pytest.raises(IllegalTransition, match="make another one for each run"):
        core.mda.run(useq.MDASequence(channels=["DAPI"]))
    recorder.stop()
    assert acquisition.status().finish_reason is FinishReason.COMPLETED


def test_what_the_runner_calls_an_error_is_one(scope, tmp_path):
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    core, _ = scope

    def events(sequence):
        yield next(iter(sequence))
        raise ZeroDivisionError("of its own")

    recorder = RunRecorder(core, lambda: acquisition)
    core.mda.engine.event_iterator = events
    with pytest.raises(ZeroDivisionError):
        core.mda.run(useq.MDASequence(channels=["DAPI", "FITC"]))
    recorder.stop()
    del core.mda.engine.event_iterator
    with pytest.raises(SourceFailed, match="of its own"):
        acquisition.wait()
    assert acquisition.status().acquired == 1


def test_a_channel_that_is_not_there_is_named(scope, tmp_path):
    core, copies = scope
    copies.inner.use_hardware_sequencing = True
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    recorder = RunRecorder(core, lambda: acquisition)
    with pytest.raises(ValueError, match="Cy9"):
        core.mda.run(useq.MDASequence(channels=["Cy9"]))
    recorder.stop()
    with pytest.raises(SourceFailed, match='"Channel" or its preset "Cy9" does not'):
        acquisition.wait()


def test_plans_that_useq_cannot_go_through_are_told(scope, tmp_path):
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    plans = {
        "stage_positions": [{"sequence": {"z_plan": STACK}}, {"x": 1}],
        "channels": ["DAPI"], "keep_shutter_open_across": ("p", "c", "z"),
    }  # fmt: skip
    recorder = RunRecorder(scope[0], lambda: acquisition)
    with pytest.raises(KeyError):  # its own, with nothing but the letter of an axis
        scope[0].mda.run(useq.MDASequence(**plans))
    recorder.stop()
    with pytest.raises(SourceFailed, match=r"useq cannot say .*KeyError.*shutter"):
        acquisition.wait()
    assert check_planes(acquisition, scope[1]) == acquisition.status().acquired


FAILURES = {
    "words": (RuntimeError("no light"), "Micro-Manager: no light"),
    "key": (KeyError("x"), "Micro-Manager: KeyError('x')"),
    "nothing": (MemoryError(), "Micro-Manager: MemoryError()"),
    "lines": (ValueError("\n\n a\nb"), "Micro-Manager: a\nb"),
}


@pytest.mark.parametrize(("error", "said"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_of_devices_is_told_in_words(tmp_path, error, said):
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    acquisition.begin()
    acquisition.end(FinishReason.FAILED, error)
    assert str(acquisition.status().error) == said


CAMERA = {
    "of one size": ([("Camera", "LowRes")], {(16, 24)}),
    "with the size of now": ([("Camera", "HighRes"), "DAPI"], {(64, 96)}),
    "of one position": (["DAPI"], "px of 16 bit now"),
    "of two sizes": ([("Camera", "HighRes"), ("Camera", "LowRes")],
                     "24 × 16 px of 16 bit in LowRes"),
    "beside others": (["DAPI", ("Camera", "LowRes")], "run each by itself"),
}  # fmt: skip


@pytest.mark.parametrize("case", CAMERA)
def test_presets_of_the_camera_are_tried_before_anything_is_written(
    scope, tmp_path, case
):
    core, copies = scope
    presets, expected = CAMERA[case]
    channels = [
        name if isinstance(name, str) else {"group": name[0], "config": name[1]}
        for name in presets
    ]
    plans = {"time_plan": TIMES, "channels": channels}
    if case == "of one position":
        own = {"channels": [{"group": "Camera", "config": "LowRes"}]}
        plans |= {"stage_positions": [{"x": 0}, {"x": 1, "sequence": own}]}
    core.setConfig("Camera", "HighRes")
    before = core.getProperty("Camera", "Binning"), core.getImageWidth()
    path = tmp_path / "run.zarr"
    try:
        if isinstance(expected, str):
            acquisition = Acquisition(stored(path))
            assert expected in failed(scope, acquisition, plans, SourceFailed)
            assert not path.exists()
            assert (
                core.getProperty("Camera", "Binning"),
                core.getImageWidth(),
            ) == before
        else:
            acquisition = ran(scope, path, plans)
            assert check_planes(acquisition, copies) == 3 * len(channels)
            assert {i.shape[-2:] for i in acquisition.layout.images} == expected
    finally:
        core.setConfig("Camera", "HighRes")
        small(core, "Camera")


def test_a_preset_that_fails_leaves_the_camera_as_it_was(scope):
    core, _ = scope
    before = core.getProperty("Camera", "Binning")
    core.defineConfig("Odd", "A", "Camera", "Binning", "4")
    core.defineConfig("Odd", "B", "Camera", "PixelType", "of nobody")
    presets = [{"group": "Odd", "config": config} for config in "BA"]
    try:
        with pytest.raises(RuntimeError, match="of nobody"):
            settle_camera(core, useq.MDASequence(channels=presets))
        assert core.getProperty("Camera", "Binning") == before != "4"
    finally:
        core.deleteConfigGroup("Odd")


# several cameras, colours


@pytest.fixture
def second(scope):
    """Another camera, and one that stands for both."""
    core, _ = scope
    core.loadDevice("Second", "DemoCamera", "DCam")
    core.loadDevice("Both", "Utilities", "Multi Camera")
    for label in ("Second", "Both"):
        core.initializeDevice(label)
    small(core, "Second")
    core.setProperty("Both", "Physical Camera 1", "Camera")
    core.setProperty("Both", "Physical Camera 2", "Second")
    core.setCameraDevice("Both")
    yield core
    core.setCameraDevice("Camera")
    for label in ("Both", "Second"):
        core.unloadDevice(label)


def test_cameras_become_channels(scope, second, tmp_path):
    plans = {"time_plan": TIMES, "channels": ["DAPI", "FITC"]}
    acquisition = ran(scope, tmp_path / "run.zarr", plans)
    assert check_planes(acquisition, scope[1]) == 12
    (image,) = acquisition.layout.images
    assert [channel.name for channel in image.channels] == [
        "DAPI Camera", "DAPI Second", "FITC Camera", "FITC Second"
    ]  # fmt: skip
    assert acquisition.status().finish_reason is FinishReason.COMPLETED


def test_cameras_of_two_sizes_are_refused(scope, second, tmp_path):
    second.setProperty("Second", "OnCameraCCDXSize", 128)
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    plans = {"channels": ["DAPI"]}
    assert "Camera, Second" in failed(scope, acquisition, plans, SourceFailed)
    assert not list(tmp_path.iterdir())


def test_colours_become_channels(scope, tmp_path):
    core, copies = scope
    core.setProperty("Camera", "PixelType", "32bitRGB")
    try:
        acquisition = ran(scope, tmp_path / "run.zarr", {"time_plan": TIMES})
    finally:
        core.setProperty("Camera", "PixelType", "16bit")
    assert copies.frames[0][1].ndim == 3
    assert check_planes(acquisition, copies) == 9
    assert acquisition.layout.images[0].axes == "tcyx"


# who records whom


def test_recorders_nest_and_leave_the_engine_as_it_was(scope, tmp_path):
    core, copies = scope
    names, made = iter("abcdef"), []

    def new():
        made.append(Acquisition(stored(tmp_path / f"{next(names)}.zarr")))
        return made[-1]

    inner, outer = RunRecorder(core, new), RunRecorder(core, new)
    core.mda.run(useq.MDASequence(channels=["DAPI"]))
    assert [check_planes(acquisition, copies) for acquisition in made] == [1, 1]
    inner.stop()  # stands within the other, and only passes on from now
    core.mda.run(useq.MDASequence(channels=["DAPI"]))
    assert len(made) == 3
    outer.stop()
    assert core.mda.engine is copies
    core.mda.run(useq.MDASequence(channels=["DAPI"]))
    assert len(made) == 3


def test_windows_set_what_they_find_on_the_engine_within(scope):
    core, copies = scope
    recorder = RunRecorder(core, lambda: None)
    core.mda.engine.use_hardware_sequencing = True
    assert copies.use_hardware_sequencing
    core.mda.run(useq.MDASequence(channels=["DAPI"]))  # passes unrecorded
    assert recorder.acquisition is None
    recorder.stop()


def test_a_recorder_that_stops_during_a_run_leaves_after_it(scope, tmp_path):
    core, copies = scope
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    recorder = RunRecorder(core, lambda: acquisition)
    plans = {"time_plan": {"interval": 3600, "loops": 2}, "channels": ["DAPI"]}
    thread = core.run_mda(useq.MDASequence(**plans))
    wait_until(lambda: acquisition.status().acquired == 1)
    recorder.stop()
    assert core.mda.engine is not copies
    core.mda.cancel()
    thread.join()
    assert acquisition.status().finish_reason is FinishReason.CANCELED
    assert core.mda.engine is copies


# what is kept of it


def test_what_is_known_of_planes_and_of_the_run_is_kept(scope, tmp_path):
    path = tmp_path / "run.zarr"
    plans = {**ALL, "time_plan": {"interval": 0.2, "loops": 3}}
    sequence = useq.MDASequence(**plans)
    acquisition = Acquisition(stored(path), notes="wild type")
    with recording_of(scope[0], acquisition):
        scope[0].run_mda(sequence)
    columns = {
        name: read_column(path, name)
        for name in (
            "image", "t", "c", "z", "time_ns", "runner_time_ms", "exposure_ms",
            "x_um", "y_um", "z_um", "x_asked_um", "y_asked_um", "z_asked_um",
            "hardware", "device_index",
        )
    }  # fmt: skip
    assert {len(values) for values in columns.values()} == {36}
    np.testing.assert_allclose(columns["z_um"], columns["z_asked_um"], atol=0.01)
    assert sorted(set(columns["z_asked_um"])) == [-1, 0, 1, 4, 5, 6]
    assert set(columns["x_asked_um"][columns["image"] == 1]) == {100}
    in_order = np.argsort(columns["time_ns"])  # rows are, as they were written
    assert (np.diff(columns["runner_time_ms"][in_order]) >= 0).all()
    assert set(columns["exposure_ms"]) == {1}
    record = record_of(path)
    assert useq.MDASequence(**record["sequence"]) == sequence
    assert record["micro_manager"]["image_infos"][0]["camera_label"] == "Camera"
    assert (record["planes_planned"], record["notes"]) == (36, "wild type")
    at = json.loads((path / "1/zarr.json").read_text())["attributes"]
    position = at["napari_zarr_stream"]["position"]
    assert position == {"index": 1, "grid": None, "name": "a/b", "x_um": 100.0,
                        "y_um": 50.0, "z_um": 5.0}  # fmt: skip
    scale = at["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    first = (columns["image"] == 0) & (columns["c"] == 0) & (columns["z"] == 0)
    moments = [
        columns["runner_time_ms"][first & (columns["t"] == t)][0] for t in range(3)
    ]
    assert scale[0]["scale"][0] == pytest.approx(np.median(np.diff(moments)) / 1000)
    low, high = (
        at["ome"]["omero"]["channels"][0]["window"][w] for w in ("start", "end")
    )
    assert 0 < high - low < 65535


def test_the_newest_plane_is_shown_with_its_place(scope, tmp_path):
    core, copies = scope
    acquisition = Acquisition(stored(tmp_path / "run.zarr"))
    assert acquisition.newest() is None
    seen, over = [], threading.Event()

    def watch():
        while not over.wait(0.001):
            if (newest := acquisition.newest()) is not None:
                seen.append(newest)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with recording_of(core, acquisition):
            core.run_mda(useq.MDASequence(**ALL))
    finally:
        over.set()
        watcher.join()
    if (newest := acquisition.newest()) is not None:  # the watcher slept meanwhile
        seen.append(newest)
    layout = acquisition.layout
    frames = {
        (layout.image_of(index), *layout.place_of(index)): image
        for index, image in copies
    }
    assert seen
    for place, pixels in seen:
        at = tuple(place[name] for name in ("image", "t", "c", "z"))
        np.testing.assert_array_equal(pixels, frames[at])
