"""Bytes -> storage: what every store does, and what a folder on a disk does."""

import contextlib
import errno
import json
import os
import stat
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from needs import needs_links

from napari_zarr_stream import StorageProperties, StoreExists, WriteFailed, ZarrStream
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import DocumentInUse
from napari_zarr_stream._writer.local_store import LocalFolder, LocalStore
from napari_zarr_stream._writer.store import read_json

PIECES = {
    "more than a call takes": [1] * 3000,
    "large": [70_000],
    "large, then small": [70_000, 24],
    "small, then large": [24, 70_000],
    "small between large": [70_000, 3, 5, 70_000, 24],
    "as much as is joined, and more": [2**15, 2**15, 1],
    "some of nothing": [0, 5, 0],
}
"""Bytes of each."""


class StoreContract:
    """What a `Store` must do. `read` and `keys` look without the store's methods."""

    @pytest.fixture
    def store(self):
        raise NotImplementedError

    def read(self, key):
        raise NotImplementedError

    def keys(self):
        raise NotImplementedError

    def test_nothing_is_seen_before_publish(self, store):
        store.write_json("zarr.json", {"a": 1})
        assert self.keys() == []
        store.publish()
        assert self.keys() == ["zarr.json"]

    def test_discard_leaves_nothing(self, store):
        store.write("0/c/0", b"abc")
        store.discard()
        assert self.keys() == []

    def test_discard_after_publish_changes_nothing(self, store):
        store.write("0/c/0", b"abc")
        store.publish()
        store.discard()
        assert self.read("0/c/0") == b"abc"

    def test_write_before_and_after_publish(self, store):
        store.write("0/c/0", b"abc")
        store.publish()
        store.write("0/c/1", memoryview(b"defg"))
        assert self.keys() == ["0/c/0", "0/c/1"]
        assert self.read("0/c/1") == b"defg"

    def test_write_replaces(self, store):
        store.publish()
        for data in (b"a longer one", b"short", b""):
            store.write("0/0", data)
            assert self.read("0/0") == data

    def test_documents_are_json_and_replaced_as_a_whole(self, store):
        store.publish()
        for document in ({"a": [1, 2.5, None, "µ"]}, {}):
            store.write_json(".zattrs", document)
            assert json.loads(self.read(".zattrs")) == document
        assert self.keys() == [".zattrs"]

    @pytest.mark.parametrize("document", [{"a": float("nan")}, {"a": {1, 2}}])
    def test_what_is_not_json_changes_nothing(self, store, document):
        store.publish()
        store.write_json("zarr.json", {"a": 1})
        with pytest.raises((ValueError, TypeError)):
            store.write_json("zarr.json", document)
        assert json.loads(self.read("zarr.json")) == {"a": 1}
        assert self.keys() == ["zarr.json"]

    @pytest.mark.parametrize("keep_open", [True, False])
    def test_a_file_in_pieces_at_any_offset(self, store, keep_open):
        store.publish()
        file = store.create_file("0/c/0", keep_open)
        file.write_at(4, b"ef", memoryview(b"gh"))
        file.write_at(0, b"ab")
        file.close()
        file.close()
        assert self.read("0/c/0") == b"ab\0\0efgh"

    @pytest.mark.parametrize("keep_open", [True, False])
    def test_lengthen_fills_with_zeros_and_an_end_moves(self, store, keep_open):
        store.publish()
        file = store.create_file("0/c/0", keep_open)
        file.lengthen(3)
        assert self.read("0/c/0") == b"\0\0\0"
        file.write_at(0, b"abc")
        file.end_with(1, b"z")
        assert self.read("0/c/0") == b"az"
        file.end_with(4, b"y")
        file.close()
        assert self.read("0/c/0") == b"az\0\0y"

    @pytest.mark.parametrize("keep_open", [True, False])
    def test_pieces_from_several_threads(self, store, keep_open):
        store.publish()
        file = store.create_file("0/c/0", keep_open)

        def write(number):
            for i in range(number, 200, 4):
                file.write_at(100 * i, bytes([i]) * 60, bytes([i]) * 40)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        file.close()
        assert self.read("0/c/0") == b"".join(bytes([i]) * 100 for i in range(200))


