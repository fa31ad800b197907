"""What a store holds, for people and for programs: `napari-zarr-stream info`."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from napari_zarr_stream._writer.errors import InvalidStore
from napari_zarr_stream._writer.ngff import BF2RAW
from napari_zarr_stream._writer.record import RECORD_KEY, RecordKey

from .acquired import Acquired, of_image, of_set
from .contents import (
    BY_THEMSELVES,
    MAX_POSITIONS,
    Found,
    find_inside,
    labels_in,
    no_zarr,
    scene_of,
    series_of,
    without_words,
)
from .documents import SCENE, Node, mapping, open_node, sequence, understanding
from .image import WHOLE, StoredImage, multiscales_of, open_image, state_of
from .locate import is_opened_whole
from .location import Location

Facts = dict[str, Any]

_FIRST = (
    RecordKey.START_TIME,
    RecordKey.END_TIME,
    RecordKey.FINISH_REASON,
    RecordKey.ERROR,
    RecordKey.FRAMES_ACQUIRED,
    RecordKey.FRAMES_COMMITTED,
    RecordKey.FRAMES_LOST,
    RecordKey.NOTES,
)
"""What is asked most of our own record."""

MOST_TEXT = 300
"""Characters of a value; Micro-Manager tells thousands. All of it is in the JSON."""


def facts_of(path: Location) -> Facts:
    """All there is to say about a store, as JSON values.

    Raises
    ------
    InvalidStore
        It is no store, or is damaged.
    """
    with understanding(path):
        return _facts_of(path)


def _facts_of(path: Location) -> Facts:
    node = open_node(path)
    facts: Facts = {"path": str(path)}
    if isinstance(path, Path):
        facts["bytes_on_disk"] = _bytes_in(path)
    if node is None or not (node.is_array or node.kind):
        return facts | _facts_inside(path, node)
    if node.notes:
        facts["warnings"] = list(node.notes)
    if node.is_array:
        return facts | {"kind": "array", "levels": [_level(path, "")]}
    said = mapping(node.ome.get(str(node.kind)))
    if version := node.ome.get("version") or said.get("version"):
        facts["ome_ngff"] = str(version)
    if node.kind == "plate":
        plate = mapping(node.ome["plate"])
        counts = {
            key: len(sequence(plate.get(key))) for key in ("rows", "columns", "wells")
        }
        return facts | {"kind": "plate", **counts} | _set_facts(node)
    if node.kind == "well":
        fields = sequence(mapping(node.ome["well"]).get("images"))
        return facts | {"kind": "well", "fields": len(fields)}
    if node.kind == "labels":
        return facts | {"kind": "labels", "labels": _labels_in(path)}
    if node.kind == SCENE:
        facts["warnings"] = [*node.notes, BY_THEMSELVES]
        return facts | {"kind": SCENE, "images": list(_series(scene_of(node)))}
    if node.kind == BF2RAW:
        return facts | {
            "kind": "series",
            "images": list(_series(series_of(node, MAX_POSITIONS))),
            **_set_facts(node),
        }
    facts |= _image_facts(open_image(node)) | {"labels": _labels_in(path / "labels")}
    if others := range(1, len(multiscales_of(node))):
        facts["images"] = [_facts_of_image(node, number) for number in others]
    return facts


def _set_facts(node: Node) -> Facts:
    """Of many images together: our own record, and which planes are there."""
    record = dict(mapping(node.attributes.get(RECORD_KEY)))
    if RecordKey.IMAGES not in record:
        return {}
    state = state_of(node.path, record)
    return {"record": record, "state": state} | _planes(partial(of_set, node))


def _planes(ask: Callable[[], Acquired | None]) -> Facts:
    try:
        acquired = ask()
    except InvalidStore:  # which does not hide the rest; said by who opens it
        return {"planes": None}
    if acquired is None:
        return {}
    missing = acquired.room - acquired.planes
    return {"planes": {"acquired": acquired.planes, "not_acquired": missing}}


def _facts_of_image(node: Node, number: int) -> Facts:
    """Of one of several images, which does not hide the others."""
    try:
        return {"path": str(node.path)} | _image_facts(open_image(node, number))
    except InvalidStore as error:
        return {"path": str(node.path), "kind": f"cannot be opened: {error}"}


def _facts_inside(path: Location, node: Node | None) -> Facts:
    """Of a group that does not say what it is."""
    found = find_inside(path) if path.is_dir() else Found((), ())
    if node is None and not (is_opened_whole(path) and found):
        raise no_zarr(path, found)
    if not found:
        raise InvalidStore(f"{path} is a Zarr group without an OME-NGFF image")
    group = node or Node(path, False, 3, {}, {})
    if not found.images and (image := without_words(group, found)):
        return _image_facts(open_image(image))
    return {
        "kind": "group",
        "images": list(_series([image.path for image in found.images])),
        "arrays": [str(array) for array in found.arrays],
    }


def _bytes_in(folder: Path) -> int:
    """Of all files; links are not followed, and a store may grow meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            # Gone, or a path that is too long.
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def _series(paths: Sequence[Location]) -> Iterator[Facts]:
    for path in paths:
        try:
            node = open_node(path)
        except InvalidStore as error:  # which does not hide the others
            yield {"path": str(path), "kind": f"cannot be opened: {error}"}
            continue
        if node and node.kind == "multiscales":
            yield _facts_of_image(node, 0)
        elif node:
            yield {"path": str(path), "kind": str(node.kind or "array")}


