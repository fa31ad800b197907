"""Ctrl-C at any moment of the program: 130, and not a word of Python's."""

import pytest
from programs import run_python
from tables import long_but

PRESSED = """
    import atexit, signal, sys

    def press():
        signal.raise_signal(signal.SIGINT)

    class Pressed:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == when:
                press()

    when = sys.argv[1]
    if sys.argv[2] == "ignored":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.argv[1:] = sys.argv[3:]
    from napari_zarr_stream.cli import main
    sys.meta_path.insert(0, Pressed)
    if when == "the end":
        atexit.register(press)
    sys.exit(main())
"""

# When it is pressed: as one of these is imported, first and last of what takes time,
# by the program or by a command that runs; or when all is done.
MOMENTS = [
    "napari_zarr_stream.cli.commands",
    "argparse",
    "numpy",
    "zarr",
    "zarr.core.array",
    "napari_zarr_stream.cli.upload",
    "importlib.metadata",
    "tifffile",
    "the end",
]


@pytest.mark.parametrize(
    "moment",
    long_but(MOMENTS, "napari_zarr_stream.cli.commands", "zarr", "the end"),
)
def test_an_interrupt_is_quiet_at_any_moment(moment, tmp_path):
    (tmp_path / "cells.tif").write_bytes(b"")
    command = ["export", tmp_path / "cells.tif", tmp_path / "out.zarr"]
    if moment == "the end":
        command = ["--version"]
    done = run_python(PRESSED, moment, "heard", *command, code=130)
    assert done.stderr == ""
    assert not (tmp_path / "out.zarr").exists()


def test_who_ignores_it_goes_on():
    """As what a script has run in the background, with `&`."""
    done = run_python(PRESSED, "argparse", "ignored", "--version")
    assert done.stdout.startswith("napari-zarr-stream ")
