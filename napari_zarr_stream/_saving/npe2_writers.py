"""File > Save: napari layers into OME-Zarr. The npe2 writers.

napari calls them in its own thread and waits. Of layers that take long another thread
writes, and the window goes on meanwhile, with a bar in napari's activity dock.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_zarr_stream._sources.layer import (
    BUILTIN_READERS,
    LayerSource,
    with_place_in_file,
)
from napari_zarr_stream._sources.source import SourceDescription
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    StoreExists,
    WriteFailed,
)
from napari_zarr_stream._writer.names import split_ending
from napari_zarr_stream._writer.properties import (
    DeviceKind,
    DownsamplingMethod,
    StorageProperties,
)

from .arranging import left_out, warn
from .export import default_properties, export_layers
from .into_store import save_into, store_of_labels
from .place import check_outside_of_stores, store_path
from .settings import export_choices

LARGE_BYTES = 256 * 2**20
"""Less is saved in the time of a click."""

LOOK_S = 0.02
"""The window waits for its events no longer than this."""

FullLayerData = tuple[Any, Mapping[str, Any], str]


def write_image(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """npe2 writer of one image layer; see `write_layers`."""
    return write_layers(path, [(data, meta, "image")])


def write_labels(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """npe2 writer of one labels layer; see `write_layers`."""
    return write_layers(path, [(data, meta, "labels")])


def write_layers(path: str, layer_data: Sequence[FullLayerData]) -> list[str]:
    """npe2 writer of several layers into one store; returns its path.

    Images and labels are saved; a warning names the other layers.

    Raises
    ------
    StoreExists
        A file dialog asks before it replaces a file, but not for a folder, which a
        store is: so nothing is ever replaced.
    WriteFailed, SourceFailed
        Nothing is left. Also for layers that OME-Zarr cannot hold, or not together.
    """
    try:
        into = store_of_labels(Path(path))
        # The name of labels has no ending, which a dialog adds.
        path = store_path(path) if into is None else _without_ending(path)
        saved = [layer for layer in layer_data if layer[2] in LayerSource.KINDS]
        if not saved:
            raise InvalidProperties("there is no image and no labels layer")
        sources = [_source(*layer) for layer in saved]
        choices = export_choices()
        properties = _as_chosen(default_properties(path), choices)
        verify = bool(choices.get("verify", True))
        if into is not None and len(sources) == 1 and sources[0].describe().is_label:
            work = partial(save_into, into, sources[0], properties, verify=verify)
        else:
            check_outside_of_stores(properties.path)
            work = partial(export_layers, sources, properties, verify=verify)
        size = sum(_bytes_of(source.describe()) for source in sources)
        if not (size > LARGE_BYTES and _beside_window(work, str(properties.path))):
            work()
    except InvalidProperties as error:
        # A ValueError would make napari say that there is no writer.
        raise WriteFailed(f"{path} was not saved: {error}") from error
    except StoreExists as error:
        raise StoreExists(f"{error}. Saving never replaces a store.") from None
    others = [(meta.get("name"), kind) for _, meta, kind in layer_data]
    if others := [other for other in others if other[1] not in LayerSource.KINDS]:
        warn(left_out(others))
    return [str(properties.path)]


def _without_ending(path: str) -> str:
    return str(Path(path).with_name(split_ending(path)[0]))


def _bytes_of(description: SourceDescription) -> int:
    sizes = [size or 1 for size in description.shape]
    return math.prod(sizes) * description.dtype.itemsize


def _as_chosen(
    properties: StorageProperties, choices: Mapping[str, Any]
) -> StorageProperties:
    """As was chosen for exports last; what is no value of a property is left out."""
    kind = choices.get("device_kind")
    if kind not in tuple(DeviceKind):
        return properties
    is_v3 = DeviceKind(kind).zarr_format == 3
    is_sharded = choices.get("sharded") is True and is_v3
    asked: dict[str, Any] = {
        "device_kind": kind,
        "sharded": is_sharded,
        "frames_per_chunk": 1 if is_sharded else 0,
        "enable_multiscale": choices.get("multiscale") is not False,
        "ngff_version": str(choices.get("ngff_version", "")) if is_v3 else "",
        **{
            name: choices[name]
            for name in ("tile_width", "tile_height", "tile_planes")
            if isinstance(choices.get(name), int)
        },
    }
    if isinstance(cap := choices.get("max_chunk_mib"), int):
        asked["max_bytes_per_chunk"] = cap * 2**20
    if choices.get("method") in tuple(DownsamplingMethod):
        asked["downsampling_method"] = choices["method"]
    try:
        return replace(properties, **asked)
    except InvalidProperties as error:  # the file was edited
        warn(f"the settings of the last export cannot be used: {error}")
        return properties


def _beside_window(work: Callable[..., bool], path: str) -> bool:
    """Do it while the window goes on; False where there is none to keep going.

    Raises
    ------
    WriteFailed
        The user has cancelled it.
    """
    try:
        from napari import current_viewer
        from napari.qt import get_qapp
        from napari.utils import cancelable_progress
    except ImportError:
        return False
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or current_viewer() is None:
        return False
    done, stop = [0, 1], threading.Event()

    def progress(*at: int) -> None:
        done[:] = at

    app, bar = get_qapp(), cancelable_progress(total=0, desc="Save as OME-Zarr")
    with ThreadPoolExecutor(1, "save") as pool:
        saving = pool.submit(work, progress, stop.is_set)
        try:
            while not wait((saving,), LOOK_S).done:
                if bar.total != done[1]:
                    bar.total = done[1]
                bar.update(done[0] - bar.n)
                app.processEvents()
                if bar.is_canceled:
                    stop.set()
        finally:
            stop.set()
            bar.close()
    if not saving.result():
        raise WriteFailed(f"{path} was not saved: it was cancelled")
    return True


def _source(data: Any, meta: Mapping[str, Any], kind: str) -> LayerSource:
    """A layer, with what the file says that it was opened from."""
    path = _file_of(data) if kind == "image" else None
    return LayerSource(
        data, with_place_in_file(data, meta, path) if path else meta, kind
    )


def _file_of(data: Any) -> Path | None:
    """The file whose pixels these are, in its order of axes, if a window shows them.

    napari hands a writer all of a layer but where it comes from.
    """
    try:
        from napari import current_viewer
    except ImportError:
        return None
    viewer = current_viewer()
    for layer in viewer.layers if viewer is not None else ():
        if layer.data is data and layer.source.reader_plugin in BUILTIN_READERS:
            return Path(layer.source.path) if layer.source.path else None
    return None
