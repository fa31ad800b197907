"""The computer does not go to sleep while something is recorded: asked of each system.

What a system offers ends with this process, however that ends. Where none can be asked
a recording goes on all the same, and one line of the log says so.
"""

import contextlib
import ctypes
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

WHY = "Images are being recorded"

_LOOK_S = 0.5
"""How soon it is known that a program does not hold sleep off."""

_lock = threading.Lock()
_count = 0  # of recordings; guarded by _lock
_over = threading.Event()  # of the thread that holds sleep off; guarded by _lock
_has_failed = False  # said once: what cannot be asked now cannot be asked later


@contextlib.contextmanager
def kept_awake() -> Iterator[None]:
    """Hold sleep off; several may do so at once. Waits for nothing."""
    global _count, _over
    with _lock:
        _count += 1
        if _count == 1 and not _has_failed:
            _over = threading.Event()
            holder = threading.Thread(
                target=_hold, args=(_over,), name="awake", daemon=True
            )
            try:
                holder.start()
            except RuntimeError as error:
                _tell([str(error)])
    try:
        yield
    finally:
        with _lock:
            _count -= 1
            if not _count:
                _over.set()


def _hold(over: threading.Event) -> None:
    """Hold sleep off until it is over. Thread "awake"."""
    global _has_failed
    problems = _ask(over)
    if problems and not over.is_set():
        _has_failed = True
        _tell(problems)


def _tell(problems: Sequence[str]) -> None:
    logging.getLogger(__name__).warning(
        "the computer may go to sleep during a recording: %s", "; ".join(problems)
    )


if sys.platform == "win32":
    _CONTINUOUS, _SYSTEM_REQUIRED = 0x80000000, 0x1

    def _ask(over: threading.Event) -> list[str]:
        """Have Windows know that it is needed, as long as this thread does not end."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.SetThreadExecutionState.argtypes = [ctypes.c_uint32]
        if not kernel.SetThreadExecutionState(_CONTINUOUS | _SYSTEM_REQUIRED):
            return [f"SetThreadExecutionState: error {ctypes.get_last_error()}"]
        over.wait()
        kernel.SetThreadExecutionState(_CONTINUOUS)
        return []

else:
    _SYSTEMD = Path("/run/systemd/system")  # there where it runs: sd_booted(3)

    def _ask(over: threading.Event) -> list[str]:
        """Have the first program that can hold sleep off; returns why none can."""
        problems = []
        for command in _commands():
            try:
                # A session of its own: Ctrl-C is for this process, which may go on.
                process = subprocess.Popen(
                    command, start_new_session=True, stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                )  # fmt: skip
            except OSError as error:
                problems.append(f"{command[0]}: {error.strerror}")
                continue
            with process:
                assert process.stdin is not None
                assert process.stderr is not None
                while not over.wait(_LOOK_S) and process.poll() is None:
                    pass
                if over.is_set():
                    return []
                said = process.stderr.read().decode(errors="replace").split()
                problems.append(f"{command[0]}: {' '.join(said) or process.returncode}")
        return problems

    def _commands() -> list[list[str]]:
        """Programs that hold sleep off until their input ends, the best one first.

        None where neither systemd nor a desktop is there to have it sleep.
        """
        if sys.platform == "darwin":
            return [["caffeinate", "-ims", "cat"]]
        me = "napari-zarr-stream"
        systemd = ["systemd-inhibit", "--what=sleep:idle", f"--who={me}"]
        gnome = ["gnome-session-inhibit", "--inhibit=suspend:idle", "--app-id", me]
        commands = []
        if _SYSTEMD.is_dir():
            commands.append([*systemd, f"--why={WHY}", "cat"])
        if "DBUS_SESSION_BUS_ADDRESS" in os.environ:
            commands.append([*gnome, "--reason", WHY, "cat"])
        return commands
