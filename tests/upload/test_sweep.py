"""A store that is there, brought to another place: by the command, from end to end."""

import asyncio
import json
import shutil

import numpy as np
import obstore
import pytest
import zarr
from buckets import assert_equal_levels, local_files, make_store
from waiting import wait_until

from napari_zarr_stream import ImageDescription, ImageSet, StorageProperties, cli
from napari_zarr_stream._upload.files import CLAIM, document_order, is_of_store
from napari_zarr_stream._upload.request import UploadRequest
from napari_zarr_stream._upload.sending import Sending
from napari_zarr_stream._upload.target import NotSent
from napari_zarr_stream._upload.uploader import UploadPhase
from napari_zarr_stream._writer.errors import WriteFailed


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def levels_of(store):
    names = sorted(p.name for p in store.iterdir() if p.name.isdecimal())
    return [zarr.open_array(str(store / name), mode="r")[:] for name in names]


def one_line(capsys):
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert len(said.strip().splitlines()) == 1, said
    return said


def test_a_store_goes_to_a_bucket(store, place, server, capsys):
    address, prefix = place
    assert run("upload", store, f"{address}/a.zarr") == 0
    assert server.files(f"{prefix}/a.zarr") == local_files(store)
    said = capsys.readouterr().out
    assert f"{address}/a.zarr: {len(local_files(store))} files sent" in said
    assert_equal_levels(server.levels(f"{prefix}/a.zarr"), levels_of(store))
    # Nothing goes twice.
    assert run("upload", store, f"{address}/a.zarr") == 0
    assert "0 files sent, 0 B; all is there" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "below"),
    [
        ("", "cells.zarr"),
        ("/", "cells.zarr"),
        ("/my cells/µ 12 °C/", "my cells/µ 12 °C/cells.zarr"),
        ("/HeLa 1.5 mM.ZARR///", "HeLa 1.5 mM.ZARR"),
        ("/a%20b.zarr", "a%20b.zarr"),
        ("/a//b.zarr", "a/b.zarr"),
    ],
)
def test_where_it_goes(typed, below, store, place, server):
    address, prefix = place
    assert run("upload", store, address + typed) == 0
    assert server.files(f"{prefix}/{below}") == local_files(store)


def test_only_what_is_missing_goes(store, place, server, capsys):
    address, prefix = place
    run("upload", store, f"{address}/a.zarr")
    chunk = next(k for k in local_files(store) if k.startswith("0/c/"))
    bucket = server.bucket(f"{prefix}/a.zarr")
    obstore.delete(bucket, chunk)
    other = bytearray((store / "zarr.json").read_bytes())
    other[-3] ^= 1  # of the same size
    damaged = "1/zarr.json"
    obstore.put(bucket, damaged, bytes(len((store / damaged).read_bytes())))
    obstore.put(bucket, "a file of somebody else", b"1")
    capsys.readouterr()
    assert run("upload", store, f"{address}/a.zarr") == 0
    said = capsys.readouterr()
    assert "2 files sent" in said.out
    assert "1 other files are at" in said.err
    there = server.files(f"{prefix}/a.zarr")
    assert there.pop("a file of somebody else") == b"1"
    assert there == local_files(store)


def test_another_store_is_not_replaced(store, tmp_path, place, server, capsys):
    address, prefix = place
    run("upload", store, f"{address}/a.zarr")
    other = make_store(tmp_path / "other.zarr", frames=3)
    before = server.files(f"{prefix}/a.zarr")
    capsys.readouterr()
    assert run("upload", other, f"{address}/a.zarr") == 1
    assert "already holds another store: choose another name" in one_line(capsys)
    assert server.files(f"{prefix}/a.zarr") == before
    # Nor where the other has only begun.
    bucket = server.bucket(f"{prefix}/a.zarr")
    obstore.delete(bucket, [key for key in before if key != "0/zarr.json"])
    obstore.put(bucket, CLAIM, b'{"store": "of somebody"}')
    assert run("upload", other, f"{address}/a.zarr") == 1
    assert f"or delete {CLAIM} there" in one_line(capsys)


