"""What a killed writer left on the way to something else, in a store and beside it."""

import re
from collections.abc import Iterator
from pathlib import Path

from napari_zarr_stream._writer.system import PARTIAL

DOCUMENTS = frozenset({"zarr.json", ".zarray", ".zattrs", ".zgroup"})


def leftovers(path: Path) -> Iterator[Path]:
    """Folders beside a store that a writer made on the way to it."""
    # Of longer names only the beginning is used: another store may have it as well.
    if len(path.name) > 40 or not path.parent.is_dir():
        return
    ours = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}(\.replaced)?")
    for beside in sorted(path.parent.iterdir()):
        if ours.fullmatch(beside.name) and beside.is_dir() and not beside.is_symlink():
            yield beside


def holds_only_documents(folder: Path) -> bool:
    """Whether a folder holds no pixels, nor anything else that is not ours."""
    for path in folder.rglob("*"):
        name = PARTIAL.sub(r"\g<name>", path.name)
        if path.is_symlink() or not (path.is_dir() or name in DOCUMENTS):
            return False
    return True


def is_on_its_way(path: Path) -> bool:
    """Whether it was to take the place of a file of ours, or of a folder of chunks."""
    match = PARTIAL.fullmatch(path.name)
    name = match["name"] if match else ""
    if path.is_symlink() or not path.is_dir():
        return path.is_file() and (name in DOCUMENTS or name.isdecimal())
    return name.isdecimal() and all(
        within.name.isdecimal() and not within.is_symlink()
        for within in path.rglob("*")
    )
