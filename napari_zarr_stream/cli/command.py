"""What a command is: what it takes, and the line that says why it failed."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import from_home, split_scheme


class Command(NamedTuple):
    """A command by its name; `run` returns its exit code."""

    name: str
    help: str
    description: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def local_path(text: str) -> Path:
    """A path as it was typed, if it is one.

    Raises
    ------
    InvalidProperties
        An address.
    """
    scheme, path = split_scheme(text)
    if scheme:
        raise InvalidProperties(
            f"{text} is an address ({scheme}): only files and folders of this computer "
            "can be opened; download it, or mount the storage as a folder"
        )
    return Path(from_home(path))


def local_store(text: str) -> Path:
    """The folder of a store, as it was typed.

    Raises
    ------
    InvalidProperties
        An address, or a store in one file.
    """
    path = local_path(text)
    if path.is_file():
        raise InvalidProperties(
            f"{text} is a file, and not the folder of a store: what is in one file "
            "(.ozx, .zip) is copied as it is, and made anew from its store"
        )
    return path


def say(text: str) -> None:
    """One line on stderr, whatever a library put into its message."""
    print("napari-zarr-stream:", *plain(text).split(), file=sys.stderr)


def plain(text: str) -> str:
    """Without what steers a terminal or cannot be printed: names may be anything."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