def test_two_at_once_to_one_place(store, tmp_path, place, server):
    """One of them has it, as a whole; the other is told."""
    address, prefix = place
    other = make_store(tmp_path / "other.zarr", frames=5)
    both = [UploadRequest(f"{address}/a.zarr").uploader(s) for s in (store, other)]
    for uploader, root in zip(both, (store, other), strict=True):
        uploader.upload(root)
    for uploader in both:
        uploader.wait()
    ends = [uploader.status() for uploader in both]
    assert sorted(end.phase.value for end in ends) == ["done", "failed"]
    winner = (store, other)[ends[1].phase is UploadPhase.DONE]
    assert server.files(f"{prefix}/a.zarr") == local_files(winner)


def left_open(store):
    """As a killed recorder leaves it."""
    path = store / "zarr.json"
    document = json.loads(path.read_text())
    record = document["attributes"]["napari_zarr_stream"]
    del record["finish_reason"], record["end_time"], record["frames_committed"]
    path.write_text(json.dumps(document))
    return store


def no_store(store):
    shutil.rmtree(store)
    store.mkdir()
    (store / "notes.txt").write_text("no store")
    return store


@pytest.mark.parametrize(
    ("make", "address", "code", "said"),
    [
        (left_open, "{}", 2, "napari-zarr-stream repair"),
        (no_store, "{}", 1, "is not a Zarr store"),
        (lambda s: s.with_name("nowhere.zarr"), "{}", 1, "does not exist"),
        (lambda s: s, "gs://bucket/a.zarr", 2, "Google's buckets are not supported"),
        (lambda s: s, "https://host/a.zarr", 2, "give the bucket, as s3://BUCKET/PATH"),
        (lambda s: s, "s3://", 2, "needs the name of a bucket"),
        (lambda s: s, "s3:///a.zarr", 2, "needs the name of a bucket"),
        (lambda s: s, "s3://a/../b", 2, "no part of a path is '.' or '..'"),
        (lambda s: s, "s3://a/b?sig=abc", 2, "tokens belong into the environment"),
        (lambda s: s, "s3://key:hushhush@bkt/a.zarr", 2, "an address with keys in it"),
        (lambda s: s, "", 2, "there is no address"),
        (lambda s: s, "{store}", 2, "are one, or one lies in the other"),
        (lambda s: s, "{store}/0/b.zarr", 2, "are one, or one lies in the other"),
    ],
)
def test_what_is_refused(make, address, code, said, store, place, server, capsys):
    to = address.format(f"{place[0]}/a.zarr", store=store)
    before = local_files(store)
    assert run("upload", make(store), to) == code
    told = one_line(capsys)
    assert said in told
    assert "hushhush" not in told
    assert server.files(place[1]) == {}
    if store.exists() and make not in (left_open, no_store):
        assert local_files(store) == before


def test_a_store_that_is_being_written(tmp_path, place, server, capsys):
    from napari_zarr_stream import ZarrStream

    path = tmp_path / "a.zarr"
    stream = ZarrStream(
        StorageProperties(path), axes="tyx", shape=(None, 32, 32), dtype="uint8"
    )
    try:
        assert run("upload", path, place[0]) == 1
    finally:
        stream.close()
    assert "is being written by process" in one_line(capsys)
    assert server.files(place[1]) == {}


@pytest.mark.parametrize("kind", ["Zarr", "ZarrV3Blosc1Lz4ByteShuffle"])
def test_to_another_disk(kind, tmp_path, capsys):
    """A file appears there by its renaming; nothing on its way stays."""
    store = make_store(tmp_path / "a.zarr", kind, frames_per_chunk=1)
    disk = tmp_path / "disk µ"
    assert run("upload", store, f"{disk}/") == 0
    assert local_files(disk / "a.zarr") == local_files(store)
    (disk / "a.zarr" / "0" / "zarr.json").unlink(missing_ok=True)
    (disk / "a.zarr" / "0" / ".zarray").unlink(missing_ok=True)
    capsys.readouterr()
    assert run("upload", store, disk) == 0
    assert "1 file sent" in capsys.readouterr().out
    assert local_files(disk / "a.zarr") == local_files(store)


def test_what_ends_an_upload_is_not_told_as_tried_again():
    sending = Sending(target=None)

    async def refused():
        raise NotSent("the disk is full", is_lasting=True)

    with pytest.raises(WriteFailed, match="the disk is full"):
        asyncio.run(sending.persist(refused))
    assert sending.trouble == ""