def _labels_in(group: Location) -> list[str]:
    try:
        return [path.name for path in labels_in(group)]
    except InvalidStore as error:  # which does not hide the image
        return [f"cannot be listed: {error}"]


def _image_facts(image: StoredImage) -> Facts:
    array = image.levels[0]
    axes = zip(image.axes, image.scale, image.translation, strict=True)
    kind = "image" if image.objects is None else "labels image"
    return {
        "kind": f"{kind}, no frames yet" if 0 in array.shape else kind,
        "ome_ngff": image.version,
        "name": image.name,
        "axes": [
            {
                "name": axis.name,
                "size": size,
                "scale": scale,
                "start": start,
                "unit": axis.unit,
            }
            for size, (axis, scale, start) in zip(array.shape, axes, strict=True)
        ],
        "affine": image.affine,
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
            if image.objects is None
        ],
        "record": dict(image.record),
        "warnings": list(image.notes),
        "state": state_of(image.path, image.record),
        **_planes(partial(of_image, image)),
    }


def _level(root: Location, path: str) -> Facts:
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
    if "planes" in facts and not facts["planes"]:
        yield _row("planes", "not known: the frame log cannot be read")
    elif planes := facts.get("planes"):
        missing = planes["not_acquired"]
        said = f", {missing:,} not acquired (black)" if missing else ""
        yield _row("planes", f"{planes['acquired']:,} acquired{said}")
    for axis in facts.get("axes", ()):
        unit = axis["unit"] or "no unit"
        start = f", from {axis['start']:g}" if axis["start"] else ""
        size = f"{axis['size']} x {axis['scale']:g} {unit}{start}"
        yield _row(f"axis {axis['name']}", size)
    if facts.get("affine"):
        rows = (" ".join(f"{v:g}" for v in row) for row in facts["affine"][:-1])
        yield _row("affine", "; ".join(rows))
    for level in facts.get("levels", ()):
        yield _row(f"level {level['path']}".strip(), _level_text(level))
    for channel in facts.get("channels", ()):
        limits = channel["contrast_limits"]
        shown = f", shown from {limits[0]:g} to {limits[1]:g}" if limits else ""
        name = channel["name"] or "without name"
        color = f"#{channel['color']}" if channel["color"] else "no colour"
        yield _row("channel", f"{name}, {color}{shown}")
    for warning in facts.get("warnings", ()):
        yield _row("warning", warning)
    if facts.get("arrays"):
        yield _row("arrays", ", ".join(facts["arrays"]))
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
    if facts.get("state", WHOLE) != WHOLE:
        of_raw = ", with room for frames that are not committed"
    # Label images beside the image would be counted on one side only.
    elif raw and not facts.get("labels"):
        of_raw = f", {100 * stored / raw:.0f} % of {_bytes(raw)} raw"
    yield _row("on disk", f"{_bytes(stored)}{of_raw}")


def _row(key: str, value: object) -> str:
    return f"{key:<22}{value}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key} {inner}" for key, inner in value.items())
    text = str(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]} ..."


def _product(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _bytes(count: int) -> str:
    """A size in a unit that leaves one to three digits before the point."""
    power = min(4, int(math.log10(max(count, 1)) / 3))
    return f"{count / 1000**power:.4g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