class TestLocalStore(StoreContract):
    @pytest.fixture(autouse=True)
    def _place(self, tmp_path):
        self.path = tmp_path / "in" / "here" / "a.zarr"

    @pytest.fixture
    def store(self):
        return LocalStore(self.path, overwrite=False)

    def read(self, key):
        return (self.path / key).read_bytes()

    def keys(self):
        files = (path for path in self.path.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.path).as_posix() for path in files)

    def test_nothing_is_left_beside_the_store(self, store):
        store.write("0/0", b"abc")
        store.publish()
        store.close()
        store.close()
        assert [path.name for path in self.path.parent.iterdir()] == ["a.zarr"]

    def test_nothing_is_left_by_discard(self, store):
        store.write("0/0", b"abc")
        store.discard()
        assert list(self.path.parent.iterdir()) == []

    def test_a_reader_meets_the_old_document_or_the_new_one(self, store):
        """Never half of one, never none."""
        store.publish()
        documents = [{"version": i, "filling": "x" * 50_000} for i in range(2)]
        store.write_json("zarr.json", documents[0])
        done = threading.Event()

        def write():
            try:
                for i in range(200):
                    # Windows, for a second: the next commit would renew it.
                    with contextlib.suppress(DocumentInUse):
                        store.write_json("zarr.json", documents[i % 2])
                    time.sleep(0.005 if system.IS_WINDOWS else 0)
            finally:
                done.set()

        writer = threading.Thread(target=write)
        writer.start()
        while not done.is_set():
            assert read_json(self.path / "zarr.json") in documents
            # Windows replaces nothing while somebody has it open.
            time.sleep(0.05 if system.IS_WINDOWS else 0)
        writer.join()

    @pytest.mark.skipif(not hasattr(os, "pwritev"), reason="Windows has no `pwritev`")
    @pytest.mark.parametrize("most", [1, 3, 4, 7, 12])
    def test_short_writes_are_completed(self, store, monkeypatch, most):
        """A disk that is nearly full, or a signal, may take less than was given."""
        pwritev, short = os.pwritev, []

        def write_some(descriptor, pieces, offset):
            data = b"".join(pieces)
            short.append(len(data) > most)
            return pwritev(descriptor, [data[:most]], offset)

        store.publish()
        file = store.create_file("0/0", keep_open=True)
        monkeypatch.setattr(os, "pwritev", write_some)
        file.write_at(2, b"0123", b"4567", b"89")
        store.write("0/1", b"0123456789")
        file.close()
        assert self.read("0/0") == b"\0\x000123456789"
        assert self.read("0/1") == b"0123456789"
        assert any(short) is (most < 10)

    @pytest.mark.parametrize("sizes", PIECES.values(), ids=PIECES)
    def test_pieces_of_all_sizes_follow_each_other(self, store, sizes):
        """A system takes few at once, or one, and small ones may be joined."""
        store.publish()
        file = store.create_file("0/0", keep_open=True)
        pieces = [bytes([i % 251]) * size for i, size in enumerate(sizes)]
        file.write_at(0, *pieces)
        file.write_at(sum(sizes), *map(memoryview, pieces))
        file.close()
        assert self.read("0/0") == b"".join(pieces) * 2

    def test_a_chunk_cut_short_by_a_failure_is_removed(self, store, monkeypatch):
        """Half a chunk is an error to a reader, none is a fill value."""
        store.publish()
        write_at = system.write_at

        def write_half(descriptor, offset, pieces):
            write_at(descriptor, offset, [piece[:1] for piece in pieces])
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(system, "write_at", write_half)
        with pytest.raises(WriteFailed, match=r"a\.zarr.*0.*disk is full"):
            store.write("0/0", b"abc")
        monkeypatch.undo()
        assert self.keys() == []


# what is already there


@pytest.mark.parametrize("is_windows", [False, True])
def test_files_of_a_folder_that_appears(tmp_path, monkeypatch, is_windows):
    monkeypatch.setattr(system, "IS_WINDOWS", is_windows)
    store = LocalFolder(tmp_path, has_holes=True)
    place = tmp_path / "0" / "3"
    there = []

    def files():
        for name in ("0/0", "0/1", "1/0"):
            there.append(sorted(p for p in place.rglob("*") if p.is_file()))
            yield name, name.encode()

    store.write_folder("0/3", files(), appears=True)
    assert {p.read_text() for p in place.rglob("?") if p.is_file()} == {
        *("0/0", "0/1", "1/0")
    }
    assert [len(seen) for seen in there] == ([0, 1, 2] if is_windows else [0, 0, 0])
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("appears", [False, True])
def test_a_folder_that_cannot_be_filled(tmp_path, appears):
    store = LocalFolder(tmp_path, has_holes=True)

    def files():
        yield "0/0", b"first"
        yield "0/0/0", b"a file is in its way"

    with pytest.raises(WriteFailed, match="a file is where a folder should be"):
        store.write_folder("0/3", files(), appears=appears)
    left = [p for p in tmp_path.rglob("*") if p.is_file()]
    is_moved = appears and not system.IS_WINDOWS
    assert left == ([] if is_moved else [tmp_path / "0" / "3" / "0" / "0"])