def test_a_disk_that_is_full(small_disk, tmp_path, capsys):
    store = make_store(tmp_path / "a.zarr", "ZarrV3", frames=60)
    assert run("upload", store, small_disk) == 1
    assert "the disk is full: free some space" in one_line(capsys)
    assert not list(small_disk.rglob("*.partial"))
    assert not (small_disk / "a.zarr" / "zarr.json").exists()


def test_a_set_of_positions_with_thousands_of_files(tmp_path, place, server):
    """Small files go several at once."""
    shape = (None, 1, 1, 16, 16)
    images = [
        ImageDescription(str(n), str(n), "tczyx", shape, "uint16") for n in range(8)
    ]
    path = tmp_path / "set.zarr"
    with ImageSet(StorageProperties(path, "Zarr", sharded=False), images) as positions:
        for number in range(8):
            for t in range(4):
                positions.put(number, (t, 0, 0), np.full((16, 16), t + 1, "uint16"))
    address, prefix = place
    assert run("upload", path, address) == 0
    assert server.files(f"{prefix}/set.zarr") == local_files(path)


@pytest.mark.parametrize("to", ["bucket", "folder"])
def test_the_local_copy_goes_when_asked_for(to, store, place, server, tmp_path):
    before = local_files(store)
    target = place[0] if to == "bucket" else tmp_path / "disk"
    assert run("upload", store, target, "--delete-local") == 0
    assert not store.exists()
    there = (
        server.files(f"{place[1]}/cells.zarr")
        if to == "bucket"
        else local_files(tmp_path / "disk" / "cells.zarr")
    )
    assert there == before


def test_a_copy_that_is_not_ours_stays(store, place, tmp_path, capsys):
    document = json.loads((store / "zarr.json").read_text())
    del document["attributes"]["napari_zarr_stream"]
    (store / "zarr.json").write_text(json.dumps(document))
    assert run("upload", store, place[0], "--delete-local") == 1
    assert "was not made by this program, and is not deleted" in one_line(capsys)
    assert (store / "zarr.json").exists()


def test_what_came_into_the_copy_meanwhile_stays(store, place, server):
    uploader = UploadRequest(place[0], deletes_local=True).uploader(store)
    may_delete = []
    uploader.delete_when(lambda: bool(may_delete))
    uploader.upload(store)
    prefix = f"{place[1]}/cells.zarr"
    wait_until(
        lambda: "zarr.json" in (keys := server.keys(prefix)) and CLAIM not in keys
    )
    (store / "0" / "notes.txt").write_text("mine")
    changed = store / "1" / "zarr.json"
    changed.write_text(changed.read_text() + " ")
    may_delete.append(True)
    uploader.wait()
    assert uploader.status().phase is UploadPhase.DONE
    assert set(local_files(store)) == {"0/notes.txt", "1/zarr.json"}
    assert "stays, 1 files changed since" in uploader.status().notes[-1]


def test_documents_follow_pixels_and_the_root_is_last():
    keys = ["zarr.json", "0/zarr.json", "1/zarr.json", "10/zarr.json", "OME/zarr.json",
            "A/1/0/zarr.json", "A/1/0/0/zarr.json", "A/1/0/1/zarr.json"]  # fmt: skip
    assert sorted(keys, key=document_order) == [
        "A/1/0/1/zarr.json", "A/1/0/0/zarr.json", "A/1/0/zarr.json", "10/zarr.json",
        "1/zarr.json", "0/zarr.json", "OME/zarr.json", "zarr.json",
    ]  # fmt: skip
    v2 = [".zgroup", ".zattrs", "0/.zarray", "0/.zattrs"]
    assert sorted(v2, key=document_order) == [
        "0/.zarray",
        "0/.zattrs",
        ".zattrs",
        ".zgroup",
    ]


@pytest.mark.parametrize(
    ("key", "is_one"),
    [
        ("zarr.json", True),
        ("0/c/0/3/0/0", True),
        ("0/zarr.json.1a2b3c4d.partial", False),
        ("0/c/0/3.1a2b3c4d.partial/0/0", False),
        (CLAIM, False),
    ],
)
def test_what_is_on_its_way_is_not_of_the_store(key, is_one):
    assert is_of_store(key) == is_one
