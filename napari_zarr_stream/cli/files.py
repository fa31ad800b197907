"""Image files as sources, read by whatever napari readers are installed. No Qt."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_zarr_stream._reading.reader import get_reader
from napari_zarr_stream._saving.arranging import Tell, left_out, warn
from napari_zarr_stream._sources.layer import (
    BUILTIN_READERS,
    LayerSource,
    with_place_in_file,
)
from napari_zarr_stream._writer.errors import InvalidProperties, SourceFailed
from napari_zarr_stream._writer.names import image_name

LayerData = tuple[Any, dict[str, Any], str]


def layer_sources(
    path: Path,
    wanted: Sequence[str] = (),
    axes: str | None = None,
    plugin: str | None = None,
    tell: Tell = warn,
    first_level: int = 0,
) -> list[LayerSource]:
    """The image and labels layers of a file.

    Parameters
    ----------
    path : Path
    wanted : sequence of str
        Names or numbers of layers; none means all.
    axes : str, optional
        As for `LayerSource`.
    plugin : str, optional
        The napari plugin to read with.
    tell : callable, optional
        Called with what is left out; warns if not given.
    first_level : int
        As for `LayerSource`.

    Raises
    ------
    SourceFailed
        No reader opens the file.
    InvalidProperties
        It has no such layer, or one that OME-Zarr cannot hold.
    """
    layers = []
    read, is_in_its_order = _read(path, plugin)
    for i, (data, given, kind) in enumerate(read):
        number = f" {i}" if i else ""
        meta: Mapping[str, Any] = {"name": f"{image_name(path)}{number}"} | given
        if is_in_its_order and kind == "image":
            placed = with_place_in_file(data, meta, path)
            if axes in (None, "".join(placed.get("axis_labels", ()))):
                meta = placed
        layers.append((data, meta, kind))
    names = [str(meta["name"]) for _, meta, _ in layers]
    chosen = [_number_of(name, names) for name in wanted] or [
        i for i, (_, _, kind) in enumerate(layers) if kind in LayerSource.KINDS
    ]
    others = [(meta["name"], kind) for _, meta, kind in layers]
    others = [other for other in others if other[1] not in LayerSource.KINDS]
    if not chosen:
        raise InvalidProperties(f"{path} has no image or labels layer")
    if others and not wanted:
        tell(left_out(others))
    return [
        LayerSource(data, meta, kind, axes=axes, first_level=first_level)
        for data, meta, kind in (layers[i] for i in chosen)
    ]


def _number_of(wanted: str, names: Sequence[str]) -> int:
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise InvalidProperties(f"no layer {wanted!r}: there are {', '.join(names)}")


def _read(path: Path, plugin: str | None) -> tuple[list[LayerData], bool]:
    """Layers of a file, and whether they are as the file has them."""
    if not path.exists():
        raise SourceFailed(f"{path} does not exist")
    # Others drop scale, units and channels of a store.
    own = get_reader(path) if plugin in (None, "napari-zarr-stream") else None
    layers, reader = (own(path), "") if own else _read_by_plugin(path, plugin)
    full = []
    for layer in layers:
        meta = dict(layer[1]) if len(layer) > 1 else {}
        full.append((layer[0], meta, str(layer[2]) if len(layer) > 2 else "image"))
    return full, reader in BUILTIN_READERS


def _read_by_plugin(path: Path, plugin: str | None) -> tuple[Sequence[Any], str]:
    """What a plugin reads, and its name."""
    import npe2

    with warnings.catch_warnings():
        # of manifests and readers that are not ours to mend
        warnings.simplefilter("ignore")
        npe2.PluginManager.instance().discover()
        try:
            layers, reader = npe2.read_get_reader(
                [str(path)], stack=False, plugin_name=plugin
            )
        except Exception as error:
            raise SourceFailed(f"{path} could not be opened: {error}") from error
    return layers, reader.plugin_name
