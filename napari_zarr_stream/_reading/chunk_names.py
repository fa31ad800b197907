"""How the chunks of an array are named: some writers do not do as its metadata say."""

import re
from collections.abc import Mapping
from typing import Any

from .documents import mapping
from .location import Location, entries_of

Names = tuple[str, str]
"""What stands before the numbers of a chunk, and between them."""

NESTED: Names = "", "/"
"""As of Zarr v2 where metadata say so; and where some forgot to."""


def names_said(document: Mapping[str, Any]) -> Names:
    """How the metadata of an array say that its chunks are named."""
    if "codecs" not in document:
        return "", str(document.get("dimension_separator") or ".")
    encoding = mapping(document.get("chunk_key_encoding"))
    is_v2 = encoding.get("name") == "v2"
    separator = mapping(encoding.get("configuration")).get("separator")
    return "" if is_v2 else "c", str(separator or ("." if is_v2 else "/"))


def are_said(document: Mapping[str, Any]) -> bool:
    """Whether metadata say it at all: before 2021 those of Zarr v2 could not."""
    return "codecs" in document or document.get("dimension_separator") in (".", "/")


def names_in(path: Location) -> set[Names] | None:
    """How chunks in the folder of an array are named; None where none can be seen."""
    found: set[Names] = set()
    entries = entries_of(path)
    for entry in entries or ():
        if match := re.fullmatch(r"(c?)(\.?)\d+(\.\d+)*", entry.name):
            if "." in entry.name:
                found.add((match[1], "."))
            elif not match[1] and entry.is_folder:
                found.add(NESTED)
        elif entry.name == "c" and entry.is_folder:
            found.add(("c", "/"))
    return None if entries is None else found


def renamed(key: str, names: Names) -> str:
    """The key of a chunk as it is where chunks are named otherwise."""
    before, between = names
    numbers = re.findall(r"\d+", key)
    return between.join([*([before] if before else []), *numbers])


def others_told(where: object, names: Names) -> str:
    """What is said of chunks that are named otherwise."""
    example = renamed("0 0", names)
    return (
        f"chunks of {where} are not named as its metadata say: those named as "
        f"{example!r} are read"
    )
