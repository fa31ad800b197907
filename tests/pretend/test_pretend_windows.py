"""What is said of Windows is so under `pretend_windows`: each refusal by its number."""

import getpass
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pretend_kernel
import pytest
from pretend_windows import PREFIX

from napari_zarr_stream._writer import system

DEEP = "/".join(["a" * 60] * 4)


def held(path, then):
    """Do something while another thread has a file open."""
    is_open, may_close = threading.Event(), threading.Event()

    def hold():
        with path.open("rb"):
            is_open.set()
            may_close.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_open.wait()
    try:
        then()
    finally:
        may_close.set()
        thread.join()


REFUSED = {
    "replace what is open": (lambda f: os.replace(f / "b", f / "a"), 5),
    "replace by what is open": (lambda f: os.replace(f / "a", f / "b"), 5),
    "rename": (lambda f: os.rename(f / "a", f / "c"), 5),
    "rename its folder": (lambda f: os.rename(f, f.with_name("moved")), 5),
    "delete": (lambda f: os.unlink(f / "a"), 32),
    "delete by pathlib": (lambda f: (f / "a").unlink(), 32),
    "delete its folder": (lambda f: shutil.rmtree(f), 32),
}


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_open_stays(tmp_path, call):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
    refused, number = REFUSED[call]

    def refuse():
        with pytest.raises(PermissionError) as caught:
            refused(folder)
        assert caught.value.winerror == number

    held(folder / "a", refuse)
    assert (folder / "a").read_text() == "a"
    refused(folder)  # nobody has it open any more


MAKERS = {"folder": Path.mkdir, "pathlib": Path.touch, "system": system.create}

NAMES = {
    "con": 123, "CON": 123, "aux.1": 123, "nul.zarr": 123, "com1": 123, "lpt9.txt": 123,
    "dot.": 123, "space ": 123, "a:b": 123, "what?": 123, "a*": 123, "a|b": 123,
    "console": 0, "com10": 0, "aux1": 0, ".hidden": 0, "a.b": 0, "Zellwände µm": 0,
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_names_that_windows_keeps_for_itself(tmp_path, name, make):
    if not NAMES[name]:
        done = make(tmp_path / name)
        if done is not None:
            system.close(done)
        return
    with pytest.raises(OSError, match=r"123|error 123"):
        make(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_name_counts_in_any_case(tmp_path):
    (tmp_path / "Cells.zarr").mkdir()
    (tmp_path / "Cells.zarr" / "A").write_text("a")
    assert (tmp_path / "cells.ZARR" / "a").read_text() == "a"
    assert (tmp_path / "cells.zarr").is_dir()
    with pytest.raises(FileExistsError):
        (tmp_path / "cells.zarr").mkdir()
    os.rename(tmp_path / "Cells.zarr", tmp_path / "cells.zarr")
    assert [path.name for path in tmp_path.iterdir()] == ["cells.zarr"]


def test_long_paths_are_found_in_their_own_form_only(tmp_path):
    deep = tmp_path / DEEP / "b.txt"
    with pytest.raises(FileNotFoundError):
        deep.parent.mkdir(parents=True)
    Path(f"{PREFIX}{deep.parent}").mkdir(parents=True)
    with open(f"{PREFIX}{deep}", "w") as file:
        file.write("b")
    with pytest.raises(FileNotFoundError) as caught:
        deep.open()
    assert caught.value.winerror is None, "open goes through the C runtime"
    assert [entry.name for entry in system.entries(deep.parent)] == ["b.txt"]
    assert system.read_file(deep, 10) == b"b"
    system.remove_tree(tmp_path / ("a" * 60))


@pytest.mark.parametrize("name", ["pread", "pwrite", "pwritev", "preadv", "SEEK_HOLE"])
def test_what_windows_lacks_is_not_there(name):
    assert not hasattr(os, name)


def test_what_is_lengthened_by_the_c_runtime_is_zeros(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        os.ftruncate(file.fileno(), 2**20)
        assert os.fstat(file.fileno()).st_blocks >= 2**11


@pytest.mark.parametrize(("sparse", "zeros"), [(True, 0), (False, 2**20)])
def test_ntfs_fills_what_was_jumped_over(tmp_path, sparse, zeros):
    before = pretend_kernel.written["zeros"]
    with system.closing(system.create(tmp_path / "a")) as descriptor:
        if sparse:
            assert system.allow_holes(descriptor)
        system.set_size(descriptor, 2**20)
        assert pretend_kernel.written["zeros"] == before, "the end alone costs nothing"
        system.write_at(descriptor, 2**20, (b"end",))
        assert system.read_at(descriptor, 10, 2**20 - 2) == b"\0\0end"
    assert pretend_kernel.written["zeros"] - before == zeros


def test_a_disk_without_holes_is_found_by_trying(tmp_path, monkeypatch):
    assert system.has_holes(tmp_path)
    monkeypatch.setattr(pretend_kernel, "has_holes", False)
    assert not system.has_holes(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_earlier_runs_left_is_deleted_as_linux_does_it(tmp_path):
    runs = tmp_path / f"pytest-of-{getpass.getuser()}"
    for number in range(5):
        (runs / f"pytest-{number}").mkdir(parents=True)
    runs.chmod(0o700)
    os.makedirs(f"{PREFIX}{runs / 'pytest-0' / DEEP}")
    (tmp_path / "test_it.py").write_text("def test_it(tmp_path):\n    pass\n")
    surroundings = {
        "PYTEST_DEBUG_TEMPROOT": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTHONPATH": os.path.dirname(pretend_kernel.__file__),
    }
    command = [sys.executable, "-m", "pytest", "-p", "pretend_windows", "-W", "error"]
    ended = subprocess.run(
        [*command, "--rootdir", tmp_path, tmp_path],
        env=os.environ | surroundings,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not (runs / "pytest-0").exists()
