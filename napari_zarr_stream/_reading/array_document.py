"""The document of an array as zarr wants it, out of what others write.

Only what says how to read pixels is put right, and only where there is one way to
understand it: spellings of types, keys of codecs, values that are left out.
"""

import inspect
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from napari_zarr_stream._writer.contrast import range_of
from napari_zarr_stream._writer.errors import InvalidStore

from .documents import mapping, open_node, sequence, whole_number
from .location import Location

Document = dict[str, Any]

_V2_KEYS = {
    "blosc": ("cname", "clevel", "shuffle", "blocksize"),
    "bz2": ("level",),
    "gzip": ("level",),
    "lz4": ("acceleration",),
    "zlib": ("level",),
    "zstd": ("level",),
}
"""What numcodecs takes of codecs that need none of it to decode."""

_V3_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "blosc": {
        "cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 1, "blocksize": 0
    },
    "crc32c": {},
    "gzip": {"level": 5},
    "zstd": {"level": 0, "checksum": False},
}  # fmt: skip
"""The same for zarr: what codecs say in their own data is not asked of the document."""

_PACKAGES = {
    "crc32c": "numcodecs[crc32c]",
    "flac": "flac-numcodecs",
    "imagecodecs": "imagecodecs-numcodecs",
    "msgpack2": "numcodecs[msgpack]",
    "pcodec": "numcodecs[pcodec]",
    "wavpack": "wavpack-numcodecs",
    "zfpy": "numcodecs[zfpy]",
}
"""Where codecs come from that zarr and numcodecs do not bring."""


def mended(document: Mapping[str, Any]) -> Document:
    """A document of the same array that zarr takes, if there is one.

    Parameters
    ----------
    document : mapping
        That of .zarray or zarr.json.
    """
    is_v3 = "node_type" in document or "data_type" in document
    return _mended_v3(document) if is_v3 else _mended_v2(document)


def _mended_v2(document: Mapping[str, Any]) -> Document:
    dtype = _dtype(document.get("dtype"))
    compressor = document.get("compressor")
    filters = [_v2_codec(codec) for codec in sequence(document.get("filters"))]
    order = str(document.get("order")).upper()
    separator = document.get("dimension_separator")
    return {
        "zarr_format": 2,
        "shape": _sizes(document.get("shape")),
        "chunks": _sizes(document.get("chunks")),
        "dtype": dtype.str if dtype else document.get("dtype"),
        "compressor": _v2_codec(compressor) if compressor else None,
        "fill_value": _fill_value(document.get("fill_value"), dtype),
        "order": order if order in ("C", "F") else "C",
        "filters": filters or None,
        "dimension_separator": separator if separator in (".", "/") else ".",
    }


def _v2_codec(given: Any) -> Any:
    codec = {"id": given} if isinstance(given, str) else mapping(given)
    name = _registered(str(codec.get("id")))
    keys = _V2_KEYS.get(name)
    if keys is None:
        return {"id": name} | _taken_by(name, codec) if name else given
    kept = {key: codec[key] for key in keys if isinstance(codec.get(key), int)}
    cname = str(codec.get("cname")).lower()
    if "cname" in keys and cname in (
        "blosclz",
        "lz4",
        "lz4hc",
        "snappy",
        "zlib",
        "zstd",
    ):
        kept["cname"] = cname
    return {"id": name} | kept


def _registered(name: str) -> str:
    """A codec of numcodecs by its name, in whatever letters; "" for none of those."""
    from numcodecs.registry import codec_registry

    return next((each for each in (name, name.lower()) if each in codec_registry), "")


def _taken_by(name: str, settings: Mapping[str, Any]) -> Document:
    """Those of the settings that a codec of numcodecs takes."""
    from numcodecs.registry import codec_registry

    try:
        known = inspect.signature(codec_registry[name]).parameters
    except ValueError:  # one that is compiled
        return {key: value for key, value in settings.items() if key != "id"}
    return {key: value for key, value in settings.items() if key in known}


