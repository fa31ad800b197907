"""The computer does not go to sleep: held by programs that take a real lock, a file."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from waiting import PATIENCE_S, wait_until

from napari_zarr_stream import StorageProperties
from napari_zarr_stream._recording import awake
from napari_zarr_stream._recording.awake import kept_awake
from napari_zarr_stream._recording.recording import Recording
from napari_zarr_stream._sources.camera import CameraSource
from napari_zarr_stream.cameras import SimulatedCamera

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the programs are those of Linux"
)

HOLDS = """#!/bin/sh
for last; do :; done
echo "$0 $*" >> "$LOCK"
"$last"
rm "$LOCK"
"""
REFUSES = """#!/bin/sh
echo "Failed to inhibit: no such bus" >&2
exit 1
"""
SYSTEMD, GNOME = "systemd-inhibit", "gnome-session-inhibit"


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """Where the programs of `has` take their lock; they are the only ones."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setenv("LOCK", str(tmp_path / "lock"))
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    monkeypatch.setattr(awake, "_SYSTEMD", tmp_path)
    monkeypatch.setattr(awake, "_LOOK_S", 0.02)
    monkeypatch.setattr(awake, "_has_failed", False)
    return tmp_path / "lock"


def has(lock, **programs):
    """Programs that hold sleep off, by their names; others that there are refuse."""
    for name in (SYSTEMD, GNOME):
        program = lock.parent / "bin" / name
        program.write_text(programs.get(name.split("-")[0], REFUSES))
        program.chmod(0o755)


def held_by(lock):
    wait_until(lock.exists)
    [line] = lock.read_text().splitlines()
    return line


CASES = {"systemd": {"systemd": HOLDS}, "gnome": {"gnome": HOLDS}}


@pytest.mark.parametrize("name", CASES)
def test_sleep_is_held_off_while_something_is_recorded(tmp_path, opened, lock, name):
    has(lock, **CASES[name])
    camera = opened(SimulatedCamera)
    recording = Recording(
        CameraSource(camera, "camera"), StorageProperties(tmp_path / "a.zarr")
    )
    assert not lock.exists()
    recording.start()
    line = held_by(lock)
    assert name in line
    assert "napari-zarr-stream" in line
    assert "sleep" in line or "suspend" in line
    assert awake.WHY in line
    recording.stop()
    assert recording.wait(PATIENCE_S)
    wait_until(lambda: not lock.exists())


def test_several_hold_it_off_once_and_until_the_last_has_ended(lock):
    has(lock, systemd=HOLDS)
    with kept_awake():
        held_by(lock)
        with kept_awake():
            pass
        held_by(lock)
        assert lock.exists()
    wait_until(lambda: not lock.exists())
    with kept_awake():
        held_by(lock)
    wait_until(lambda: not lock.exists())


def test_where_nobody_can_one_line_says_so(lock, caplog):
    has(lock)
    with kept_awake():
        wait_until(lambda: caplog.messages)
    with kept_awake():
        pass
    [said] = caplog.messages
    assert said == (
        "the computer may go to sleep during a recording: "
        "systemd-inhibit: Failed to inhibit: no such bus; "
        "gnome-session-inhibit: Failed to inhibit: no such bus"
    )


def test_where_nobody_has_it_sleep_nothing_is_said(lock, monkeypatch, caplog):
    """In a container, on a server."""
    has(lock)
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.setattr(awake, "_SYSTEMD", lock)
    with kept_awake():
        assert not awake._commands()
        wait_until(lambda: "awake" not in {t.name for t in threading.enumerate()})
    assert not caplog.messages


@pytest.mark.parametrize("end", ["SIGKILL", "SIGINT"])
def test_it_ends_with_the_program_and_not_with_ctrl_c(lock, end):
    has(lock, gnome=HOLDS)
    script = (
        "import signal, sys\n"
        "from napari_zarr_stream._recording.awake import kept_awake\n"
        "signal.signal(signal.SIGINT, lambda *_: print('heard', flush=True))\n"
        "with kept_awake():\n"
        "    print('began', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        assert process.stdout.readline() == "began\n"
        held_by(lock)
        os.killpg(process.pid, getattr(signal, end))  # as a terminal does
        if end == "SIGINT":
            assert process.stdout.readline() == "heard\n"
            assert lock.exists()
            process.stdin.close()
        process.wait(PATIENCE_S)
    wait_until(lambda: not lock.exists())
