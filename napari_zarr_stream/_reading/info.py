"""What a store holds, for people and for programs: `napari-zarr-stream info`."""

import contextlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.record import RecordKey

from .contents import series_of
from .documents import Node, open_node, understanding
from .image import WHOLE, StoredImage, open_image, state_of

Facts = dict[str, Any]

_FIRST = (
    RecordKey.START_TIME,
    RecordKey.END_TIME,
    RecordKey.FINISH_REASON,
    RecordKey.ERROR,
    RecordKey.FRAMES_ACQUIRED,
    RecordKey.FRAMES_COMMITTED,
    RecordKey.FRAMES_LOST,
)
"""What is asked most of our own record."""


def facts_of(path: Path) -> Facts:
    """All there is to say about a store, as JSON values.

    Raises
    ------
    InvalidStore
        It is no store, or is damaged.
    """
    with understanding(path):
        return _facts_of(path)


def _facts_of(path: Path) -> Facts:
    node = open_node(path)
    if node is None:
        raise InvalidStore(f"{path} is not a Zarr group or array")
    facts: Facts = {"path": str(path), "bytes_on_disk": _bytes_in(path)}
    if node.is_array:
        return facts | {"kind": "array", "levels": [_level(path, "")]}
    if "plate" in node.ome:
        plate = node.ome["plate"]
        counts = {
            key: len(plate.get(key) or []) for key in ("rows", "columns", "wells")
        }
        return facts | {"kind": "plate", **counts}
    if "well" in node.ome:
        return facts | {"kind": "well", "fields": len(node.ome["well"]["images"])}
    if "multiscales" in node.ome:
        return facts | _image_facts(open_image(node)) | _labels_facts(path)
    if "labels" in node.ome:
        return facts | {"kind": "labels", "labels": list(node.ome["labels"])}
    if "bioformats2raw.layout" in node.ome:
        return facts | {"kind": "series", "images": list(_series(node))}
    raise InvalidStore(f"{path} is a Zarr group without an OME-NGFF image")


def _bytes_in(folder: Path) -> int:
    """Of all files; links are not followed, and a store may grow meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            # Gone, or a path that is too long.
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def _series(node: Node) -> Iterator[Facts]:
    for child in series_of(node):
        try:
            if (found := open_node(child)) and "multiscales" in found.ome:
                yield {"path": str(child)} | _image_facts(open_image(found))
        except InvalidStore as error:  # which does not hide the others
            yield {"path": str(child), "kind": f"cannot be opened: {error}"}


def _labels_facts(path: Path) -> Facts:
    node = open_node(path / "labels")
    return {"labels": list(node.ome.get("labels") or [])} if node else {}


def _image_facts(image: StoredImage) -> Facts:
    array = image.levels[0]
    axes = zip(image.axes, image.scale, image.translation, image.units, strict=True)
    kind = "image" if image.label is None else "labels image"
    return {
        "kind": f"{kind}, no frames yet" if 0 in array.shape else kind,
        "ome_ngff": image.version,
        "name": image.name,
        "axes": [
            {"name": name, "size": size, "scale": scale, "start": start, "unit": unit}
            for size, (name, scale, start, unit) in zip(array.shape, axes, strict=True)
        ],
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "bytes_raw": sum(level.nbytes for level in image.levels),
        "levels": [_level(image.path, path) for path in image.level_paths],
        "channels": [
            {
                "name": channel.name,
                "color": channel.color,
                "contrast_limits": channel.contrast_limits,
            }
            for channel in image.channels
            if image.label is None
        ],
        "record": dict(image.record),
        "state": state_of(image.path, image.record),
    }


def _level(root: Path, path: str) -> Facts:
    from .zarr_array import ZarrArray

    array = ZarrArray(root / path)
    return {
        "path": path,
        "zarr_format": array.zarr_format,
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "chunks": list(array.chunks),
        "shards": list(array.shards) if array.shards else None,
        "codecs": [_codec(codec) for codec in array.codecs] or ["none"],
    }


def _codec(codec: Any) -> str:
    """A codec in a few words, whichever library it comes from."""
    name = type(codec).__name__.removesuffix("Codec").lower()
    inner = getattr(codec, "cname", None)
    words = [
        name,
        getattr(inner, "value", inner),
        getattr(codec, "clevel", None),
    ]
    return " ".join(str(word) for word in words if word is not None)


def text_of(facts: Mapping[str, Any]) -> str:
    """The facts as lines of text."""
    return "\n".join(_lines(facts))


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield _row("path", facts["path"])
    version = f", OME-NGFF {facts['ome_ngff']}" if "ome_ngff" in facts else ""
    yield _row("kind", f"{facts['kind']}{version}")
    for key in ("name", "rows", "columns", "wells", "fields"):
        if key in facts:
            yield _row(key, facts[key])
    if facts.get("state", WHOLE) != WHOLE:
        yield _row("state", facts["state"])
    for axis in facts.get("axes", ()):
        unit = axis["unit"] or "no unit"
        start = f", from {axis['start']:g}" if axis["start"] else ""
        size = f"{axis['size']} x {axis['scale']:g} {unit}{start}"
        yield _row(f"axis {axis['name']}", size)
    for level in facts.get("levels", ()):
        yield _row(f"level {level['path']}".strip(), _level_text(level))
    for channel in facts.get("channels", ()):
        limits = channel["contrast_limits"]
        shown = f", shown from {limits[0]:g} to {limits[1]:g}" if limits else ""
        yield _row("channel", f"{channel['name']}, #{channel['color']}{shown}")
    if facts.get("labels"):
        yield _row("labels", ", ".join(map(str, facts["labels"])))
    yield from _size_lines(facts)
    record = facts.get("record", {})
    for key in sorted(record, key=lambda key: (key not in _FIRST, key)):
        yield _row(key.replace("_", " "), _value(record[key]))
    for image in facts.get("images", ()):
        yield ""
        yield from _lines(image)


def _level_text(level: Mapping[str, Any]) -> str:
    parts = [
        f"{_product(level['shape'])} {level['dtype']}",
        f"chunks {_product(level['chunks'])}",
    ]
    if level["shards"]:
        parts.append(f"shards {_product(level['shards'])}")
    codecs = ", ".join(level["codecs"])
    return ", ".join([*parts, f"codec {codecs}", f"Zarr v{level['zarr_format']}"])


def _size_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    if "bytes_on_disk" not in facts:
        return
    stored, raw = facts["bytes_on_disk"], facts.get("bytes_raw")
    of_raw = ""
    # Label images beside the image would be counted on one side only.
    if raw and not facts.get("labels"):
        of_raw = f", {100 * stored / raw:.0f} % of {_bytes(raw)} raw"
    yield _row("on disk", f"{_bytes(stored)}{of_raw}")


def _row(key: str, value: object) -> str:
    return f"{key:<22}{value}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {inner}" for key, inner in value.items())
    return str(value)


def _product(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _bytes(count: int) -> str:
    """A size in a unit that leaves one to three digits before the point."""
    power = min(4, int(math.log10(max(count, 1)) / 3))
    return f"{count / 1000**power:.4g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
