"""Runs of a microscope that are brought away while they are recorded."""

import numpy as np
import pytest
import useq
import zarr
from microscopes import demo_microscope, stored
from waiting import PATIENCE_S
from zarr.storage import ObjectStore

from napari_zarr_stream import Acquisition, StoreExists, recording_of
from napari_zarr_stream._acquisition.engine import RunRecorder
from napari_zarr_stream._acquisition.words import counts_in_words
from napari_zarr_stream._upload.progress import UploadPhase
from napari_zarr_stream.cli import main

PLANS = {
    "time_plan": {"interval": 0, "loops": 3},
    "stage_positions": [(0, 0, 0), (100, 50, 5)],
    "channels": ["DAPI", "FITC"],
    "z_plan": {"range": 2, "step": 1},
}
PLANES = 3 * 2 * 2 * 3
ONE = {"time_plan": PLANS["time_plan"]}


@pytest.fixture(scope="module")
def core():
    with demo_microscope() as (core, _):
        yield core


def ran(core, path, to, plans, **options):
    acquisition = Acquisition(stored(path, **options), upload_to=str(to))
    with recording_of(core, acquisition):
        core.run_mda(useq.MDASequence(**plans))
    assert acquisition.upload.uploader.wait(PATIENCE_S)
    return acquisition.status()


def files_in(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@pytest.mark.parametrize("sharded", [False, True], ids=["chunks", "shards"])
@pytest.mark.parametrize("plans", [PLANS, ONE], ids=["places", "one image"])
def test_a_run_is_in_another_folder_as_it_is_here(core, tmp_path, plans, sharded):
    path, other = tmp_path / "run.zarr", tmp_path / "other"
    status = ran(core, path, other, plans, sharded=sharded)
    assert status.upload.phase is UploadPhase.DONE, status.upload
    assert status.uploaded == status.committed == (PLANES if plans is PLANS else 3)
    assert files_in(other / "run.zarr") == files_in(path)
    said = counts_in_words(status)
    assert f"<b>{status.committed}</b> uploaded" in said
    assert "Uploaded to" in said


def test_a_run_is_in_a_bucket_as_it_is_here(core, tmp_path, server, place):
    address, prefix = place
    status = ran(core, tmp_path / "run.zarr", address, PLANS)
    assert status.upload.phase is UploadPhase.DONE, status.upload
    there = ObjectStore(server.bucket(f"{prefix}/run.zarr"), read_only=True)
    for name in ("0/0", "1/0", "frame_log/t"):
        mine = zarr.open_array(tmp_path / "run.zarr" / name, mode="r")[:]
        np.testing.assert_array_equal(zarr.open_array(there, path=name, mode="r"), mine)


def test_a_place_that_is_taken_ends_the_run_before_it_begins(core, tmp_path):
    taken = tmp_path / "other" / "run.zarr"
    taken.mkdir(parents=True)
    (taken / "zarr.json").write_text("{}")
    acquisition = Acquisition(
        stored(tmp_path / "run.zarr"), upload_to=str(tmp_path / "other")
    )
    recorder = RunRecorder(core, lambda: acquisition)
    with pytest.raises(StoreExists):
        core.mda.run(useq.MDASequence(**ONE))
    recorder.stop()
    assert not (tmp_path / "run.zarr").exists()
    assert (taken / "zarr.json").read_text() == "{}"
    assert acquisition.upload.uploader.wait(PATIENCE_S)


def test_the_command_uploads_a_run(tmp_path, capsys):
    (tmp_path / "run.yaml").write_text("time_plan: {interval: 0, loops: 2}")
    path, other = tmp_path / "run.zarr", tmp_path / "other"
    asked = [tmp_path / "run.yaml", path, "--upload-to", other]
    assert main(["acquire", *map(str, asked)]) == 0
    assert files_in(other / "run.zarr") == files_in(path)
    assert "all is there" in capsys.readouterr().out
