"""Stores in one file: they are as in a folder, and no archive leads anywhere else."""

import io
import json
import random
import struct
import time
import warnings
import zipfile
from contextlib import suppress

import numpy as np
import pytest
from hostile import look_at
from judges import ask
from odd_stores import addressed, group_v2, image_v2, write, write_group
from servers import serving
from tables import long_but

from napari_zarr_stream import (
    DeviceKind,
    ImageDescription,
    ImageSet,
    InvalidStore,
    StorageProperties,
    StoreExists,
    ZarrStream,
)
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._reading.reader import get_reader, layers_of
from napari_zarr_stream._writer.errors import ZarrStreamError
from napari_zarr_stream._writer.ozx import write_ozx

PIXELS = addressed((5, 50, 70))


def recorded(path, kind=DeviceKind.ZARR_V3_ZSTD, **options):
    properties = StorageProperties(path, kind, tile_width=16, tile_height=16, **options)
    with ZarrStream(
        properties, axes="tyx", shape=(None, 50, 70), dtype="uint16"
    ) as stream:
        stream.append(PIXELS)
    return path


STORES = {
    "v3 sharded": (DeviceKind.ZARR_V3_LZ4, {"sharded": True}),
    "v3": (DeviceKind.ZARR_V3, {"frames_per_chunk": 2}),
    "v2": (DeviceKind.ZARR_ZSTD, {"frames_per_chunk": 2}),
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zip")
    store = recorded(folder / "a.zarr", sharded=True, shard_chunks=(0, 0))
    write_ozx(store, folder / "a.ozx", "0.5")
    return folder / "a.ozx"


@pytest.mark.parametrize("name", STORES)
def test_a_store_in_one_file_is_as_in_its_folder(name, tmp_path):
    kind, options = STORES[name]
    store = recorded(tmp_path / "cells.zarr", kind, **options)
    packed = tmp_path / "cells.ozx"
    assert write_ozx(store, packed, "0.5")
    same_layers(packed, store)
    facts, whole = facts_of(located(packed)), facts_of(store)
    for key in ("kind", "axes", "levels", "record", "state"):
        assert facts[key] == whole[key]
    with serving(tmp_path) as server:
        same_layers(f"{server.address}/cells.ozx", store)
        asked = [part for path, part in server.asked if part]
        assert len(asked) > 3, "parts of it, not all of it"
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []


def same_layers(one, other):
    mine = get_reader(str(one))(str(one))
    for (data, meta, kind), (its, its_meta, its_kind) in zip(
        mine, layers_of(other), strict=True
    ):
        assert kind == its_kind
        its_meta["metadata"].pop("napari_zarr_stream_path", None)
        assert meta == its_meta
        for level, its_level in zip(data, its, strict=True):
            np.testing.assert_array_equal(level, its_level)


def test_what_stands_in_the_archive(archive):
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        assert {info.compress_type for info in packed.infolist()} == {0}
        said = json.loads(packed.comment)
    order = {"centralDirectory": {"jsonFirst": True}}
    assert said == {"ome": {"version": "0.5", "zipFile": order}}
    documents = [name for name in names if name.endswith("zarr.json")]
    assert names[0] == "zarr.json"
    assert names[: len(documents)] == documents
    assert [n.count("/") for n in documents] == sorted(n.count("/") for n in documents)


def test_a_plate_and_labels_in_a_folder_of_the_archive(tmp_path):
    group_v2(tmp_path / "a.zarr" / "labels", {"labels": ["cells"]})
    image_v2(tmp_path / "a.zarr", "yx", [PIXELS[0]])
    image_v2(tmp_path / "a.zarr" / "labels" / "cells", "yx", [PIXELS[1]])
    with zipfile.ZipFile(
        tmp_path / "a.zarr.zip", "w", zipfile.ZIP_DEFLATED
    ) as packed:  # as others zip a folder
        for path in sorted((tmp_path / "a.zarr").rglob("*")):
            packed.write(path, path.relative_to(tmp_path))
    image, labels = layers_of(tmp_path / "a.zarr.zip")
    np.testing.assert_array_equal(image[0], PIXELS[0])
    np.testing.assert_array_equal(labels[0], PIXELS[1])


def test_ngff_zarr_reads_ours_and_we_read_theirs(archive, tmp_path):
    import ngff_zarr

    theirs = ngff_zarr.from_ngff_zarr(str(archive))
    level = theirs.images[0].data
    np.testing.assert_array_equal(np.asarray(level), PIXELS)
    image = ngff_zarr.to_ngff_image(PIXELS, dims=["t", "y", "x"])
    out = tmp_path / "theirs.ozx"
    ngff_zarr.to_ngff_zarr(str(out), ngff_zarr.to_multiscales(image), version="0.5")
    ((data, _, _),) = layers_of(out)
    full = data[0] if isinstance(data, list) else data
    np.testing.assert_array_equal(full, PIXELS)


def test_bioio_reads_ours(archive):
    levels = ask("bioio_ome_zarr", archive)
    ((mine, _, _),) = layers_of(archive)
    for level, its in zip(mine, levels, strict=True):
        np.testing.assert_array_equal(level, its.reshape(level.shape))


def a_plate(path):
    wells = [f"A/{column}" for column in "12"]
    said = {
        "rows": [{"name": "A"}],
        "columns": [{"name": "1"}, {"name": "2"}],
        "wells": [
            {"path": well, "rowIndex": 0, "columnIndex": i}
            for i, well in enumerate(wells)
        ],
    }
    write_group(path, {"version": "0.5", "plate": said})
    for i, well in enumerate(wells):
        well_of_one = {"images": [{"path": "0"}]}
        write_group(path / well, {"version": "0.5", "well": well_of_one})
        write(path / well / "0", PIXELS[i])


def positions(path):
    images = [
        ImageDescription(
            str(p), name=str(p), axes="tyx", shape=(None, 50, 70), dtype="uint16"
        )
        for p in range(3)
    ]
    with ImageSet(StorageProperties(path), images) as made:
        for p, t in np.ndindex(3, 2):
            made.put(p, (t,), PIXELS[p + t])


@pytest.mark.parametrize("make", [a_plate, positions])
def test_many_images_in_one_file_are_as_in_their_folder(make, tmp_path):
    store, packed = tmp_path / "many.ome.zarr", tmp_path / "many.ozx"
    make(store)
    assert write_ozx(store, packed, "0.5")
    same_layers(packed, store)
    facts, whole = facts_of(located(packed)), facts_of(store)
    assert facts["kind"] == whole["kind"]
    assert facts.get("record") == whole.get("record")


def info_of(name, data, **changes):
    info = zipfile.ZipInfo(name)
    info.filename = name  # Windows' own has other slashes
    for key, value in changes.items():
        setattr(info, key, value)
    return info, data


LINK = {"external_attr": 0o120777 << 16}

ODD = {
    "out of it": ([info_of("../outside", b"a")], "leads out of it"),
    "absolute": ([info_of("/etc/passwd", b"a")], "is no name in an archive"),
    "a drive": ([info_of("C:/a", b"a")], "leads out of it"),
    "backwards": ([info_of("a\\b", b"a")], "is no name in an archive"),
    "a link": ([info_of("0", b"/etc", **LINK)], "is a link or a device"),
}


@pytest.mark.parametrize("case", ODD)
def test_names_that_lead_elsewhere_are_refused(case, tmp_path):
    entries, words = ODD[case]
    with zipfile.ZipFile(tmp_path / "a.ozx", "w") as packed:
        packed.writestr("zarr.json", "{}")
        for info, data in entries:
            name = info.filename
            packed.writestr(info, data)
            packed.filelist[-1].filename = name
    refused(tmp_path / "a.ozx", words)


def refused(path, words):
    for call in (layers_of, lambda path: facts_of(located(path))):
        with pytest.raises(InvalidStore, match=words):
            call(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.ozx", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zarr.json", b" " * 2**26)
    refused(tmp_path / "a.ozx", "at the most are what it should hold")


def changed(archive, edit):
    """Bytes of an archive whose directory was edited entry by entry."""
    data = bytearray(archive.read_bytes())
    end = data.rfind(b"PK\5\6")
    (start,) = struct.unpack_from("<I", data, end + 16)
    at, number = start, 0
    while data[at : at + 4] == b"PK\1\2":
        names, extra, comment = struct.unpack_from("<3H", data, at + 28)
        edit(data, at, number)
        at += 46 + names + extra + comment
        number += 1
    return bytes(data)


def onto_the_first(data, at, number):
    if number == 1:
        data[at + 42 : at + 46] = bytes(4)


def into_another(data, at, number):
    if number == 1:
        (offset,) = struct.unpack_from("<I", data, at + 42)
        struct.pack_into("<I", data, at + 42, offset - 10)


def longer(data, at, number):
    if number == 0:
        struct.pack_into("<2I", data, at + 20, 2**20, 2**20)


def another_checksum(data, at, number):
    if number == 0:
        struct.pack_into("<I", data, at + 16, 7)


LIES = {
    "two at one place": (onto_the_first, "lie at one place|overlaps"),
    "overlapping": (into_another, "overlaps|lies about"),
    "too long": (longer, "overlaps|behind its end"),
    "a checksum": (another_checksum, "its checksum differs"),
}


@pytest.mark.parametrize("case", LIES)
def test_a_directory_that_lies_is_refused(case, archive, tmp_path):
    edit, words = LIES[case]
    (tmp_path / "a.ozx").write_bytes(changed(archive, edit))
    refused(tmp_path / "a.ozx", words)


def packed_as(folder, path):
    """Files of a store, as another program may lay them into an archive."""
    return [
        (f"{folder}{file.relative_to(path).as_posix()}", file.read_bytes())
        for file in sorted(path.rglob("*"))
        if file.is_file()
    ]


OF_A_MAC = [("__MACOSX/a.zarr/._zarr.json", b"x"), ("__MACOSX/._a.zarr", b"x")]

# id: where in the archive it lies, what lies beside it
LAID = {
    "macos": ("a.zarr/", OF_A_MAC),
    "hidden": ("a.zarr/", [(".DS_Store", b"x"), ("desktop.ini", b"x")]),
    "deep": ("data/2026/a.zarr/", []),
    "deep of a mac": ("data/a.zarr/", [("data/.DS_Store", b"x"), *OF_A_MAC]),
    "beside a file": ("a.zarr/", [("README.txt", b"x")]),
    "beside a file at the root": ("", [("README.txt", b"x"), ("._a", b"x")]),
    # zarr-developers/zarr-python 129: ZipStore adds a document for each change of it
    "changed": ("", [("zarr.json", b"")]),
    "changed in a folder": ("a.zarr/", [("a.zarr/zarr.json", b"")]),
}


@pytest.mark.parametrize("case", long_but(LAID, "macos", "deep", "changed"))
def test_archives_as_people_make_them(case, tmp_path):
    folder, beside = LAID[case]
    store = recorded(tmp_path / "a.zarr")
    path = tmp_path / "of somebody.zip"
    last = (store / "zarr.json").read_bytes()
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as packed:
        warnings.simplefilter("ignore")  # of a name that is there already
        for name, data in [*packed_as(folder, store), *beside]:
            packed.writestr(name, data or last)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ((levels, _, _),) = layers_of(path)
    np.testing.assert_array_equal(levels[0], PIXELS)
    assert bool(caught) == (case == "beside a file")
    assert facts_of(located(path))["kind"] in ("image", "group")


def test_of_a_document_that_was_changed_the_last_counts(tmp_path):
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        store = zarr.storage.ZipStore(tmp_path / "a.zarr.zip", mode="w")
        group = zarr.create_group(store)
        group.create_array("0", data=PIXELS, chunks=(1, 50, 70))
        for name in ("first", "last"):
            said = {"name": name, "axes": list("tyx"), "datasets": [{"path": "0"}]}
            group.attrs["multiscales"] = [said]
        store.close()
    ((data, meta, _),) = layers_of(tmp_path / "a.zarr.zip")
    assert meta["name"] == "last"
    np.testing.assert_array_equal(data, PIXELS)


def test_several_stores_in_one_archive(tmp_path):
    store = recorded(tmp_path / "a.zarr")
    path = tmp_path / "both.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for folder in ("a.zarr/", "b.zarr/"):
            for name, data in packed_as(folder, store):
                packed.writestr(name, data)
    with pytest.warns(UserWarning, match="shown are 2 images"):
        layers = layers_of(path)
    assert len(layers) == 2
    assert len(facts_of(located(path))["images"]) == 2


def test_half_of_an_archive_and_none(archive, tmp_path):
    (tmp_path / "a.ozx").write_bytes(archive.read_bytes()[:-30])
    refused(tmp_path / "a.ozx", "is no zip file, or not all of one")
    (tmp_path / "a.ozx").write_bytes(b"")
    refused(tmp_path / "a.ozx", "is no zip file, or not all of one")


def test_nothing_is_replaced_that_is_no_archive(tmp_path):
    from napari_zarr_stream import export

    (tmp_path / "a.ozx").write_text("a thesis")
    for overwrite in (False, True):
        with pytest.raises(StoreExists):
            export(PIXELS, tmp_path / "a.ozx", axes="tyx", overwrite=overwrite)
    assert (tmp_path / "a.ozx").read_text() == "a thesis"


def test_an_array_is_exported_into_one_file(tmp_path):
    from napari_zarr_stream import export

    out = export(PIXELS, tmp_path / "a.ozx", axes="tyx")
    export(PIXELS + 1, tmp_path / "a.ozx", axes="tyx", overwrite=True)
    ((data, _, _),) = layers_of(out)
    full = data[0] if isinstance(data, list) else data
    np.testing.assert_array_equal(full, PIXELS + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.ozx"]


def spoiled(archive, number):
    """The archive with a few bytes that are others, most of them where it is told."""
    chance = random.Random(number)
    data = bytearray(archive)
    start = data.rfind(b"PK\1\2")
    first = data.find(b"PK\1\2")
    for _ in range(chance.choice([1, 1, 2, 5, 20])):
        what = chance.random()
        begin = min(first, len(data) - 1) if what < 0.7 else 0
        at = chance.randrange(begin, len(data))
        if what < 0.5:
            data[at] = chance.randrange(256)
        elif what < 0.8:
            value = chance.choice([0, 1, 2**16 - 1, 2**31, 2**32 - 1, len(data), first])
            data[at : at + 4] = value.to_bytes(4, "little")
        elif what < 0.85:
            del data[at : at + chance.randrange(1, 60)]
        elif what < 0.9:
            data[at:at] = chance.randbytes(chance.randrange(1, 60))
        elif what < 0.95:
            data += data[start:]
        else:
            del data[max(100, at) :]
    return bytes(data)


def look_through(archive, tmp_path, numbers):
    tree = set(tmp_path.iterdir())
    slowest_s = 0.0
    for number in numbers:
        path = tmp_path / "a.ozx"
        path.write_bytes(spoiled(archive, number))
        began = time.process_time()
        with warnings.catch_warnings(), suppress(ZarrStreamError):
            warnings.simplefilter("ignore")
            text_of(facts_of(located(path)))
        with warnings.catch_warnings(), suppress(ZarrStreamError):
            warnings.simplefilter("ignore")
            for data, _, _ in layers_of(path):
                look_at(data if isinstance(data, list) else [data])
        slowest_s = max(slowest_s, time.process_time() - began)
    assert set(tmp_path.iterdir()) - tree <= {tmp_path / "a.ozx"}
    assert slowest_s < 30


def test_spoiled_archives(archive, tmp_path):
    look_through(archive.read_bytes(), tmp_path, range(12))


@pytest.mark.long
@pytest.mark.parametrize("batch", range(20))
def test_many_spoiled_archives(archive, tmp_path, batch):
    look_through(archive.read_bytes(), tmp_path, range(100 * batch, 100 * batch + 100))


def test_a_long_archive_is_read(archive, tmp_path):
    """ZIP64, as of archives beyond 4 GiB: written anew with all numbers in 64 bits."""
    data = archive.read_bytes()
    end = data.rfind(b"PK\5\6")
    count, size, start = struct.unpack_from("<HII", data, end + 10)
    long = struct.pack(
        "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, end, 1)
    short = struct.pack(
        "<4s4H2IH", b"PK\5\6", 0, 0, 2**16 - 1, 2**16 - 1, 2**32 - 1, 2**32 - 1, 0
    )
    (tmp_path / "a.ozx").write_bytes(data[:end] + long + locator + short)
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    ((levels, _, _),) = layers_of(tmp_path / "a.ozx")
    np.testing.assert_array_equal(levels[0], PIXELS)
