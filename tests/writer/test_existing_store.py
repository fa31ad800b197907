"""A store that is repaired: files are replaced as a whole, or left as they were."""

import errno
import os

import pytest
from disks import open_files
from needs import needs_proc

from napari_zarr_stream import StoreInUse, WriteFailed
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.repair.existing_store import ExistingStore


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a.zarr"
    (path / "0").mkdir(parents=True)
    (path / "0" / "0").write_bytes(b"old")
    return ExistingStore(path)


def failing(*_args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_whole(store):
    store.write("0/0", b"new")


def write_in_pieces(store):
    file = store.create_file("0/0", keep_open=True)
    file.write_at(0, b"new")
    file.close()


def write_and_forget(store):
    store.create_file("0/0", keep_open=True).lengthen(10)
    store.create_file("0/1", keep_open=True)
    raise WriteFailed("something else failed")


def copy(store):
    with store.copy("0/0") as file:
        file.write_at(0, b"new")


@needs_proc
@pytest.mark.parametrize("call", ["write_at", "sync", "replace", "nothing"])
@pytest.mark.parametrize(
    "write", [write_whole, write_in_pieces, write_and_forget, copy]
)
def test_what_fails_leaves_no_descriptor_and_no_partial_file(
    store, monkeypatch, write, call
):
    root = store.root
    fails = call != "nothing" or write is write_and_forget
    with monkeypatch.context() as context:
        if call != "nothing":
            context.setattr(system, call, failing)
        if fails:
            with pytest.raises(WriteFailed):
                write(store)
        else:
            write(store)
    store.close()
    assert open_files(root.parent) == []
    assert [p.name for p in root.parent.iterdir()] == ["a.zarr"]
    assert [p.name for p in (root / "0").iterdir()] == ["0"]
    assert (root / "0" / "0").read_bytes() == (b"old" if fails else b"new")
    ExistingStore(root).close()


def test_it_is_taken_until_it_is_closed(store):
    with pytest.raises(StoreInUse):
        ExistingStore(store.root)
    store.close()
    store.close()
    ExistingStore(store.root).close()
