"""What some tests need that not every system has; each mark says who lacks it."""

import os
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from napari_zarr_stream._writer import system


def _makes_links():
    with tempfile.TemporaryDirectory() as folder:
        try:
            Path(folder, "link").symlink_to(folder)
        except OSError:
            return False
        return Path(folder, "link").is_symlink()


def _forgets_names():
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        with system.closing(system.create(path)):
            try:
                path.unlink()
            except OSError:
                return False
            return not path.exists()


needs_links = pytest.mark.skipif(
    not _makes_links(), reason="Wine makes no symbolic links; Windows, if it is allowed"
)
needs_pipes = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="Windows has no pipes in folders"
)
needs_signals = pytest.mark.skipif(
    not hasattr(signal, "SIGKILL"), reason="Windows sends no signals to other programs"
)
needs_zombies = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows keeps no process that has ended"
)
needs_leases = pytest.mark.skipif(
    sys.platform != "linux",
    reason="without leases, which Linux has, a shard may end elsewhere when it is read",
)
needs_renames = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows renames no folder where something is open"
)
needs_proc = pytest.mark.skipif(  # which Wine shows, of other processes
    sys.platform != "linux", reason="only Linux lists in /proc what a program has open"
)
needs_deleting = pytest.mark.skipif(
    not _forgets_names(),
    reason="Wine keeps the name of what was deleted until nobody has it open",
)
needs_exchange = pytest.mark.skipif(
    sys.platform != "linux",
    reason="without an exchange of names, which Linux has, one is away for a moment",
)


def skip_unless_resolved(*paths):
    """Skip a test whose paths Wine 8 does not resolve, of 250 characters or so."""
    for path in paths:
        try:
            path.resolve(strict=True)
        except OSError as error:
            if getattr(error, "winerror", None) == 234:  # more data available
                pytest.skip("Wine does not resolve paths that are as long")
