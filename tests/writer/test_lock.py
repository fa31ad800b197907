"""A lock says who writes a store; that of a dead process is recognised."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict

import numpy as np
import psutil
import pytest
from needs import needs_zombies

from napari_zarr_stream import StorageProperties, StoreInUse, ZarrStream
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.computer import Computer, machine_and_boot_of_macos
from napari_zarr_stream._writer.lock import StoreLock, holder_of, lock_path


@pytest.fixture
def store(tmp_path):
    return tmp_path / "a.zarr"


def say(store, **changes):
    """Change what the lock of a store says."""
    said = json.loads(lock_path(store).read_text())
    lock_path(store).write_text(json.dumps(said | changes))


def dead_pid():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_says_who_has_the_store_and_is_gone_afterwards(store):
    lock = StoreLock(store)
    assert holder_of(store).pid == os.getpid()
    with pytest.raises(StoreInUse, match=f"process {os.getpid()} on .*delete"):
        StoreLock(store)
    lock.release()
    lock.release()
    assert holder_of(store) is None
    assert list(store.parent.iterdir()) == []
    StoreLock(store).release()


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": dead_pid()},
        {"started": psutil.Process().create_time() - 100},  # the pid was used again
    ],
)
def test_the_lock_of_a_dead_process_is_taken_over(store, changes):
    StoreLock(store)
    say(store, **changes)
    assert holder_of(store) is None
    lock = StoreLock(store)
    assert holder_of(store).pid == os.getpid()
    lock.release()
    assert list(store.parent.iterdir()) == []


CARD = "00:1b:21:aa:bb:cc"
HERE = Computer(
    "lab-3", "this", "start-2", 2e9, "pid:[1]", (CARD, "00:1b:21:dd:ee:ff")
)  # fmt: skip

COMPUTERS = {
    # what the lock says instead: of a process that is not there: is it surely dead?
    "this one": ({}, True),
    "renamed": ({"host": "dhcp-117"}, True),
    "renamed, and it says no start": (
        {"host": "dhcp-117", "boot": "", "booted": 2e9 + 1}, True,
    ),
    "started anew": ({"boot": "start-1", "booted": 1e9}, True),
    "started anew and renamed": (
        {"boot": "start-1", "booted": 1e9, "host": "dhcp-117", "addresses": (CARD,)},
        True,
    ),
    "of an earlier version": (
        {"machine": "", "boot": "", "booted": 0.0, "processes": "", "addresses": ()},
        True,
    ),
    "another, of an earlier version": (
        {"machine": "", "boot": "", "booted": 0.0, "processes": "", "addresses": (),
         "host": "lab-4"},
        False,
    ),
    "another": (
        {"host": "lab-4", "machine": "that", "boot": "x", "addresses": ()}, False,
    ),
    "another of the same name": (
        {"machine": "that", "boot": "x", "addresses": ()}, False,
    ),
    "another of the same image": (
        {"host": "lab-4", "boot": "x", "addresses": ("00:1b:21:00:00:01",)}, False,
    ),
    "another that was in the same dock": (
        {"host": "lab-4", "machine": "that", "boot": "x", "addresses": (CARD,)}, False,
    ),
    "another, started in the same second": (
        {"host": "lab-4", "machine": "", "boot": "", "booted": 2e9, "addresses": ()},
        False,
    ),
    "a container on this one": ({"host": "c0ffee", "processes": "pid:[2]"}, False),
    "a container of the same name": ({"processes": "pid:[2]"}, False),
}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTERS)
def test_whether_a_dead_process_can_be_known_to_be_dead(store, monkeypatch, name):
    changes, dead = COMPUTERS[name]
    monkeypatch.setattr(Computer, "mine", lambda: HERE)
    StoreLock(store)
    say(store, pid=dead_pid(), **changes)
    assert (holder_of(store) is None) is dead
    if dead:
        StoreLock(store).release()
        assert list(store.parent.iterdir()) == []
    else:
        with pytest.raises(
            StoreInUse, match=r"cannot be seen from here, lab-3: .* delete"
        ):
            StoreLock(store)


@pytest.mark.parametrize("changes", [{}, {"host": "dhcp-117"}])
def test_a_process_that_lives_keeps_its_store_when_the_computer_is_renamed(
    store, changes
):
    lock = StoreLock(store)
    say(store, **changes)
    assert holder_of(store).pid == os.getpid()
    with pytest.raises(StoreInUse, match="wait for its end"):
        StoreLock(store)
    assert lock_path(store).exists()
    lock.release()


def test_this_computer_knows_itself():
    mine = Computer.mine()
    assert Computer.read(json.loads(json.dumps(asdict(mine)))) == mine
    assert mine.shows_processes_of(mine)
    assert not mine.is_restart_of(mine)


class LibraryOfMacOS:
    """What its C library says, or does not."""

    def __init__(self, *, fails=False):
        self.fails = fails

    def gethostuuid(self, machine, patience):
        machine.raw = bytes(range(16))  # also of one that fails half way
        return -1 if self.fails else 0

    def sysctlbyname(self, name, value, size, new, new_size):
        assert name == b"kern.bootsessionuuid"
        value.value = b"7B3C8E04-52E7-4A86-9E1B-2D5F4C0A9A11"
        return -1 if self.fails else 0


def test_macos_knows_machine_and_start_by_more_than_a_name():
    machine, boot = machine_and_boot_of_macos(LibraryOfMacOS())
    assert machine == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert boot == "7B3C8E04-52E7-4A86-9E1B-2D5F4C0A9A11"
    assert machine_and_boot_of_macos(LibraryOfMacOS(fails=True)) == ("", "")


def test_a_process_on_another_computer_may_live(store):
    lock = StoreLock(store)
    say(store, host="microscope-2", machine="", boot="", booted=0, addresses=[], pid=1)
    assert holder_of(store).computer.host == "microscope-2"
    with pytest.raises(StoreInUse, match="microscope-2"):
        StoreLock(store)
    lock.release()
    assert lock_path(store).exists(), "it is not ours any more"


@needs_zombies
def test_a_zombie_is_dead(store):
    StoreLock(store)
    process = subprocess.Popen([sys.executable, "-c", ""])
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    say(store, pid=process.pid, started=psutil.Process(process.pid).create_time())
    assert holder_of(store) is None
    process.wait()


def test_a_lock_that_says_nothing_is_waited_for_and_then_taken(store):
    lock_path(store).write_text("")
    with pytest.raises(StoreInUse, match="just being taken"):
        StoreLock(store)
    os.utime(lock_path(store), (time.time() - 60,) * 2)
    StoreLock(store).release()


def test_stores_with_long_names_have_locks_of_their_own(tmp_path):
    names = ["a" * 100 + ending for ending in ("1.zarr", "2.zarr")]
    for lock in [StoreLock(tmp_path / name) for name in names]:
        lock.release()


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_recordings_into_one_directory(store, overwrite):
    def record():
        properties = StorageProperties(store, overwrite=overwrite)
        return ZarrStream(properties, axes="tyx", shape=(None, 8, 8), dtype="u1")

    with record() as stream:
        with pytest.raises(StoreInUse, match=f"written by process {os.getpid()}"):
            record()
        stream.append(np.ones((8, 8), "u1"))
    assert not lock_path(store).exists()
    assert stream.status().frames_committed == 1


def test_a_recording_that_is_refused_leaves_no_lock(store):
    store.write_text("a thesis")
    with pytest.raises(FileExistsError):
        ZarrStream(StorageProperties(store), axes="yx", shape=(8, 8), dtype="u1")
    assert [path.name for path in store.parent.iterdir()] == ["a.zarr"]


def test_a_lock_that_cannot_be_read_is_believed(store):
    lock_path(store).mkdir()  # as unreadable to root as another user's file to us
    os.utime(lock_path(store), (0, 0))
    with pytest.raises(StoreInUse, match=r"cannot be read .*If nobody is, delete"):
        StoreLock(store)
    assert lock_path(store).exists()


def test_a_lock_that_cannot_be_taken_away_is_heard_and_known_to_be_old(
    store, monkeypatch
):
    lock = StoreLock(store)

    def fail(*_args, **_options):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as failing:
        failing.setattr(system, "remove", fail)
        with pytest.raises(OSError, match="Input/output"):
            lock.release()
    assert lock_path(store).exists()
    assert holder_of(store) is None
    StoreLock(store).release()
    assert list(store.parent.iterdir()) == []


def test_a_lock_that_went_away_with_its_disk_is_old_when_it_comes_back(tmp_path):
    folder, unplugged = tmp_path / "disk", tmp_path / "unplugged"
    folder.mkdir()
    lock = StoreLock(folder / "a.zarr")
    folder.rename(unplugged)
    lock.release()
    unplugged.rename(folder)
    assert holder_of(folder / "a.zarr") is None
    StoreLock(folder / "a.zarr").release()