def _sizes(given: Any) -> list[Any]:
    """Sizes of axes, also where they were written as floats."""
    return [
        int(size) if isinstance(size, float) and size.is_integer() else size
        for size in sequence(given)
    ]


def _mended_v3(document: Mapping[str, Any]) -> Document:
    dtype = _dtype(document.get("data_type"))
    shape = _sizes(document.get("shape"))
    names = sequence(document.get("dimension_names"))
    grid = mapping(document.get("chunk_grid"))
    good: Document = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": shape,
        "data_type": dtype.name if dtype else document.get("data_type"),
        "chunk_grid": {
            "name": "regular",
            "configuration": {
                "chunk_shape": _sizes(
                    mapping(grid.get("configuration")).get("chunk_shape")
                )
            },
        },
        "chunk_key_encoding": _encoding(document.get("chunk_key_encoding")),
        "fill_value": _fill_value(document.get("fill_value"), dtype),
        "codecs": _v3_codecs(document.get("codecs"), len(shape)),
    }
    if len(names) == len(shape) and all(isinstance(n, str | None) for n in names):
        good["dimension_names"] = names
    if transformers := document.get("storage_transformers"):
        good["storage_transformers"] = transformers
    return good


def _encoding(given: Any) -> Document:
    encoding = {"name": given} if isinstance(given, str) else mapping(given)
    name = encoding.get("name")
    name = name if name in ("default", "v2") else "default"
    separator = mapping(encoding.get("configuration")).get("separator")
    usual = "/" if name == "default" else "."
    separator = separator if separator in (".", "/") else usual
    return {"name": name, "configuration": {"separator": separator}}


def _v3_codecs(given: Any, ndim: int) -> list[Any]:
    codecs = [_v3_codec(codec, ndim) for codec in sequence(given)]
    names = {mapping(codec).get("name") for codec in codecs}
    return codecs if names & {"bytes", "sharding_indexed"} else [_bytes({}), *codecs]


def _v3_codec(given: Any, ndim: int) -> Any:
    codec = {"name": given} if isinstance(given, str) else mapping(given)
    name = str(codec.get("name"))
    settings = mapping(codec.get("configuration"))
    if name in ("bytes", "endian"):
        return _bytes(settings)
    if name == "sharding_indexed":
        inner = {
            "chunk_shape": _sizes(settings.get("chunk_shape")),
            "codecs": _v3_codecs(settings.get("codecs"), ndim),
            "index_codecs": _v3_codecs(settings.get("index_codecs"), ndim + 1),
            "index_location": settings.get("index_location", "end"),
        }
        return {"name": name, "configuration": inner}
    if name == "transpose":
        order = settings.get("order")
        # As the specification had it before it was final.
        orders = {"C": list(range(ndim)), "F": list(reversed(range(ndim)))}
        order = orders.get(order, order) if isinstance(order, str) else _sizes(order)
        return {"name": name, "configuration": {"order": order}}
    if name not in _V3_DEFAULTS:
        bare = _registered(name.removeprefix("numcodecs."))
        taken = {"configuration": _taken_by(bare, settings)} if bare else {}
        return {"name": f"numcodecs.{bare}"} | taken if bare else given
    defaults = _V3_DEFAULTS[name]
    kept = {
        key: settings[key] if type(settings.get(key)) is type(value) else value
        for key, value in defaults.items()
    }
    return {"name": name, "configuration": kept} if kept else {"name": name}


def _bytes(settings: Mapping[str, Any]) -> Document:
    endian = "big" if settings.get("endian") == "big" else "little"
    return {"name": "bytes", "configuration": {"endian": endian}}


def _dtype(given: Any) -> np.dtype[np.generic] | None:
    """A type of pixels, however it is spelled; little-endian where that is not said."""
    given = given.get("name") if isinstance(given, dict) else given
    if not isinstance(given, str):
        return None
    text = given.strip().lower()
    try:
        dtype = np.dtype(text)
    except TypeError:
        return None
    return dtype if text.startswith(">") else dtype.newbyteorder("<")


