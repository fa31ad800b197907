"""The simulated microscope, and the command that runs sequences on it."""

import json
import signal

import numpy as np
import pytest
import useq
import zarr
from judges import ask
from needs import needs_signals
from programs import start_python
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import Acquisition, StorageProperties, cli, recording_of
from napari_zarr_stream._writer.logged import read_column
from napari_zarr_stream.cameras.micromanager import simulated
from napari_zarr_stream.cameras.micromanager.simulated import simulated_microscope

SEQUENCE = {
    "channels": [{"config": "DAPI", "exposure": 1}, {"config": "FITC", "exposure": 1}],
    "time_plan": {"interval": 0, "loops": 2},
}
PLATE = {
    "plate": "96-well",
    "a1_center_xy": [0, 0],
    "selected_wells": [[0, 1], [0, 2]],
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "plate.json"
    path.write_text(json.dumps({**SEQUENCE, "stage_positions": PLATE}))
    return path


def test_the_same_cells_are_seen_where_the_stage_comes_back_to():
    with simulated_microscope() as core:
        assert core.getPixelSizeUm() == 0.65
        core.setExposure(1)
        here = core.snap()
        core.setXYPosition(100 * 0.65, 0)
        beside = core.snap()
        core.setXYPosition(0, 0)
        core.setZPosition(12)
        blurred = core.snap()
        core.setConfig("Channel", "Cy5")
        other = core.snap()
    assert here.shape == (512, 512)

    def alike(a, b):
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    assert alike(here[:, 100:], beside[:, :-100]) > 0.5 > alike(here, beside)
    assert here.std() > blurred.std()
    assert alike(here, other) < 0.9


def test_a_stack_is_recorded(tmp_path):
    acquisition = Acquisition(StorageProperties(tmp_path / "stack.zarr"))
    sequence = useq.MDASequence(
        channels=SEQUENCE["channels"], z_plan={"range": 4, "step": 2}
    )
    with simulated_microscope() as core, recording_of(core, acquisition):
        core.run_mda(sequence)
    assert acquisition.status().committed == 6
    (image,) = acquisition.layout.images
    assert image.scale == {"z": 2, "y": 0.65, "x": 0.65}


def test_a_plate_is_acquired_by_a_command(file, tmp_path, capsys):
    out = tmp_path / "plate.zarr"
    assert cli.main(["acquire", str(file), str(out), "--notes", "wild type"]) == 0
    assert "completed, 8 of 8 planes" in capsys.readouterr().out
    pixels = zarr.open(out / "B/3/0/0", mode="r")
    assert pixels.shape == (2, 2, 512, 512)
    assert pixels[1, 1].any()
    assert cli.main(["acquire", str(file), str(out)]) == 1
    assert "already exists" in capsys.readouterr().err


def test_a_command_tells_planes_that_did_not_come(file, tmp_path, capsys, monkeypatch):
    picture, snaps = simulated.picture, []

    def fails_once(bench):
        snaps.append(None)
        if len(snaps) == 3:
            raise RuntimeError("the cable")
        return picture(bench)

    monkeypatch.setattr(simulated, "picture", fails_once)
    assert cli.main(["acquire", str(file), str(tmp_path / "plate.zarr")]) == 3
    said = capsys.readouterr()
    assert "incomplete, 7 of 8 planes" in said.out
    assert "1 plane of 8 did not come: t 0, position B3, DAPI" in said.err


ENDLESS = {
    "while it takes": {"interval": 0, "loops": 10**5},
    "while it waits": {"interval": 3600, "loops": 2},
}
ONE = {"while it takes"}
COMMAND = "import sys; from napari_zarr_stream import cli; sys.exit(cli.main())"


@needs_signals
@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=() if c in ONE else pytest.mark.long) for c in ENDLESS],
)
def test_an_interrupt_of_a_command_keeps_all_planes(case, file, tmp_path):
    times = ENDLESS[case]
    sequence = json.loads(file.read_text()) | {"time_plan": times}
    file.write_text(json.dumps(sequence))
    out = tmp_path / "plate.zarr"
    with start_python(COMMAND, "acquire", file, out) as process:

        def are_there():  # both wells and channels at the first time
            return process.poll() is not None or len(logged(out)) >= 4

        wait_until(are_there)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    places = logged(out)
    planned = 4 * times["loops"]
    assert f"canceled, {len(places):,} of {planned:,} planes" in said
    assert len(places) < planned
    group = zarr.open_group(out, mode="r")
    for image, t, c in places:
        assert group[f"{('A/1', 'B/3')[image]}/0/0"][t, c].any()
    record = group.attrs["napari_zarr_stream"]
    assert record["finish_reason"] == "canceled"
    assert record["planes_missing"] == planned - len(places)
    assert cli.main(["repair", "--check", str(out)]) == 0
    for well in ("A/1", "B/3"):
        ask("yaozarrs", out / well / "0")


def logged(store):
    """Image, t and c of the planes that are told of."""
    columns = [read_column(store, name).tolist() for name in ("image", "t", "c")]
    return list(zip(*columns, strict=False))


REFUSED = {
    "no file": ("there is none.yaml", None, 2, "is no sequence"),
    "no sequence": ("bad.yaml", "channels: 5", 2, "is no sequence"),
    "no yaml": ("bad.yaml", "a: [", 2, "is no sequence"),
    "another ending": ("bad.txt", "", 2, "Unknown file type"),
    "nothing in it": ("empty.json", "{}", 2, "nobody can say"),
    "no such configuration": ("good.json", json.dumps(SEQUENCE), 1, "cannot load"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_command_says_what_it_cannot_do(case, tmp_path, capsys):
    name, text, code, said = REFUSED[case]
    path, out = tmp_path / name, tmp_path / "out.zarr"
    if text is not None:
        path.write_text(text)
    config = ["--config", "none.cfg"] if name == "good.json" else []
    assert cli.main(["acquire", str(path), str(out), *config]) == code
    assert said in capsys.readouterr().err
    assert not out.exists()
