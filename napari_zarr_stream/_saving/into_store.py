"""Labels into the store of the image that they were drawn on.

They are written beside the store and put in their place at the end, in one call of the
system; nothing else in the store is touched.
"""

import itertools
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_zarr_stream._reading.documents import Node, is_consolidated, open_node
from napari_zarr_stream._reading.image import open_image
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.errors import InvalidProperties, StoreExists
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.lock import StoreLock, check_free
from napari_zarr_stream._writer.memory import check_memory
from napari_zarr_stream._writer.ngff import serializer_of
from napari_zarr_stream._writer.ngff_image import Document
from napari_zarr_stream._writer.properties import (
    NGFF_VERSIONS,
    DeviceKind,
    StorageProperties,
)
from napari_zarr_stream._writer.record import RECORD_KEY
from napari_zarr_stream._writer.refusals import writing
from napari_zarr_stream._writer.store import read_json

from .arranging import Tell, arranged, warn
from .course import Course, Progress, Stopped
from .image import planned_image, write_image

LABELS = "labels"

VERSIONS = tuple(itertools.chain.from_iterable(NGFF_VERSIONS.values()))

_OTHER_FORMAT = {
    DeviceKind.ZARR: DeviceKind.ZARR_V3,
    DeviceKind.ZARR_ZSTD: DeviceKind.ZARR_V3_ZSTD,
    DeviceKind.ZARR_LZ4: DeviceKind.ZARR_V3_LZ4,
}


def store_of_labels(path: Path) -> Path | None:
    """The store of an image whose labels would lie at `path`, if there is one.

    Raises
    ------
    InvalidStore
        What is there is damaged.
    """
    if path.parent.name != LABELS or not path.name:
        return None
    store = path.parent.parent
    node = open_node(store) if store.is_dir() else None
    return store if node is not None and node.kind == "multiscales" else None


def is_ours(path: Path) -> bool:
    """Whether there is an image at `path` that this package has written."""
    node = open_node(path) if path.is_dir() else None
    return node is not None and bool(node.attributes.get(RECORD_KEY))


def save_into(
    store: Path,
    source: LayerSource,
    properties: StorageProperties,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    tell: Tell = warn,
    *,
    verify: bool = True,
) -> bool:
    """Save labels into the `labels` group of the store of their image.

    Parameters
    ----------
    store : Path
        An image of OME-NGFF 0.4 to 0.6, of any program.
    source : LayerSource
        Labels that cover that image. Axes that they do not name are those of it.
    properties : StorageProperties
        The last part of its path is the name of the labels. Its format gives way to
        that of the store, its levels to those of the image, decimated. With
        `overwrite`, labels of that name that are ours are replaced.
    progress, should_stop, tell, verify
        As for `export_layers`. `tell` hears of consolidated metadata, which are left as
        they are.

    Returns
    -------
    bool
        False if it was stopped: then the store is as it was.

    Raises
    ------
    InvalidProperties
        Such a store, or such labels, cannot be brought together; says why.
    StoreExists
        Labels of that name are there.
    ZarrStreamError
        The store is as it was.
    """
    node = open_node(store)
    if node is None or node.kind != "multiscales":
        raise InvalidProperties(f"{store} is no store of an image")
    image, version = _image_in(node)
    name = properties.path.name
    place = store / LABELS / name
    _check_place(place, overwrite=properties.overwrite)
    if not source.describe().is_label:
        raise InvalidProperties(f"layer {source.name!r} holds no labels")
    _, (_, labels) = arranged([image, source], properties, _nothing_new).items()
    fitting = _in_format(properties, node.zarr_format, version)
    assert isinstance(labels, LayerSource)
    # OME-NGFF wants labels to have as many levels as their image.
    alike = labels.decimated(_halved(image))
    planned = planned_image(alike, fitting, make_levels=False)
    check_memory(planned.memory_bytes(verify))
    course = Course(source.planes, verify, progress, should_stop)
    check_free(store)
    with writing(store):
        lock = StoreLock(store)
    try:
        beside = store.with_name(f".{store.name[:40]}.{LABELS}.{uuid.uuid4().hex[:8]}")
        staged = LocalStore(beside, overwrite=False)
        try:
            course.go_on()
            for key, document in serializer_of(fitting.ngff).labels([name]).items():
                staged.write_json(f"{LABELS}/{key}", document)
            write_image(planned, staged, f"{LABELS}/{name}", course, verify)
            _put(staged, store, name, fitting.ngff)
        finally:
            staged.discard()
    except Stopped:
        return False
    finally:
        lock.release()
    if is_consolidated(store):
        tell(
            f"{store} has consolidated metadata of another program, which do not name "
            f"the labels {name!r}. Programs that read nothing else see them after "
            f"zarr.consolidate_metadata({str(store)!r})"
        )
    return True


