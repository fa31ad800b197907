"""Stores that lie, whether by accident or on purpose: no crash, no hang, no harm.

Each is spoiled in a way that its number names: 80 of them, with `-m long` 10,000.
"""

import contextlib
import json
import math
import os
import pickle
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import hostile
import numpy as np
import pytest
import zarr
from hostile import build, stretch
from needs import needs_links, needs_pipes

from napari_zarr_stream import InvalidStore, WriteFailed
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._writer.marks import MAX_ENTRIES, find_marks
from napari_zarr_stream._writer.record import RECORD_KEY
from napari_zarr_stream._writer.repair import examine, repair
from napari_zarr_stream.cli import main

BATCH = 40
FIRSTS = [
    0,
    *(pytest.param(n, marks=pytest.mark.long) for n in range(BATCH, 10_000, BATCH)),
]
MOST_BYTES = 2**30


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    build(folder)
    return folder


@pytest.mark.parametrize("first", FIRSTS)
def test_no_crash_no_hang_no_harm(stores, tmp_path, first):
    last = first + BATCH
    program = hostile.__file__
    arguments = [str(stores), str(tmp_path), str(first), str(last)]
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(program), *arguments],
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    begun = [line for line in lines if line.startswith("begin")]
    assert done.returncode == 0, f"{begun[-1:]}: {done.stderr[-3000:]}"
    ended = [line for line in lines if line.startswith("end")]
    assert len(ended) == last - first
    assert int(lines[-1].removeprefix("peak ")) < MOST_BYTES
    opened = sum(int(line.split()[2]) for line in ended)
    print(f"{opened} of {8 * len(ended)} calls found something good; {lines[-1]}")
    assert 0 < opened < 8 * len(ended)


def lie(store, edit):
    path = store / "zarr.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


@pytest.fixture
def store(stores, tmp_path):
    return Path(shutil.copytree(stores / "labels", tmp_path / "a.zarr"))


def datasets(document):
    return document["attributes"]["ome"]["multiscales"][0]["datasets"]


@pytest.mark.parametrize("name", ["../outside", "/outside", "0/../../outside", "."])
def test_a_path_that_leads_out_of_the_store(store, name):
    (store.parent / "outside").mkdir()
    lie(store, lambda document: datasets(document)[0].update(path=name))
    for call in (facts_of, layers_of, examine):
        with pytest.raises(InvalidStore):
            call(store)


@needs_links
def test_a_link_that_leads_out_of_the_store(store):
    (store / "0").rename(store.parent / "outside")
    (store / "0").symlink_to(store.parent / "outside")
    for call in (facts_of, layers_of):
        with pytest.raises(InvalidStore, match="not in the store"):
            call(store)
    with pytest.raises(InvalidStore, match="leads out of the store"):
        examine(store)


@pytest.mark.parametrize("shape", [[2**62] * 3, [2**40, 40, 50], [3, 2**31, 2**31]])
def test_an_absurd_shape(store, shape):
    for level in ("0", "1", "2"):
        lie(store / level, lambda document: document.update(shape=shape))
    for call in (facts_of, layers_of, examine):
        with contextlib.suppress(InvalidStore):
            assert call(store)


def test_a_series_within_itself(tmp_path):
    attributes = {"ome": {"version": "0.5", "bioformats2raw.layout": 3}}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    for folder in (tmp_path, tmp_path / "OME", tmp_path / "0"):
        folder.mkdir(exist_ok=True)
        (folder / "zarr.json").write_text(json.dumps(group))
    lie(tmp_path / "OME", lambda d: d["attributes"]["ome"].update(series=[".", "0"]))
    with pytest.raises(InvalidStore):
        layers_of(tmp_path)


# What another fuzzer found


def pixels_of(store):
    return np.asarray(layers_of(store)[0][0])


def plain(path, **options):
    return zarr.create_array(
        str(path), shape=(2, 40, 40), chunks=(1, 40, 40), dtype="u2", **options
    )


@needs_pipes
@pytest.mark.timeout(60)
def test_a_chunk_that_is_a_pipe(tmp_path):
    plain(tmp_path / "a.zarr")[:] = 7
    for chunk in (tmp_path / "a.zarr" / "c").glob("*/0/0"):
        chunk.unlink()
        os.mkfifo(chunk)
    said = "is a pipe or a device, no file"
    with pytest.warns(UserWarning, match=said), pytest.raises(InvalidStore, match=said):
        pixels_of(tmp_path / "a.zarr")


def test_a_chunk_without_an_end(tmp_path):
    plain(tmp_path / "a.zarr")[:] = 7
    stretch(tmp_path / "a.zarr" / "c" / "1" / "0" / "0", 2**40)
    said = "at the most are what it should hold"
    with pytest.warns(UserWarning, match=said), pytest.raises(InvalidStore, match=said):
        pixels_of(tmp_path / "a.zarr")


