"""Which computer this is, and since which start of it: host names do not tell.

That of a laptop changes with the network, and two computers may have the same.
"""

import contextlib
import ctypes
import re
import socket
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

CLOCK_S = 5.0
"""Start times of one process, or one computer, may differ by this: they are counted
from the time of boot, which is corrected with the clock."""


@dataclass(frozen=True, slots=True)
class Computer:
    """A computer as a process on it knows it; "" stands for what is not known.

    Attributes
    ----------
    host : str
    machine : str
        Made when the system was installed; the same in copies of an image.
    boot : str
        Another after each start.
    booted : float
        When it was started, seconds since 1970.
    processes : str
        Where numbers of processes count: containers have their own.
    addresses : tuple of str
        That makers gave to network cards, which may be in a dock.
    """

    host: str
    machine: str = ""
    boot: str = ""
    booted: float = 0.0
    processes: str = ""
    addresses: tuple[str, ...] = ()

    @classmethod
    def mine(cls) -> Self:
        """The one that this runs on."""
        return cls(
            socket.gethostname(),
            *_machine_and_boot(),
            psutil.boot_time(),
            _namespace(),
            _addresses(),
        )

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """From a document; earlier versions said the host name only.

        Raises
        ------
        ValueError, KeyError, TypeError
            It was not written by this class.
        """
        return cls(
            str(said["host"]),
            str(said.get("machine", "")),
            str(said.get("boot", "")),
            float(said.get("booted", 0.0)),
            str(said.get("processes", "")),
            tuple(map(str, said.get("addresses", ()))),
        )

    def shows_processes_of(self, other: Self) -> bool:
        """Whether a process of `other` that is alive can be seen here."""
        if self._is_same_start_as(other):
            return self.processes == other.processes
        return not (self.boot and other.boot) and self._has_name_of(other)

    def is_restart_of(self, other: Self) -> bool:
        """Whether this is surely `other` after a restart: its processes are gone."""
        if not (self.boot and other.boot) or self.boot == other.boot:
            return False
        if self._has_name_of(other):
            return True
        # Not by one of both alone: images are copied, and docks are shared.
        return bool(
            self.machine
            and self.machine == other.machine
            and set(self.addresses) & set(other.addresses)
        )

    def _is_same_start_as(self, other: Self) -> bool:
        if self.boot and other.boot:
            return self.boot == other.boot
        # After a power cut many computers start together.
        return abs(self.booted - other.booted) < CLOCK_S and bool(
            set(self.addresses) & set(other.addresses)
        )

    def _has_name_of(self, other: Self) -> bool:
        known = self.machine and other.machine
        return self.host == other.host and not (known and self.machine != other.machine)


def _machine_and_boot() -> tuple[str, str]:
    if sys.platform == "darwin":
        return machine_and_boot_of_macos(ctypes.CDLL(None))
    if sys.platform == "win32":
        return _machine_of_windows(), ""
    boot = "/proc/sys/kernel/random/boot_id"
    return _said_by("/etc/machine-id"), _said_by(boot)


def machine_and_boot_of_macos(libc: Any) -> tuple[str, str]:
    """What macOS' C library says: gethostuuid(2), and sysctl(3) of the boot session."""
    machine = ctypes.create_string_buffer(16)
    patience = (ctypes.c_long * 2)(1, 0)  # struct timespec: a second
    if libc.gethostuuid(machine, patience):
        machine.raw = bytes(16)
    boot = ctypes.create_string_buffer(64)
    room = ctypes.byref(ctypes.c_size_t(len(boot)))
    name, nothing = b"kern.bootsessionuuid", ctypes.c_size_t(0)
    if libc.sysctlbyname(name, boot, room, None, nothing):
        boot.value = b""
    known = any(machine.raw)
    return str(uuid.UUID(bytes=machine.raw)) if known else "", boot.value.decode()


def _machine_of_windows() -> str:
    if sys.platform == "win32":
        import winreg

        place = winreg.HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Cryptography", 0
        rights = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with contextlib.suppress(OSError), winreg.OpenKey(*place, rights) as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    return ""


def _said_by(file: str) -> str:
    """What Linux says in a file."""
    try:
        return Path(file).read_text("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _addresses() -> tuple[str, ...]:
    """Of network cards, as their makers gave them."""
    found = set()
    for cards in psutil.net_if_addrs().values():
        for card in cards:
            text = card.address.replace("-", ":").lower()
            if card.family == psutil.AF_LINK and re.fullmatch("(..:){5}..", text):
                number = int(text.replace(":", ""), 16)
                # This bit says that a system made it up: virtual and private ones.
                if number and not number >> 40 & 2:
                    found.add(text)
    return tuple(sorted(found))