def _nothing_new(_: str) -> None:
    """Of axes that are those of the image: labels of others do not cover it."""


def _image_in(node: Node) -> tuple[LayerSource, str]:
    """The image, as something that labels can be compared with, and its version."""
    image = open_image(node)
    if image.version not in VERSIONS:
        raise InvalidProperties(
            f"{node.path} is of OME-NGFF {image.version}; labels can be added to "
            f"{', '.join(VERSIONS)}: export image and labels together instead"
        )
    meta: dict[str, Any] = {
        "name": image.name,
        "rgb": False,
        "multiscale": True,
        "scale": image.scale,
        "translate": image.translation,
        "units": [axis.unit for axis in image.axes],
    }
    axes = "".join(axis.name for axis in image.axes)
    layer = LayerSource(list(image.levels), meta | {"axis_labels": axes}, axes=axes)
    return layer, image.version


def _halved(image: LayerSource) -> list[str]:
    """For each lower level of an image the axes of a volume that it halves."""
    sizes = [
        image.describe().shape,
        *(each.describe().shape for each in image.smaller()),
    ]
    axes = image.describe().axes
    return [
        "".join(
            axis
            for axis, before, now in zip(axes, above, here, strict=True)
            if axis in "zyx" and before != now
        )
        for above, here in itertools.pairwise(sizes)
    ]


def _check_place(place: Path, *, overwrite: bool) -> None:
    if not system.is_taken(place):
        return
    if not is_ours(place):
        raise InvalidProperties(
            f"{place} was written by another program and is not replaced: choose "
            "another name"
        )
    if not overwrite:
        raise StoreExists(
            f"{place} already exists: choose another name, or ask to replace it"
        )


def _in_format(
    properties: StorageProperties, zarr_format: int, version: str
) -> StorageProperties:
    """The same in the Zarr format of the store, and its version of OME-NGFF."""
    kind = properties.kind
    fitting = version if version in NGFF_VERSIONS[zarr_format] else ""
    properties = replace(properties, ngff_version="")
    if kind.zarr_format == zarr_format:
        return replace(properties, ngff_version=fitting)
    if zarr_format == 3:
        kind = _OTHER_FORMAT[kind]
        return replace(properties, device_kind=kind, ngff_version=fitting)
    [kind] = [old for old, new in _OTHER_FORMAT.items() if new is kind]
    return replace(
        properties,
        device_kind=kind,
        sharded=False,
        shard_chunks=(1, 1),
        frames_per_chunk=max(1, properties.frames_per_chunk),
    )


def _put(staged: LocalStore, store: Path, name: str, version: str) -> None:
    """Put labels that are whole in their place."""
    group, place = store / LABELS, store / LABELS / name
    if not system.is_taken(group):
        with writing(group):
            system.rename(staged.root / LABELS, group)
        return
    # Listed last: what is not listed nobody sees.
    with writing(place):
        if system.is_taken(place):
            system.exchange(staged.root / LABELS / name, place)
        else:
            system.rename(staged.root / LABELS / name, place)
    node = open_node(group)
    listed = list(node.ome.get(LABELS, ())) if node is not None else []
    if name in listed:
        return
    for key, document in serializer_of(version).labels([*listed, name]).items():
        before = read_json(group / key)
        if before is None or document != before:
            staged.write_json(f"{LABELS}/{key}", _merged(before or {}, document))
            with writing(group / key):
                system.replace(staged.root / LABELS / key, group / key)


def _merged(before: Mapping[str, Any], more: Mapping[str, Any]) -> Document:
    """What a document said, and what it is to say as well."""
    merged = dict(before)
    for key, value in more.items():
        there = merged.get(key)
        both = isinstance(there, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(there, value) if both and there is not None else value
    return merged
