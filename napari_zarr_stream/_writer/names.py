"""What an image is called after its path, and a folder after an image.

What stands behind other dots belongs to the name: dates and concentrations have them.
"""

import os
import re
import unicodedata
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote

from . import system

_ENDING = re.compile(
    r"(\.ome)?\.(zarr(\.zip)?|ozx|tiff?)|\.(btf|bmp|czi|gif|ims|jpe?g|lif|lsm|mrc|nd2|npy|png|stk)",
    re.IGNORECASE,
)

_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[\d¹²³]) *([.:].*)?", re.IGNORECASE
)
"""Of Windows, also with an ending."""

_FILE = re.compile(r"file:(?://(?P<host>[^/\\]*))?(?P<path>[/\\].*)?", re.IGNORECASE)
"""RFC 8089: a file of this computer, or of another one that is named."""

MAX_BYTES = 200
"""Of a folder's name: systems have 255, and a number may be added."""


def split_ending(path: str | os.PathLike[str]) -> tuple[str, str]:
    """The last part of a path, cut before the ending of a store or an image file.

    >>> split_ending("data/26.11.2026 HeLa 1.5 mM.ome.zarr/")
    ('26.11.2026 HeLa 1.5 mM', '.ome.zarr')
    """
    # Not `os.path.abspath`: on Windows it makes of "con" the device, which has no name.
    name = os.path.basename(os.path.normpath(Path(path).absolute()))
    for dot in (found.start() for found in re.finditer(r"\.", name)):
        if dot and _ENDING.fullmatch(name, dot):
            return name[:dot], name[dot:]
    return name, ""


def image_name(path: str | os.PathLike[str]) -> str:
    """What the image at `path` is called where nothing else says it.

    >>> image_name("26.11.2026 HeLa 1.5 mM.zarr")
    '26.11.2026 HeLa 1.5 mM'
    """
    return split_ending(path)[0]


def folder_name(name: str, taken: Iterable[str] = ()) -> str:
    """A folder's name for an image: one that all systems can have, and that is free.

    Windows has no folders named as its devices, or with a dot or space at the end;
    it and macOS take "Cells" and "cells" for the same one.

    >>> folder_name("Cells", ["cells"]), folder_name("con"), folder_name("a/b. ")
    ('Cells_2', '_con', 'a_b')
    """
    normal = unicodedata.normalize("NFC", name)
    safe = "".join(c if c.isalnum() or c in " -_.()" else "_" for c in normal)
    safe = safe.encode()[:MAX_BYTES].decode(errors="ignore").strip(" .") or "labels"
    # The document of the folder that it lies in is called so.
    if _DEVICE.fullmatch(safe) or safe.lower() == "zarr.json":
        safe = f"_{safe}"
    others = {_folded(other) for other in taken}
    numbered = (f"{safe}_{number}" for number in count(2))
    return next(each for each in chain([safe], numbered) if _folded(each) not in others)


def _folded(name: str) -> str:
    """The same for names that some system takes for the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def refused_by_windows(path: str) -> str:
    """What Windows has against a path, in words; "" where it takes it.

    >>> refused_by_windows("D:/data/aux.zarr")
    "Windows keeps the name 'aux.zarr' for a device"
    """
    pure = PureWindowsPath(path)
    if pure.drive and not pure.root:
        return f"{pure.drive} is a drive, and no folder on it is named"
    for name in pure.parts[1:] if pure.anchor else pure.parts:
        if _DEVICE.fullmatch(name):
            return f"Windows keeps the name {name!r} for a device"
        if name not in {".", ".."} and name != name.rstrip(" ."):
            return f"Windows has no name that ends in a dot or a space: {name!r}"
        if odd := sorted({c for c in name if c in '<>:"|?*' or c < " "}):
            return f"Windows has no name with {' '.join(map(ascii, odd))}: {name!r}"
    return ""


def split_scheme(text: str) -> tuple[str, str]:
    """The scheme of an address, and the path: of this computer where there is none.

    >>> split_scheme("s3://bucket/cells.zarr")
    ('s3', 's3://bucket/cells.zarr')
    >>> split_scheme("file:///data/my%20cells.zarr")
    ('', '/data/my cells.zarr')
    >>> split_scheme("C:/data/cells.zarr")
    ('', 'C:/data/cells.zarr')
    """
    if file := _FILE.fullmatch(text):
        here = _path_of(file["host"] or "", unquote(file["path"] or ""))
        return ("", here) if here else ("file", text)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    return (scheme[1], text) if scheme else ("", text)


def _path_of(host: str, path: str) -> str:
    """What "file://host/path" is here; "" where another computer has it.

    Drives and shares are Windows' own; elsewhere they would be odd names.
    """
    drive = re.match(r"([A-Za-z])[:|]$", host) or re.match(
        r"[/\\]([A-Za-z])[:|](?=[/\\]|$)", path
    )
    if drive:
        rest = path if drive.string is host else path[drive.end() :]
        return f"{drive[1]}:{rest or '/'}" if system.IS_WINDOWS else ""
    if host.lower() in {"", "localhost"}:
        return path
    return f"//{host}{path}" if system.IS_WINDOWS else ""


def from_home(path: str) -> str:
    """A path with "~/" at its beginning as one in the user's folder.

    Others stay as they are, also a name that merely begins so: "~cells.zarr".
    """
    if not re.match(r"~(/|\\|$)", path):
        return path
    return str(Path.home() / path[2:])


def is_store_name(path: str | os.PathLike[str]) -> bool:
    """Whether a path ends as that of a store does: in ".zarr", in any letters' case."""
    return split_ending(path)[1].lower().endswith(".zarr")
