"""Stores at an address: what is shown, what is asked for, and what is said."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
from odd_stores import KINDS, PLACE, addressed, group_v2, image_v2, write
from servers import nobody_answering, serving
from waiting import PATIENCE_S

from napari_zarr_stream import (
    DeviceKind,
    InvalidStore,
    StorageProperties,
    ZarrStream,
    open_layers,
)
from napari_zarr_stream._reading.addresses import failure_in_words, without_secrets
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.kept import KeptArray, chunks_kept
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._reading.location import STALE_S
from napari_zarr_stream._reading.reader import get_reader, layers_of
from napari_zarr_stream._reading.side_by_side import MOST
from napari_zarr_stream._reading.zarr_array import ZarrArray
from napari_zarr_stream._writer.record import RECORD_KEY
from napari_zarr_stream.cli import main

PIXELS = addressed((5, 50, 70))


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path) as server:
        yield server


def recorded(path, **options):
    properties = StorageProperties(
        path,
        DeviceKind.ZARR_V3_ZSTD,
        tile_width=16,
        tile_height=16,
        enable_multiscale=True,
        **options,
    )
    with ZarrStream(
        properties, axes="tyx", shape=(None, 50, 70), dtype="uint16"
    ) as stream:
        stream.append(PIXELS)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_those_of_the_folder(kind, tmp_path, server):
    here = write(tmp_path / "my cells.ome.zarr", PIXELS, kind, **PLACE)
    address = f"{server.address}/my cells.ome.zarr/"
    ((far, meta, layer_type),) = get_reader(address)([address])
    ((near, near_meta, _),) = layers_of(here)
    assert layer_type == "image"
    for mine, other in zip(far, near, strict=True):
        np.testing.assert_array_equal(mine, other)
    near_meta["metadata"].pop("napari_zarr_stream_path")
    assert meta == near_meta
    assert meta["name"] == "cells" if "name" in PLACE else meta["name"]


LAYOUTS = {
    "shards of a tile": {"sharded": True},
    "shards of planes": {"sharded": True, "shard_chunks": (0, 0)},
    "no shards": {"frames_per_chunk": 2},
}


TILES = 4 * 5
WAITS = {"shards of a tile": (TILES, TILES), "shards of planes": (1, TILES)}
"""How many requests are sent before the first of each wait is answered."""


@contextmanager
def looking(server, level, at):
    """What is shown of a step, looked at in a thread of its own."""
    shown = []
    with ThreadPoolExecutor(1) as pool:
        looked = pool.submit(lambda: level[at, :, :])
        try:
            yield shown
            shown.append(looked.result(PATIENCE_S))
        except BaseException:
            server.go_on()  # or the thread would never end
            raise


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_plane_takes_two_waits_and_one_where_the_index_is_known(
    layout, tmp_path, server
):
    recorded(tmp_path / "a.zarr", **LAYOUTS[layout])
    level = KeptArray(ZarrArray(located(f"{server.address}/a.zarr") / "0"))
    server.hold()
    with looking(server, level, 4) as shown:
        for requests in WAITS.get(layout, (TILES,)):
            asked = server.let_through(requests)
            assert len(set(asked)) == requests
    np.testing.assert_array_equal(shown[0], PIXELS[4])
    with looking(server, level, 1) as shown:
        server.let_through(TILES)
    np.testing.assert_array_equal(shown[0], PIXELS[1])
    server.go_on()
    server.asked.clear()
    np.testing.assert_array_equal(level[4, :, :], PIXELS[4])
    assert not [path for path, _ in server.asked if "/0/c/" in path]


def test_connections_are_used_again(tmp_path, server):
    recorded(tmp_path / "a.zarr", sharded=True)
    ((levels, _, _),) = layers_of(f"{server.address}/a.zarr")
    for at in (4, 1, 3, 0, 2):
        np.testing.assert_array_equal(levels[0][at], PIXELS[at])
    assert len(server.asked) > 5 * TILES
    assert server.connections <= MOST


def test_documents_are_asked_for_side_by_side(tmp_path, server):
    recorded(tmp_path / "a.zarr", sharded=True)
    server.delay_s = 0.2  # so that those that are asked together meet
    layers_of(f"{server.address}/a.zarr")
    asked = [path for path, part in server.asked if part is None]
    assert len(set(asked)) == len(asked), "each once"
    assert server.most_together > 3


def test_a_plate_and_labels_where_nothing_is_listed(tmp_path, server):
    names = [{"name": "A"}], [{"name": "1"}, {"name": "2"}]
    wells = [{"path": f"A/{i + 1}", "rowIndex": 0, "columnIndex": i} for i in (0, 1)]
    plate = {"version": "0.4", "rows": names[0], "columns": names[1], "wells": wells}
    group_v2(tmp_path / "p.zarr", {"plate": plate})
    for well in wells:
        path = tmp_path / "p.zarr" / well["path"]
        group_v2(path, {"well": {"images": [{"path": "0"}], "version": "0.4"}})
        image_v2(path / "0", "yx", [PIXELS[0] + well["columnIndex"]])
        group_v2(path / "0" / "labels", {"labels": ["cells"]})
        image_v2(path / "0" / "labels" / "cells", "yx", [PIXELS[1]])
    near = layers_of(tmp_path / "p.zarr")
    far = layers_of(f"{server.address}/p.zarr")
    assert [meta["name"] for _, meta, _ in far] == [meta["name"] for _, meta, _ in near]
    for (mine, _, _), (other, _, _) in zip(far, near, strict=True):
        np.testing.assert_array_equal(mine, other)


def test_what_is_still_uploaded_is_looked_at_again(tmp_path, server, monkeypatch):
    recorded(tmp_path / "a.zarr", sharded=True)
    root = tmp_path / "a.zarr" / "zarr.json"
    document = json.loads(root.read_text())
    del document["attributes"][RECORD_KEY]["finish_reason"]
    root.write_text(json.dumps(document))
    with pytest.warns(UserWarning, match="still written or uploaded"):
        ((levels, _, _),) = layers_of(f"{server.address}/a.zarr")
    np.testing.assert_array_equal(levels[0][3], PIXELS[3])
    now = [1000.0]
    monkeypatch.setattr(
        "napari_zarr_stream._reading.location.time.perf_counter", lambda: now[0]
    )
    np.testing.assert_array_equal(levels[0][3], PIXELS[3])
    server.asked.clear()
    np.testing.assert_array_equal(levels[0][3], PIXELS[3])
    assert not server.asked
    now[0] += 2 * STALE_S
    np.testing.assert_array_equal(levels[0][3], PIXELS[3])
    assert server.asked


def test_info_of_an_address(tmp_path, server, capsys):
    recorded(tmp_path / "a.zarr")
    assert main(["info", f"{server.address}/a.zarr"]) == 0
    said = capsys.readouterr().out
    assert "5 x 50 x 70 uint16" in said
    assert f"{server.address}/a.zarr" in said
    ((data, _, _),) = open_layers(f"{server.address}/a.zarr")
    np.testing.assert_array_equal(data[0][:, 7], PIXELS[:, 7])


def refuse(server):
    server.refusing = {""}


def one_page(server):
    server.page = b"<!DOCTYPE html><html>welcome</html>"


def no_ranges(server):
    server.has_ranges = False


def moves(server):
    server.moved_to = server.address


TROUBLE = {
    "403": (refuse, r"may not be read \(403 Forbidden\)"),
    "a web page": (one_page, "a web page, and no document"),
    "a circle": (moves, "sends on from one address to another without an end"),
    "no ranges": (no_ranges, "cannot send parts of files"),
}


@pytest.mark.parametrize("case", TROUBLE)
def test_each_trouble_has_words_of_its_own(case, tmp_path, server):
    make, words = TROUBLE[case]
    if case == "no ranges":
        recorded(tmp_path / "a.zarr", sharded=True)
    make(server)
    with pytest.raises(InvalidStore, match=words):
        layers_of(f"{server.address}/a.zarr")
    if case != "no ranges":  # which documents need none of
        with pytest.raises(InvalidStore, match=words):
            facts_of(located(f"{server.address}/a.zarr"))


def test_a_bucket_that_refuses_what_is_not_there(tmp_path, server):
    """S3 says 403 of it, to who may not list."""
    recorded(tmp_path / "a.zarr", sharded=True)
    server.refusing = {".zarray", ".zattrs", ".zgroup", "labels/zarr.json"}
    ((levels, _, _),) = layers_of(f"{server.address}/a.zarr")
    np.testing.assert_array_equal(levels[0][3], PIXELS[3])


def test_a_site_with_a_page_for_all_that_is_not_there(tmp_path, server):
    recorded(tmp_path / "a.zarr", sharded=True)
    server.page = b"<html>nothing here</html>"
    ((levels, _, _),) = layers_of(f"{server.address}/a.zarr")
    np.testing.assert_array_equal(levels[0][3], PIXELS[3])


def test_nobody_answers():
    with (
        nobody_answering() as address,
        pytest.raises(InvalidStore, match=r"nobody answers at 127\.0\.0\.1"),
    ):
        layers_of(f"{address}/a.zarr")


def test_nothing_is_there(server):
    with pytest.raises(InvalidStore, match="is not a Zarr group or array"):
        layers_of(f"{server.address}/data/7")


DEBUG = "Generic HTTP error: Error performing GET\n\nDebug source:\nGeneric {{ {} }}"

KINDS_OF_FAILURE = {
    "dns error: failed to lookup address information": "is not found",
    "invalid peer certificate: UnknownIssuer": "the certificate of h.org",
    "kind: Request, source: TimedOut": "did not answer in time",
    "kind: Connect, Connection refused": "nobody answers at h.org",
    "kind: Connect, InvalidMessage(InvalidContentType)": "h.org does not speak https",
    "kind: Interrupted, ConnectionReset": "closed the connection before",
    # numbers that are no status, and words in addresses
    "uri: http://h.org:44039/403/tls, status: 500,": "trouble of its own",
    "elapsed: 401.403ms, status: 429,": "is asked too often",
    "uri: https://redirect.org/a, odd": "cannot be read",
}


# a service's own word for it, with the status that it comes with
OF_BUCKETS = {
    "status: 404, body: <Code>NoSuchBucket</Code>": "there is no bucket bkt",
    "status: 403, body: <Code>SignatureDoesNotMatch</Code>": "secret does not belong",
    "status: 403, body: <Code>InvalidAccessKeyId</Code>": "access key is not known",
    "status: 400, body: <Code>ExpiredToken</Code>": "have expired; log in again",
    "status: 403, body: <Code>RequestTimeTooSkewed</Code>": "clock of this computer",
    "status: 403, body: <Code>AccessDenied</Code>": "may not be read (403 Forbidden)",
    "kind: Connect, Connection refused": "nobody answers at the server of s3://bkt",
}


@pytest.mark.parametrize("text", OF_BUCKETS)
def test_what_a_service_says_of_its_buckets(text):
    failure = failure_in_words(Exception(DEBUG.format(text)), "s3://bkt/a.zarr")
    assert OF_BUCKETS[text] in str(failure)


@pytest.mark.parametrize("text", KINDS_OF_FAILURE)
def test_what_obstore_says_in_words(text):
    failure = failure_in_words(Exception(DEBUG.format(text)), "https://h.org/a.zarr")
    assert KINDS_OF_FAILURE[text] in str(failure)
    assert "Debug source" not in str(failure)


def test_no_secret_is_said():
    address = "https://me:secret@h.org/a.zarr/?X-Amz-Signature=secret"
    assert without_secrets(address) == "https://h.org/a.zarr"
    failure = failure_in_words(Exception(f"odd: {address} failed"), address)
    assert "secret" not in str(failure)


def test_without_obstore_it_says_how_to_install_it(monkeypatch):
    for name in ("obstore", "obstore.store"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidStore, match=r"pip install 'napari-zarr-str"):
        layers_of("https://h.org/a.zarr")


def test_what_is_kept_is_bounded(tmp_path, server):
    recorded(tmp_path / "a.zarr", sharded=True)
    ((levels, _, _),) = layers_of(f"{server.address}/a.zarr")
    np.asarray(levels[0][3])
    assert 0 < chunks_kept.bytes <= chunks_kept.most_bytes
