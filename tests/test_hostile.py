"""Stores that lie, whether by accident or on purpose: no crash, no hang, no harm.

A few hundred of them, each spoiled in a way that its number names. More:
`HOSTILE=10000 python -m pytest tests/test_hostile.py --timeout 0`; `HOSTILE_FIRST=...`
begins at another number.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import build

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._info import facts_of
from napari_zarr_stream._reader import layers_of
from napari_zarr_stream._writer.repair import examine

FIRST = int(os.environ.get("HOSTILE_FIRST", "0"))
STORES = int(os.environ.get("HOSTILE", "300"))
BATCH = 150
MOST_BYTES = 2**30


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    build(folder)
    return folder


@pytest.mark.parametrize("first", range(FIRST, FIRST + STORES, BATCH))
def test_no_crash_no_hang_no_harm(stores, tmp_path, first):
    last = min(first + BATCH, FIRST + STORES)
    program = Path(__file__).with_name("hostile.py")
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
    print(f"{opened} of {7 * len(ended)} calls found something good; {lines[-1]}")
    assert 0 < opened < 7 * len(ended)


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
