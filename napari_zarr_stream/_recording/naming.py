"""A name for the next recording that nothing has yet."""

import datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import is_store_name, split_ending
from napari_zarr_stream._writer.refusals import MAX_NAME

from .name_template import NameTemplate

if TYPE_CHECKING:
    from collections.abc import Iterator


def store_of(path: Path) -> Path:
    """The store that an image is in, or is."""
    return path.parent if is_store_name(path.parent) else path


def free_path(chosen: Path, name: str = "") -> Path:
    """The store to be made for what the user chose.

    A name that ends in `.zarr` is taken as it is while nothing is there, and counted up
    otherwise: `cells.zarr`, `cells_0002.zarr`. Anything else is a folder, in which
    recordings are called by a `NameTemplate`.
    """
    [path] = free_paths(chosen, 1, name)
    return path


def free_paths(chosen: Path, cameras: int, name: str = "") -> list[Path]:
    """The same for several cameras at once: `cells_camera1.zarr`, `cells_camera2.zarr`.

    Their names count up together.

    Raises
    ------
    InvalidProperties
        No name there can be used: it is too long, or in a folder that is closed to you.
    """
    template = NameTemplate(name)  # a wrong one is said, also where it is not used
    chosen = chosen.expanduser().absolute()
    if is_store_name(chosen):
        folder = chosen.parent
        stem, ending = split_ending(chosen)
        stems: Iterator[str] = chain(
            [stem], (f"{stem}_{number:04}" for number in count(2))
        )
    else:
        folder, ending = chosen, template.ending
        there = _names_in(folder) if template.is_counted else []
        stems = template.stems(datetime.datetime.now().astimezone(), there)
    for stem in stems:
        names = [f"_camera{number + 1}" for number in range(cameras)]
        paths = [
            folder / f"{stem}{name}{ending}"
            for name in (names if cameras > 1 else [""])
        ]
        if not any(map(_is_taken, paths)):
            return paths
    raise AssertionError("numbers do not end")


def _names_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InvalidProperties(
            f"{error.strerror}, choose another folder: {folder}"
        ) from error


def _is_taken(path: Path) -> bool:
    if len(path.name) > MAX_NAME:  # Windows would say that there is none
        raise InvalidProperties(
            f"the name is too long, choose another name or folder: {path}"
        )
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InvalidProperties(
            f"{error.strerror}, choose another name or folder: {path}"
        ) from error
    return True
