"""A name for the next recording that nothing has yet."""

from itertools import count
from pathlib import Path

STEM = "recording"


def free_path(chosen: Path) -> Path:
    """The store to be made for what the user chose.

    A name that ends in `.zarr` is taken as it is while nothing is there, and counted up
    otherwise: `cells.zarr`, `cells_0002.zarr`. Anything else is a folder, in which
    recordings are counted from `recording_0001.zarr`.
    """
    chosen = chosen.expanduser().absolute()
    if chosen.suffix == ".zarr":
        if not chosen.exists():
            return chosen
        ending = ".ome.zarr" if chosen.name.endswith(".ome.zarr") else ".zarr"
        folder, stem, first = chosen.parent, chosen.name.removesuffix(ending), 2
    else:
        folder, stem, first, ending = chosen, STEM, 1, ".zarr"
    names = (folder / f"{stem}_{number:04}{ending}" for number in count(first))
    return next(path for path in names if not path.exists())