def test_a_chunk_that_is_a_program(tmp_path):
    class Program:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "it ran",))

    store = tmp_path / "a.zarr"
    plain(store, zarr_format=2)
    document = json.loads((store / ".zarray").read_text())
    document["compressor"] = {"id": "pickle"}
    (store / ".zarray").write_text(json.dumps(document))
    for chunk in ("0.0.0", "1.0.0"):
        (store / chunk).write_bytes(pickle.dumps(Program()))
    for call in (facts_of, layers_of):
        with pytest.raises(InvalidStore, match="cannot be opened"):
            call(store)
    assert not (tmp_path / "it ran").exists()


def test_a_plane_that_no_memory_holds(tmp_path):
    zarr.create_array(
        str(tmp_path / "a.zarr"),
        shape=(10**6, 10**6),
        chunks=(40000, 40000),
        dtype="u2",
    )
    with (
        pytest.warns(UserWarning, match="has no chunks"),
        pytest.raises(InvalidStore, match="memory are needed to show this"),
    ):
        pixels_of(tmp_path / "a.zarr")


def test_a_plane_of_single_pixels(tmp_path):
    zarr.create_array(
        str(tmp_path / "a.zarr"), shape=(9000, 9000), chunks=(1, 1), dtype="u2"
    )
    with (
        pytest.warns(UserWarning, match="has no chunks"),
        pytest.raises(InvalidStore, match="81000000 chunks"),
    ):
        pixels_of(tmp_path / "a.zarr")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(None, id="a pipe", marks=needs_pipes),
        {"pid": 1e400},
        {"pid": -1},
        {"started": 9e999},
    ],
)
def test_a_lock_that_lies(store, said):
    lock = store.with_name(f".{store.name}.lock")
    if said is None:
        os.mkfifo(lock)
    else:
        holder = {"pid": 1, "host": "a", "started": 0, "since": "", "token": ""}
        lock.write_text(json.dumps(holder | said))
    examine(store)
    layers_of(store)


@pytest.mark.timeout(60)
def test_a_file_full_of_marks():
    mark = struct.pack("<8sQI", b"nzs-mark", 0, MAX_ENTRIES)
    assert not list(find_marks(mark * 400_000, 0))


def test_repair_leaves_a_file_that_has_another_name(tmp_path, stores):
    store = Path(shutil.copytree(stores / "v2-raw", tmp_path / "a.zarr"))
    lie_about_end(store / ".zattrs")
    chunk = store / "0" / "2" / "0" / "0"
    os.link(chunk, tmp_path / "backup")
    os.truncate(chunk, chunk.stat().st_size // 2)
    before = (tmp_path / "backup").read_bytes()
    with pytest.raises(WriteFailed, match="another name"):
        repair(store)
    assert (tmp_path / "backup").read_bytes() == before


def lie_about_end(path):
    document = json.loads(path.read_text())
    del document[RECORD_KEY]["finish_reason"]
    path.write_text(json.dumps(document))


@needs_links
def test_repair_stays_in_a_series(tmp_path, stores):
    shutil.copytree(stores / "v3-zstd", tmp_path / "another")
    root = tmp_path / "a.zarr"
    root.mkdir()
    ome = {"version": "0.5", "bioformats2raw.layout": 3}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (root / "zarr.json").write_text(json.dumps(group))
    (root / "0").symlink_to(tmp_path / "another")
    assert main(["repair", str(root)]) == 1


@pytest.mark.parametrize("name", ["\x1b]0;owned\x07", "\ud800", "\u202e"])
def test_names_do_not_steer_a_terminal(store, name, capsys):
    def rename(document):
        document["attributes"]["ome"]["multiscales"][0]["name"] = name

    lie(store, rename)
    assert main(["info", str(store)]) == 0
    said = capsys.readouterr().out
    assert ascii(name)[1:-1] in said
    assert name not in said


def test_a_document_that_cannot_be_written_again(store):
    lie(store, lambda document: document["attributes"].update(strange=math.nan))
    with pytest.raises(InvalidStore, match="holds what JSON cannot"):
        examine(store)


def test_more_levels_images_and_properties_than_can_be(store):
    lie(store, lambda document: datasets(document).extend(datasets(document) * 99))
    with pytest.raises(InvalidStore, match="lists 300 levels"):
        layers_of(store)
    rows = [{"label-value": i, f"name {i}": 0} for i in range(3000)]
    label = store / "labels" / "found"
    lie(
        label,
        lambda d: d["attributes"]["ome"].update({"image-label": {"properties": rows}}),
    )
    with pytest.warns(UserWarning, match="3000 properties: not shown"):
        assert layers_of(label)
    names = [str(number) for number in range(1000)]
    lie(store / "labels", lambda d: d["attributes"]["ome"].update(labels=names))
    with pytest.raises(InvalidStore, match="open them one by one"):
        layers_of(store / "labels")