def test_an_empty_folder_is_taken(tmp_path):
    path = tmp_path / "a.zarr"
    path.mkdir()
    store = LocalStore(path, overwrite=False)
    store.write_json("zarr.json", {})
    store.publish()
    assert (path / "zarr.json").exists()


def make_something(path, what):
    if what == "file":
        path.write_text("a thesis")
        return
    path.mkdir()
    marker = {"folder": "notes.txt", "v2": ".zgroup", "v3": "zarr.json"}[what]
    (path / marker).write_text("{}")
    (path / "0").mkdir()
    (path / "0" / "precious").write_text("pixels")


@pytest.mark.parametrize(
    ("what", "overwrite", "replaced"),
    [
        ("file", False, False),
        ("file", True, False),
        ("folder", False, False),
        ("folder", True, False),
        ("v2", False, False),
        ("v3", False, False),
        ("v2", True, True),
        ("v3", True, True),
    ],
)
def test_only_a_zarr_group_is_replaced_and_only_if_asked(
    tmp_path, what, overwrite, replaced
):
    path = tmp_path / "a.zarr"
    make_something(path, what)
    if not replaced:
        with pytest.raises(StoreExists, match=r"a\.zarr.*already exists"):
            LocalStore(path, overwrite)
        with pytest.raises(FileExistsError):
            LocalStore(path, overwrite)
        assert path.is_file() or (path / "0" / "precious").exists()
    else:
        store = LocalStore(path, overwrite)
        store.write_json("new.json", {})
        assert (path / "0" / "precious").exists(), "the old one stays until publish"
        store.publish()
        assert [p.name for p in path.iterdir()] == ["new.json"]
        store.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_the_old_store_comes_back_if_the_new_one_cannot_take_its_place(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.zarr"
    make_something(path, "v3")
    store = LocalStore(path, overwrite=True)
    rename = system.rename
    unpublished = store._root

    def failing_rename(source, target):
        if source == unpublished:
            raise OSError(errno.EIO, "Input/output error")
        return rename(source, target)

    monkeypatch.setattr(system, "rename", failing_rename)
    with pytest.raises(WriteFailed, match=r"a\.zarr"):
        store.publish()
    store.discard()
    assert (path / "0" / "precious").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_an_old_store_that_cannot_be_deleted_stops_nobody(tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    make_something(path, "v3")
    store = LocalStore(path, overwrite=True)
    store.write_json("new.json", {})

    def fail(_folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(system, "remove_tree", fail)
    words = r"a\.zarr was replaced.*Permission denied.*\.a\.zarr\..*\.replaced"
    with pytest.warns(UserWarning, match=words):
        store.publish()
    store.write("0/1", b"abc")
    store.close()
    assert sorted(p.name for p in path.iterdir()) == ["0", "new.json"]
    (left,) = (p for p in tmp_path.iterdir() if p != path)
    assert (left / "0" / "precious").exists()


def test_a_recording_goes_on_where_the_old_store_cannot_be_deleted(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.zarr"
    make_something(path, "v3")
    properties = StorageProperties(path, overwrite=True)

    def fail(_folder):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))

    monkeypatch.setattr(system, "remove_tree", fail)
    with pytest.warns(UserWarning, match="was replaced, but the old store"):
        stream = ZarrStream(properties, axes="tyx", shape=(None, 8, 8), dtype="u1")
    stream.append(np.ones((3, 8, 8), "u1"))
    stream.close()
    assert stream.status().frames_committed == 3


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_came_meanwhile_is_not_replaced(tmp_path, overwrite):
    path = tmp_path / "a.zarr"
    store = LocalStore(path, overwrite)
    make_something(path, "folder")
    with pytest.raises(StoreExists):
        store.publish()
    assert (path / "0" / "precious").exists()


@needs_links
def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path):
    target = tmp_path / "disk" / "b.zarr"
    target.parent.mkdir()
    make_something(target, "v3")
    link = tmp_path / "a.zarr"
    link.symlink_to(target, target_is_directory=True)
    store = LocalStore(link, overwrite=True)
    store.write_json("new.json", {})
    store.publish()
    assert link.is_symlink()
    assert [p.name for p in target.iterdir()] == ["new.json"]


@needs_links
def test_a_link_to_nowhere_is_not_replaced(tmp_path):
    link = tmp_path / "a.zarr"
    link.symlink_to(tmp_path / "unplugged")
    with pytest.raises(StoreExists):
        LocalStore(link, overwrite=True)


# failures say where, and what to do


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "read-only"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_failure_names_the_path_and_keeps_its_number(
    tmp_path, monkeypatch, number, words
):
    store = LocalStore(tmp_path / "a.zarr", overwrite=False)
    store.publish()

    def fail(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(system, "replace", fail)
    with pytest.raises(WriteFailed, match=words) as caught:
        store.write_json("0/zarr.json", {})
    place = tmp_path / "a.zarr" / "0" / "zarr.json"
    assert str(place) in str(caught.value)
    assert caught.value.errno == number
    assert caught.value.filename == str(place)
    assert list(place.parent.iterdir()) == [], "no half document is left"


def refused(number):
    """As Windows refuses what somebody has open."""
    error = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    error.winerror = number
    return error


@pytest.fixture
def pauses(monkeypatch):
    made = []
    monkeypatch.setattr(system.time, "sleep", made.append)
    return made


@pytest.mark.parametrize("number", [5, 32, 33])
@pytest.mark.parametrize("call", ["replace", "rename", "unlink", "open"])
def test_what_somebody_has_open_for_a_moment_is_waited_for(
    tmp_path, monkeypatch, pauses, call, number
):
    if call == "open" and system.IS_WINDOWS:
        pytest.skip("Windows opens files in another way")
    real, left = getattr(os, call), [3]

    def refuse(*arguments):
        if left[0]:
            left[0] -= 1
            raise refused(number)
        return real(*arguments)

    path = tmp_path / "a.zarr"
    store = LocalStore(path, overwrite=False)
    store.write_json("zarr.json", {"a": 1})
    monkeypatch.setattr(os, call, refuse)
    store.publish()
    store.write_json("zarr.json", {"a": 2})
    assert read_json(path / "zarr.json") == {"a": 2}
    store.close()
    assert left == [0]
    assert len(pauses) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


@pytest.mark.parametrize("number", [5, 32, 33])
def test_what_somebody_keeps_open_is_said_in_its_own_words(
    tmp_path, monkeypatch, pauses, number
):
    path = tmp_path / "a.zarr"
    store = LocalStore(path, overwrite=False)
    store.write_json("zarr.json", {"a": 1})
    store.publish()

    def refuse(*_arguments):
        raise refused(number)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(WriteFailed, match=r"zarr\.json .*another program has it open"):
        store.write_json("zarr.json", {"a": 2})
    assert 0.5 < sum(pauses) < 1.5
    assert read_json(path / "zarr.json") == {"a": 1}
    assert [p.name for p in path.iterdir()] == ["zarr.json"]


def test_other_failures_are_not_waited_for(tmp_path, monkeypatch, pauses):
    store = LocalStore(tmp_path / "a.zarr", overwrite=False)

    def fail(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(WriteFailed, match="disk is full"):
        store.write_json("zarr.json", {})
    assert pauses == []


def test_a_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteFailed, match=r"a\.zarr could not be written"):
        LocalStore(tmp_path / "file" / "a.zarr", overwrite=False)


def test_a_name_too_long(tmp_path):
    with pytest.raises(WriteFailed, match="name is too long"):
        LocalStore(tmp_path / ("a" * 300), overwrite=False).publish()


def test_the_longest_name_that_a_disk_takes(tmp_path):
    if system.LONGEST_PATH < 300:
        pytest.skip("programs open no path of that length here")
    path = tmp_path / ("Zellwände" * 25)  # 250 bytes
    LocalStore(path, overwrite=False).publish()
    assert path.is_dir()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0,
    reason="root may write anywhere, as may everybody in Wine",
)
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(WriteFailed, match="permission denied"):
            LocalStore(tmp_path / "a.zarr", overwrite=False)
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_the_folder_is_moved_away_while_written(tmp_path):
    store = LocalStore(tmp_path / "a.zarr", overwrite=False)
    store.write("0/0", b"a")
    store.publish()
    store.write("0/1", b"a")
    (tmp_path / "a.zarr").rename(tmp_path / "b.zarr")
    with pytest.raises(WriteFailed, match="folder is gone"):
        store.write("0/2", b"a")


@pytest.mark.skipif(not hasattr(os, "pwritev"), reason="Windows has no `pwritev`")
def test_a_disk_that_takes_nothing_is_not_asked_for_ever(tmp_path, monkeypatch):
    store = LocalStore(tmp_path / "a.zarr", overwrite=False)
    file = store.create_file("0/0", keep_open=True)
    monkeypatch.setattr(os, "pwritev", lambda *_: 0)
    with pytest.raises(WriteFailed, match=r"0[/\\]0 could not be written"):
        file.write_at(0, b"abc")
    file.close()
    store.discard()


def test_a_disk_that_cannot_be_looked_into(tmp_path, monkeypatch):
    (tmp_path / "a.zarr" / "0").mkdir(parents=True)

    def fail(_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "is_file", fail)
    with pytest.raises(WriteFailed, match=r"a\.zarr could not be written: Input/outp"):
        LocalStore(tmp_path / "a.zarr", overwrite=True)
