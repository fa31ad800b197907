"""Sets of images whose writer was killed, and those in which planes never came."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import zarr
from killed_writer import (
    SETS,
    halved,
    kill,
    new_set,
    set_plane,
    start_server,
    write_set,
)

from napari_zarr_stream import (
    DeviceKind,
    StorageProperties,
    cli,
)
from napari_zarr_stream._writer.repair import examine, repair, repair_set

KINDS = [
    (DeviceKind.ZARR_V3_LZ4, True),
    (DeviceKind.ZARR_V3_ZSTD, False),
    (DeviceKind.ZARR_LZ4, False),
    (DeviceKind.ZARR, False),
    (DeviceKind.ZARR_V3, True),
]
FEW_KILLS, MANY_KILLS = 3, 200


@pytest.fixture(scope="module")
def server():
    return start_server()


def bytes_of(path):
    """Every file and what is in it."""
    return {
        file.relative_to(path): hashlib.sha256(file.read_bytes()).digest()
        for file in path.rglob("*")
        if file.is_file()
    }


def logged(path, *, repaired=True):
    """Planes that the log tells of; a kill may leave further ones in a column."""
    group = zarr.open_group(path, mode="r")
    names = [f"frame_log/{name}" for name in ("image", "t", "c", "z")]
    if not all(name in group for name in names):
        return []
    columns = [group[name][:].tolist() for name in names]
    return list(zip(*columns, strict=repaired))


def check_planes(path, how, *, repaired):
    """All that was recorded is there; what is there is right, at every level."""
    group = zarr.open_group(path, mode="r")
    images = [group[p] if p else group for p in SETS[how]]
    levels = [(image["0"][:], image["1"][:]) for image in images]
    shapes = {full.shape for full, _ in levels}
    assert not (how == "plate" and repaired) or len(shapes) == 1
    rows = logged(path, repaired=repaired)
    for image, *place in rows:
        full, _ = levels[image]
        np.testing.assert_array_equal(full[tuple(place)], set_plane(image, *place))
    for image, (full, half) in enumerate(levels):
        for place in np.ndindex(full.shape[:3]):
            expected = set_plane(image, *place)
            if full[place].all():
                np.testing.assert_array_equal(full[place], expected)
            if repaired and full[place].all():
                np.testing.assert_array_equal(half[place], halved(expected))
    return len(rows)


def kill_one(server, seed, path):
    how = list(SETS)[seed % len(SETS)]
    kind, sharded = KINDS[seed // len(SETS) % len(KINDS)]
    _, committed, _ = kill(
        server, seed, path, kind, sharded, how, seed, target=write_set
    )
    if not path.exists():
        return  # killed before there was a store
    # Between two documents of one commit fields may differ for a moment.
    assert check_planes(path, how, repaired=False) >= committed
    reports = list(repair_set(path))
    assert not any(report.has_losses for report in reports)
    assert check_planes(path, how, repaired=True) >= committed
    before = bytes_of(path)
    for report in repair_set(path):
        assert not report.can_be_repaired
    assert bytes_of(path) == before


@pytest.mark.parametrize("seed", range(FEW_KILLS))
def test_a_set_whose_writer_was_killed(server, tmp_path, seed):
    kill_one(server, seed, tmp_path / "a.zarr")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FEW_KILLS, MANY_KILLS))
def test_many_sets_whose_writers_were_killed(server, tmp_path, seed):
    kill_one(server, seed, tmp_path / "a.zarr")


def with_holes(path, kind, sharded, how="positions"):
    """Only the middle of each stack, in the second channel; nothing at t = 1."""
    properties = StorageProperties(
        path, kind, tile_width=32, tile_height=32, sharded=sharded
    )
    with new_set(properties, how) as images:
        for t, c, z in np.ndindex(3, 2, 3):
            if t != 1 and (c == 0 or z == 1):
                images.put(0, (t, c, z), set_plane(0, t, c, z))
    return path


@pytest.mark.parametrize("how", SETS)
@pytest.mark.parametrize(("kind", "sharded"), KINDS[::2])
def test_planes_that_were_never_asked_for_are_no_fault(tmp_path, kind, sharded, how):
    path = with_holes(tmp_path / "a.zarr", kind, sharded, how)
    before = bytes_of(path)
    for report in repair_set(path):
        assert (report.findings, report.has_losses) == ((), False)
    assert cli.main(["repair", "--check", str(path)]) == 0
    assert bytes_of(path) == before
    assert check_planes(path, how, repaired=True) == 8


@pytest.mark.parametrize(("kind", "sharded"), KINDS[:2])
def test_a_plane_that_was_recorded_and_is_gone_is_a_loss(
    tmp_path, capsys, kind, sharded
):
    path = with_holes(tmp_path / "a.zarr", kind, sharded)
    level = path / "0" / "0" / ("c" if kind.zarr_format == 3 else "")
    last = 0 if sharded else 1
    (level / "2" / "1" / str(last) / "0" / "0").unlink()
    report = examine(path / "0")
    assert report.has_losses
    assert "t 2, c 1, z 1" in str(report.findings[-1])
    assert cli.main(["repair", "--check", str(path)]) == 3
    assert "t 2, c 1, z 1" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "sharded"), KINDS[:2])
def test_smaller_levels_are_made_again_where_planes_are(tmp_path, kind, sharded):
    path = with_holes(tmp_path / "a.zarr", kind, sharded)
    level = path / "0" / "1" / ("c" if kind.zarr_format == 3 else "")
    (level / "0" / "0" / "0" / "0" / "0").unlink()
    report = repair(path / "0")
    assert report.can_be_repaired
    assert not report.has_losses
    check_planes(path, "positions", repaired=True)
    assert repair(path / "0").findings == ()


@pytest.mark.parametrize("gone", [True, False], ids=["not there", "shorter"])
@pytest.mark.parametrize(("kind", "sharded"), KINDS[1:3])
@pytest.mark.parametrize("how", ["positions", "alone"])
def test_all_columns_of_the_log_are_as_long_after_a_repair(
    tmp_path, kind, sharded, gone, how
):
    """Killed between two columns of one commit."""
    path = with_holes(tmp_path / "a.zarr", kind, sharded, how)
    left_open(path)
    column = path / "frame_log" / "c"
    document = column / ("zarr.json" if kind.zarr_format == 3 else ".zarray")
    if gone:
        shutil.rmtree(column)
    else:
        document.write_text(
            json.dumps(json.loads(document.read_text()) | {"shape": [5]})
        )
    list(repair_set(path))
    assert len(logged(path)) == (0 if gone else 5)
    before = bytes_of(path)
    list(repair_set(path))
    assert bytes_of(path) == before


def left_open(path):
    """As a program leaves it that is killed."""
    key = "zarr.json" if (path / "zarr.json").exists() else ".zattrs"
    document = json.loads((path / key).read_text())
    attributes = document["attributes"] if key == "zarr.json" else document
    record = attributes["napari_zarr_stream"]
    for name in ("finish_reason", "end_time", "frames_committed"):
        record.pop(name)
    (path / key).write_text(json.dumps(document))


@pytest.mark.parametrize(("kind", "sharded"), KINDS[:2])
def test_no_image_of_a_set_is_left_empty(tmp_path, kind, sharded):
    path = with_holes(tmp_path / "a.zarr", kind, sharded)
    left_open(path)
    name = "zarr.json" if kind.zarr_format == 3 else ".zarray"
    documents = [*(path / "1").glob(f"[0-9]/{name}")]
    for document in documents:
        text = json.loads(document.read_text())
        document.write_text(json.dumps(text | {"shape": [0, *text["shape"][1:]]}))
    list(repair_set(path))
    assert {json.loads(each.read_text())["shape"][0] for each in documents} == {1}
    before = bytes_of(path)
    list(repair_set(path))
    assert bytes_of(path) == before


@pytest.mark.parametrize("how", ["positions", "alone"])
def test_the_root_of_a_set_is_ended_as_well(tmp_path, how):
    path = with_holes(tmp_path / "a.zarr", *KINDS[0], how)
    left_open(path)
    assert [report.can_be_repaired for report in repair_set(path, check=True)][-1]
    *_, report = repair_set(path)
    assert report.planes_after == 8
    after = zarr.open_group(path, mode="r").attrs["napari_zarr_stream"]
    assert (after["finish_reason"], after["frames_committed"]) == ("interrupted", 8)