def _fill_value(given: Any, dtype: np.dtype[np.generic] | None) -> Any:
    """What is not there; 0 where that is no pixel of the type."""
    if dtype is None or given is None:
        return given if dtype is None else 0
    if isinstance(given, str) and (bits := _bits(given, dtype)) is not None:
        given = bits
    if dtype.kind == "f":
        return _float(given)
    if dtype.kind == "b":
        return bool(given)
    value, (low, high) = whole_number(given), range_of(dtype)
    return value if value is not None and low <= value <= high else 0


def _bits(text: str, dtype: np.dtype[np.generic]) -> Any:
    """A value by its bits, highest first, as Zarr v3 has them: "0x7fc00000"."""
    digits = re.fullmatch(r"\s*0[xX]([0-9a-fA-F]+)\s*", text)
    if digits is None or len(digits[1]) > 2 * dtype.itemsize:
        return None
    bits = int(digits[1], 16).to_bytes(dtype.itemsize, "big")
    return np.frombuffer(bits, dtype.newbyteorder(">"))[0].item()


def _float(given: Any) -> Any:
    """A float as JSON documents of Zarr have it, those that are no number in words."""
    try:
        value = float(given)
    except (TypeError, ValueError, OverflowError):
        return 0
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else f"{'-' * (value < 0)}Infinity"


def axis_names_in(
    document: Mapping[str, Any], attributes: Mapping[str, Any]
) -> tuple[str, ...]:
    """What an array calls its axes; empty where it does not name all of them."""
    names = document.get("dimension_names") or attributes.get("_ARRAY_DIMENSIONS")
    names = sequence(names)
    is_named = all(isinstance(name, str) and name for name in names)
    return tuple(names) if is_named else ()


def shape_in(folder: Location) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and type of the array in a folder, without opening it.

    Raises
    ------
    InvalidStore
        There is none, or it is of no pixels.
    """
    if (node := open_node(folder)) is not None:
        key = "data_type" if node.zarr_format == 3 else "dtype"
        shape = _sizes(node.document.get("shape"))
        dtype = _dtype(node.document.get(key))
        is_shape = shape and all(type(n) is int and n >= 0 for n in shape)
        if is_shape and dtype is not None and dtype.kind in "biuf":
            return tuple(shape), dtype.newbyteorder("=")
    raise InvalidStore(f"array {folder} cannot be opened: there is none of pixels")


def no_pixels_in(document: Mapping[str, Any]) -> str:
    """Of which type an array is, where that is none of pixels; else empty."""
    given = document.get("data_type", document.get("dtype"))
    if isinstance(given, list):
        return "a structure of several values"
    try:
        dtype = np.dtype(given) if isinstance(given, str) else None
    except TypeError:
        return ""
    return dtype.name if dtype is not None and dtype.kind not in "biuf" else ""


def advice_on_codecs(document: Mapping[str, Any]) -> str:
    """Which codec is not installed, and what brings it; empty where all are."""
    for name in _codec_names(document):
        if _is_installed(name):
            continue
        bare = name.removeprefix("numcodecs.")
        package = _PACKAGES.get(bare.split("_")[0], _PACKAGES.get(bare))
        how = (
            f'pip install "{package}", and start again'
            if package
            else "look for the package that the program that wrote it says"
        )
        return f". Its codec {name!r} is not installed: {how}"
    return ""


def _codec_names(document: Mapping[str, Any]) -> Iterator[str]:
    found: Sequence[Any] = [
        document.get("compressor"),
        *sequence(document.get("filters")),
        *sequence(document.get("codecs")),
    ]
    for codec in found:
        name = mapping(codec).get("id") or mapping(codec).get("name")
        if isinstance(name, str):
            yield name
        if inner := mapping(mapping(codec).get("configuration")):
            yield from _codec_names(inner)


def _is_installed(name: str) -> bool:
    import numcodecs.registry
    from zarr.registry import get_codec_class

    bare = name.removeprefix("numcodecs.")
    registry = numcodecs.registry
    if bare in registry.codec_registry or bare in registry.entries:
        return True
    if bare != name:
        return False
    try:
        get_codec_class(name)
    except (KeyError, ValueError, ImportError):
        return False
    return True
