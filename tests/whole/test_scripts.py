"""What scripts call: `record`, `export`, `open_layers`, as documented."""

import doctest
import importlib
import json
import subprocess
import sys
import threading

import dask.array as da
import napari.layers
import numpy as np
import pytest
import zarr

from napari_zarr_stream import (
    InvalidProperties,
    RecordSettings,
    SourceFailed,
    StoreExists,
    export,
    open_layers,
    record,
)
from napari_zarr_stream._recording.states import FinishReason
from napari_zarr_stream.cameras import Fault, SimulatedCamera

DOCUMENTED = (
    "_recording.record",
    "_saving.script",
    "_reading.open_layers",
)
SMALL = {"width": 64, "height": 48, "frame_rate": 100}
CELLS = "Simulated: cells"


@pytest.mark.parametrize("module", DOCUMENTED)
def test_examples_are_true(module):
    ran = doctest.testmod(importlib.import_module(f"napari_zarr_stream.{module}"))
    assert ran.attempted
    assert not ran.failed


def record_of(path):
    return dict(zarr.open_group(path, mode="r").attrs)["napari_zarr_stream"]


def test_a_recording_is_as_asked(tmp_path):
    [done] = record(
        tmp_path,
        CELLS,
        name="{counter} wild type",
        notes="37 °C",
        frame_count=3,
        camera_settings=SMALL,
        channel_name="GFP",
        channel_color="magenta",
        tile_width=32,
    )
    assert done.path == tmp_path / "0001 wild type.zarr"
    assert done.finish_reason is FinishReason.COMPLETED
    assert record_of(done.path)["notes"] == "37 °C"
    omero = dict(zarr.open_group(done.path, mode="r").attrs)["ome"]["omero"]
    assert omero["channels"][0]["label"] == "GFP"
    [(data, metadata, kind)] = open_layers(done.path)
    assert kind == "image"
    layer = napari.layers.Layer.create(data, metadata, kind)
    assert layer.colormap.name == "magenta"
    assert layer.data.shapes[0] == (3, 48, 64)
    with pytest.raises(StoreExists):
        record(done.path, CELLS, frame_count=1, camera_settings=SMALL)


def test_what_a_file_asks_and_what_is_said_beside_it(tmp_path):
    file = tmp_path / "settings.json"
    asked = RecordSettings(
        cameras=(CELLS,), camera_settings=(SMALL,), frame_count=50, notes="a"
    )
    asked.save(file)
    [done] = record(tmp_path / "a.zarr", settings=file, frame_count=2)
    assert done.frames_committed == 2
    assert record_of(done.path)["notes"] == "a"
    document = json.loads(file.read_text("utf-8"))
    document["settings"]["colour"] = "red"
    file.write_text(json.dumps(document))
    with pytest.warns(UserWarning, match="not known here: colour"):
        record(tmp_path / "b.zarr", settings=file, frame_count=1)


def test_it_goes_on_until_somebody_has_seen_enough(tmp_path):
    def is_enough(statuses):
        return min(status.frames_acquired for status in statuses) >= 5

    cameras = [SimulatedCamera("cells", **SMALL), CELLS]
    first, second = record(
        tmp_path / "a.zarr", cameras, until=is_enough, camera_settings=SMALL
    )
    assert first.path == tmp_path / "a.zarr" / "0"
    assert min(first.frames_committed, second.frames_committed) >= 5
    assert first.finish_reason is FinishReason.STOPPED


def test_a_thread_may_record_too(tmp_path):
    done = []

    def work():
        camera = SimulatedCamera("cells", **SMALL)
        done.extend(record(tmp_path / "a.zarr", camera, frame_count=2))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done[0].frames_committed == 2


REFUSED = [
    ({"camera": "none such"}, "no single camera is meant by 'none such'"),
    ({"frames": 3}, "no such settings: frames; there are"),
    ({"interval_s": -1}, "interval_s"),
    ({"camera_settings": {"colour": 1}}, "colour=1: settings are NAME=VALUE"),
    ({"camera_settings": {"pixel_type": "x"}}, "pixel_type"),
]


@pytest.mark.parametrize(("asked", "said"), REFUSED)
def test_what_cannot_be_is_refused_and_leaves_nothing(tmp_path, asked, said):
    with pytest.raises(InvalidProperties) as caught:
        record(tmp_path / "a.zarr", **{"camera": CELLS, **asked})
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_raised(tmp_path):
    camera = SimulatedCamera("cells", faults=[Fault(3, "unplug")], **SMALL)
    with pytest.raises(SourceFailed, match="unplugged at frame 3"):
        record(tmp_path / "a.zarr", camera)
    assert record_of(tmp_path / "a.zarr")["frames_committed"] == 3


PIXELS = np.arange(4 * 60 * 80, dtype=np.uint16).reshape(4, 60, 80)

GIVEN = {
    "array": PIXELS,
    "dask": da.from_array(PIXELS, chunks=(1, 30, 80)),
    "tuple": (PIXELS, {"name": "cells"}, "image"),
    "layer": napari.layers.Image(PIXELS, name="cells"),
    "one layer in a list": [napari.layers.Image(PIXELS, name="cells")],
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # axes that nobody named
@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_what_is_exported_comes_back(tmp_path, given):
    seen = []
    path = export(
        given,
        tmp_path / "a.zarr",
        axes="tyx",
        tile_width=32,
        progress=lambda *counts: seen.append(counts),
    )
    assert path == tmp_path / "a.zarr"
    assert seen[-1][0] == seen[-1][1]
    [(levels, _, _)] = open_layers(path)
    np.testing.assert_array_equal(np.asarray(levels[0]), PIXELS)


def test_images_become_channels_and_labels_go_along(tmp_path):
    layers = [
        napari.layers.Image(PIXELS, name="a"),
        napari.layers.Image(PIXELS + 1, name="b"),
        napari.layers.Labels(PIXELS // 100, name="nuclei"),
    ]
    export(layers, tmp_path / "a.zarr", axes="tyx", sharded=False, max_chunk_mib=32)
    kinds = [(meta["name"], kind) for _, meta, kind in open_layers(tmp_path / "a.zarr")]
    assert kinds == [("a", "image"), ("b", "image"), ("nuclei", "labels")]


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ({"colour": 1}, "no such settings: colour; there are device_kind"),
        ({"device_kind": "TIFF"}, "device_kind 'TIFF'"),
        ({"downsampling": "median"}, "median"),
    ],
)
def test_an_export_that_cannot_be(tmp_path, storage, said):
    with pytest.raises(InvalidProperties) as caught:
        export(PIXELS, tmp_path / "a.zarr", axes="tyx", **storage)
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_recording_and_exporting_bring_in_neither_qt_nor_napari(tmp_path):
    script = (
        "import sys, numpy, napari_zarr_stream as nzs\n"
        "from napari_zarr_stream.cameras import SimulatedCamera\n"
        "camera = SimulatedCamera('empty', width=32, height=32)\n"
        f"nzs.record({str(tmp_path / 'a.zarr')!r}, camera, frame_count=1)\n"
        "pixels = numpy.zeros((2, 8, 8), 'uint8')\n"
        f"path = nzs.export(pixels, {str(tmp_path / 'b.zarr')!r}, axes='tyx')\n"
        "nzs.open_layers(path)\n"
        "print({'napari', 'qtpy', 'magicgui'} & sys.modules.keys())"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "set()"
