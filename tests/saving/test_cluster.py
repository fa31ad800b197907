"""Exports on a cluster: real workers, one of which is killed, and what cannot be."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import zarr
from clusters import cluster, slowly
from programs import start_python
from same_files import files_of, same_files
from waiting import wait_until

from napari_zarr_stream import InvalidProperties, SourceFailed
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._saving.pieces import cluster as on_cluster
from napari_zarr_stream._saving.pieces import cut
from napari_zarr_stream._sources.layer import LayerSource

SHAPE = (24, 2, 300, 400)
NOWHERE = "tcp://127.0.0.1:9"


def properties(path, kind="ZarrV3Blosc1ZstdByteShuffle", sharded=None, **other):
    default = default_properties(path)
    asked = {"tile_width": 128, "tile_height": 128, "device_kind": kind} | other
    if kind.startswith("ZarrB"):
        sharded, asked["max_bytes_per_chunk"] = False, 0
    if sharded is not None:
        asked |= {"sharded": sharded, "frames_per_chunk": 4}
    return replace(default, **asked)


WAYS = {
    "shards": {"shard_chunks": (2, 2), "max_bytes_per_chunk": 0},
    "chunks": {"sharded": False},
    "v2": {"kind": "ZarrBlosc1ZstdByteShuffle"},
}


@pytest.fixture
def given(tmp_path):
    """An array of zarr, in a folder."""
    array = zarr.create_array(
        tmp_path / "given.zarr", shape=SHAPE, chunks=(1, 1, 300, 400), dtype="u2"
    )
    array[...] = np.random.default_rng(1).poisson(200, SHAPE)
    return array


def layer(array, pause_s=0.0):
    lazy = da.from_zarr(array)
    if pause_s:
        lazy = lazy.map_blocks(
            slowly, pause_s, dtype=lazy.dtype, meta=np.empty((0,) * 4, lazy.dtype)
        )
    return [LayerSource(lazy, {"name": "cells", "rgb": False}, axes="tcyx")]


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as there:
        yield there


def pieces_of_one_step(monkeypatch):
    monkeypatch.setattr(cut, "PIECE_BYTES", 2 * 2 * 300 * 400)


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_worker_that_is_killed_costs_nothing_but_time(
    way, given, tmp_path, monkeypatch
):
    pieces_of_one_step(monkeypatch)
    one, many = tmp_path / "one/cells.zarr", tmp_path / "many/cells.zarr"
    assert export_layers(layer(given), properties(one, **way))
    with cluster(tmp_path / "cluster") as there:
        killed = []

        def progress(done, _):
            if done >= 4 and not killed:
                killed.append(done)
                there.workers[0].kill()

        assert export_layers(
            layer(given, 0.05),
            properties(many, **way),
            progress,
            scheduler=there.address,
        )
        assert killed
        assert there.workers[0].wait() != 0
        assert there.workers[1].poll() is None
    same_files(one, many)
    assert [each.name for each in many.parent.iterdir()] == ["cells.zarr"]


def test_a_layer_in_memory_is_refused(tmp_path):
    held = LayerSource(np.zeros((3, 40, 50), "u2"), {"name": "held"}, axes="tyx")
    with pytest.raises(InvalidProperties, match=r"'held' is in the memory of this"):
        export_layers([held], properties(tmp_path / "a.zarr"), scheduler=NOWHERE)
    assert list(tmp_path.iterdir()) == []


def test_pixels_hidden_in_a_graph_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(on_cluster, "MOST_BYTES", 10_000)
    held = da.from_array(
        np.arange(12_000, dtype="u2").reshape(3, 40, 100), (1, 40, 100)
    )
    source = LayerSource(held, {"name": "held"}, axes="tyx")
    with pytest.raises(InvalidProperties, match=r"'held' is .*its pixels are in it"):
        export_layers([source], properties(tmp_path / "a.zarr"), scheduler=NOWHERE)
    assert list(tmp_path.iterdir()) == []


class Tied:
    """An array that no other process can have."""

    shape, dtype, ndim = (3, 40, 50), np.dtype("u2"), 3

    def __init__(self):
        self.lock = threading.Lock()

    def __getitem__(self, index):
        return np.zeros(self.shape, self.dtype)[index]


def test_what_cannot_be_sent_is_refused(tmp_path):
    source = LayerSource(Tied(), {"name": "tied"}, axes="tyx")
    with pytest.raises(InvalidProperties, match=r"'tied' cannot be sent .*Save the"):
        export_layers([source], properties(tmp_path / "a.zarr"), scheduler=NOWHERE)
    assert list(tmp_path.iterdir()) == []


def zeros():
    array = da.zeros((3, 40, 50), chunks=(1, 40, 50), dtype="u2")
    return [LayerSource(array, {"name": "cells"}, axes="tyx")]


def test_without_the_extra_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    words = r'pip install "napari-zarr-stream\[cluster\]"'
    with pytest.raises(InvalidProperties, match=words):
        export_layers(zeros(), properties(tmp_path / "a.zarr"), scheduler=NOWHERE)


@pytest.mark.long
def test_where_no_scheduler_answers_it_is_said_how_to_start_one(tmp_path, monkeypatch):
    monkeypatch.setattr(on_cluster, "CONNECT_S", 2)
    with pytest.raises(
        InvalidProperties, match=r"no scheduler answers at .*dask worker"
    ):
        export_layers(zeros(), properties(tmp_path / "a.zarr"), scheduler=NOWHERE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_store_of_ours_is_exported_with_its_levels(two, given, tmp_path, monkeypatch):
    pieces_of_one_step(monkeypatch)
    export_layers(layer(given), properties(tmp_path / "source.zarr"))
    for out in ("one", "many"):
        sources = [LayerSource(*data) for data in layers_of(tmp_path / "source.zarr")]
        address = two.address if out == "many" else ""
        asked = properties(tmp_path / out / "cells.zarr", shard_chunks=(1, 1))
        assert export_layers(sources, asked, scheduler=address)
    same_files(tmp_path / "one/cells.zarr", tmp_path / "many/cells.zarr")


@pytest.mark.long
def test_one_that_is_stopped_leaves_nothing(two, given, tmp_path, monkeypatch):
    pieces_of_one_step(monkeypatch)
    done = []
    out = tmp_path / "out"
    assert not export_layers(
        layer(given, 0.05),
        properties(out / "cells.zarr", **WAYS["shards"]),
        lambda planes, _: done.append(planes),
        lambda: bool(done) and done[-1] > 4,
        scheduler=two.address,
    )
    assert list(out.iterdir()) == []


@pytest.mark.long
def test_what_a_source_says_on_a_worker_is_heard(two, tmp_path):
    def broken(block_info):
        raise OSError("the share is gone")

    array = da.map_blocks(
        broken, chunks=((1,) * 3, 40, 50), dtype="u2", meta=np.empty((0,) * 3, "u2")
    )
    source = LayerSource(array, {"name": "cells"}, axes="tyx")
    with pytest.raises(SourceFailed, match=r"layer 'cells' .*the share is gone"):
        export_layers([source], properties(tmp_path / "a.zarr"), scheduler=two.address)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_killed_one_is_gone_on_with_on_a_cluster(two, given, tmp_path, monkeypatch):
    pieces_of_one_step(monkeypatch)
    way = WAYS["shards"]
    one, many = tmp_path / "one/cells.zarr", tmp_path / "many/cells.zarr"
    assert export_layers(layer(given), properties(one, **way))
    script = """
    import sys
    sys.path.insert(0, sys.argv[3])
    import zarr
    from test_cluster import WAYS, cut, export_layers, layer, properties
    cut.PIECE_BYTES = 2 * 2 * 300 * 400
    export_layers(layer(zarr.open_array(sys.argv[1], mode="r"), 0.05),
                  properties(sys.argv[2], **WAYS["shards"]), scheduler=sys.argv[4])
    """
    folder = Path(__file__).parent
    with start_python(script, given.store.root, many, folder, two.address) as program:
        wait_until(
            lambda: len(list(many.parent.glob(".cells.zarr.*/.pieces/.0.*.json"))) > 2
        )
        program.kill()
    [left] = many.parent.glob(".cells.zarr.????????")
    noted = {note.name for note in left.glob(".pieces/*.json")}
    changed = {
        key: (left / key).stat().st_mtime_ns for key in files_of(left) if "/c/" in key
    }
    assert export_layers(
        layer(given), properties(many, **way), resume=True, scheduler=two.address
    )
    same_files(one, many)
    same = [key for key in changed if (many / key).stat().st_mtime_ns == changed[key]]
    assert len(same) >= len(noted) - 1  # `what.json`


@pytest.mark.long
def test_another_version_on_a_worker_is_refused(tmp_path):
    other = tmp_path / "other/napari_zarr_stream-99.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Name: napari-zarr-stream\nVersion: 99.9\n")
    with cluster(tmp_path / "cluster", path=other.parent) as there:
        words = r"napari-zarr-stream is .* here, and on the worker tcp.* 99\.9: install"
        with pytest.raises(InvalidProperties, match=words):
            export_layers(
                zeros(), properties(tmp_path / "out/a.zarr"), scheduler=there.address
            )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.long
@pytest.mark.skipif("sys.platform != 'linux'", reason="mounts what others do not see")
def test_a_folder_that_a_worker_does_not_see_is_refused(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    hidden = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none "{out}" && exec "$@"']
    if subprocess.run([*hidden, "-", "true"], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    with cluster(tmp_path / "cluster", before=[*hidden, "-"]) as there:
        words = r"worker tcp.* does not see the folder .*out: a cluster writes to"
        with pytest.raises(InvalidProperties, match=words):
            export_layers(zeros(), properties(out / "a.zarr"), scheduler=there.address)
    assert list(out.iterdir()) == []
