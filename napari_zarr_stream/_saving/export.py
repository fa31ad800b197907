"""Layers into a store, here and now: whole, or not at all.

Everything is written under another name beside its place and renamed at the end.
"""

import math
import os
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

from napari_zarr_stream._recording.contrast import ContrastFinder
from napari_zarr_stream._sources.channels import ChannelSource
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._sources.open_stream import open_stream
from napari_zarr_stream._sources.source import PlaneSource, SourceDescription
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.names import folder_name, image_name
from napari_zarr_stream._writer.ngff import serializer_of
from napari_zarr_stream._writer.properties import (
    DeviceKind,
    DownsamplingMethod,
    StorageProperties,
)
from napari_zarr_stream._writer.record import RecordKey

READ_TIMEOUT_S = 1.0
"""How long to wait for planes before asking again whether to stop."""

Progress = Callable[[int, int], object]

Tell = Callable[[str], object]


def warn(text: str) -> None:
    """Tell something as a warning, which napari shows."""
    warnings.warn(text, UserWarning, stacklevel=3)


def left_out(layers: Iterable[tuple[Any, str]]) -> str:
    """Words for layers that cannot be stored, by their names and types."""
    listed = ", ".join(f"{name!r} ({kind})" for name, kind in layers)
    return f"OME-Zarr holds images and labels; left out: {listed}"


def default_properties(
    uri: str | os.PathLike[str],
    device_kind: DeviceKind = DeviceKind.ZARR_V3_ZSTD,
    sharded: bool | None = None,
) -> StorageProperties:
    """How layers are stored unless the user says otherwise.

    A saved layer is kept, shown and sent, not raced with: so zstd, which is smaller
    than lz4 and still as fast as a disk; chunks of one plane and 512 x 512, so that any
    slice shows at once; and shards of up to 64 MiB, so that the files stay few.
    Without shards, chunks hold as many frames as fit into the least cap there is.
    """
    if sharded is None:
        sharded = device_kind.zarr_format == 3
    return StorageProperties(
        uri,
        device_kind,
        tile_width=512,
        tile_height=512,
        tile_planes=1,
        max_bytes_per_chunk=64 * 2**20 if sharded else 0,
        frames_per_chunk=1 if sharded else 0,
        sharded=sharded,
    )


def export(
    source: PlaneSource,
    properties: StorageProperties,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> bool:
    """Write all planes of a source.

    Parameters
    ----------
    source : PlaneSource
        With an end.
    properties : StorageProperties
        Labels and bool images are downsampled by mode where the method would make up
        values that are not there.
    progress : callable, optional
        Called with the planes taken and those there are in all.
    should_stop : callable, optional
        Asked after each batch of planes.

    Returns
    -------
    bool
        False if it was stopped: then nothing is left.

    Raises
    ------
    ZarrStreamError
        Nothing is left, and what was there before still is.
    """
    return _export_all({"": source}, properties, progress, should_stop)


def export_layers(
    layers: Sequence[LayerSource],
    properties: StorageProperties,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    tell: Tell = warn,
) -> bool:
    """Write several layers into one store.

    Images of one shape, type and scale become the channels of one image; labels that
    cover the same pixels go into its group `labels`. Axes that a layer does not name
    are those of another one of the same shape, if that names them.

    Parameters
    ----------
    layers, properties, progress, should_stop
        See `export`.
    tell : callable, optional
        Called with what somebody has to know of axes that were not named; warns if not
        given.

    Raises
    ------
    InvalidProperties
        Layers that do not go together; says why.
    """
    layers = _with_known_axes(layers, tell)
    images = [layer for layer in layers if not layer.describe().is_label]
    labels = [layer for layer in layers if layer.describe().is_label]
    if not layers:
        raise InvalidProperties("no image or labels layer to save")
    if not images and len(labels) > 1:
        raise InvalidProperties(
            f"{len(labels)} labels layers without an image cannot share a store: save "
            "them one by one, or together with their image"
        )
    if not images:
        return export(labels[0], properties, progress, should_stop)
    name = image_name(properties.path)
    image: PlaneSource = images[0] if len(images) == 1 else ChannelSource(images, name)
    sources: dict[str, PlaneSource] = {"": image}
    folders: list[str] = []
    for label in labels:
        _check_covers(label.describe(), image.describe())
        folders.append(folder_name(label.name, folders))
        sources[f"labels/{folders[-1]}"] = label
    return _export_all(sources, properties, progress, should_stop)


def _with_known_axes(
    layers: Sequence[LayerSource], tell: Tell
) -> Sequence[LayerSource]:
    """The layers, with axes of others where they have none of their own."""
    known = [layer for layer in layers if not layer.guessed]
    known.sort(key=lambda layer: layer.describe().is_label)  # images first
    taken: dict[tuple[str, str], list[str]] = defaultdict(list)
    guessed: dict[str, list[str]] = defaultdict(list)
    placed = []
    for layer in layers:
        alike = ((other, layer.placed_as(other)) for other in known if layer.guessed)
        other, better = next((pair for pair in alike if pair[1]), (None, None))
        placed.append(better or layer)
        names = "".join(axis.name for axis in placed[-1].axes)
        if other is not None:
            taken[names, other.name].append(layer.name)
        elif layer.guessed:
            guessed[names].append(layer.name)
    for (axes, like), unnamed in taken.items():
        tell(f"axes of {_listed(unnamed)} are not named: taken from {like!r}, {axes}")
    for axes, unnamed in guessed.items():
        tell(
            f"axes of {_listed(unnamed)} are not named and were guessed: {axes}. If "
            "they are others, name them (layer.axis_labels, --axes) and save again"
        )
    return placed


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _check_covers(label: SourceDescription, image: SourceDescription) -> None:
    def sizes(description: SourceDescription) -> dict[str, int | None]:
        pairs = zip(description.axes, description.shape, strict=True)
        return {axis: size for axis, size in pairs if axis != "c"}

    if sizes(label) != sizes(image):
        raise InvalidProperties(
            f"labels {label.name!r} ({label.axes} of shape {label.shape}) do not cover "
            f"image {image.name!r} ({image.axes} of shape {image.shape}): save them "
            "one by one"
        )


def _export_all(
    sources: Mapping[str, PlaneSource],
    properties: StorageProperties,
    progress: Progress | None,
    should_stop: Callable[[], bool] | None,
) -> bool:
    """Write each source to its path below the root; the first one is the root."""
    total = sum(_planes_of(source.describe()) for source in sources.values())
    done = 0
    with _place(properties) as store:
        labels = []
        for path, source in sources.items():
            here = replace(properties, uri=store.root / path, overwrite=False)
            fitting = _fitting(here, source.describe())
            # Closed before the folder goes: it writes there.
            with closing(_stream(source, fitting)) as batches:
                for taken in batches:
                    done += taken
                    if progress is not None:
                        progress(done, total)
                    if should_stop is not None and should_stop():
                        return False
            if path:
                labels.append(path.removeprefix("labels/"))
        if labels:
            serializer = serializer_of(properties.kind.zarr_format)
            for key, document in serializer.labels(labels).items():
                store.write_json(f"labels/{key}", document)
        store.publish()
    return True


@contextmanager
def _place(properties: StorageProperties) -> Iterator[LocalStore]:
    """A folder beside the place of the store, gone at the end unless published."""
    store = LocalStore(properties.path, properties.overwrite)
    try:
        yield store
    finally:
        store.discard()


def _planes_of(description: SourceDescription) -> int:
    sizes = [size for size in description.shape[:-2] if size is not None]
    if len(sizes) < len(description.shape) - 2:
        raise InvalidProperties(
            f"{description.name!r} has no end: record it instead of exporting it"
        )
    return math.prod(sizes)


def _fitting(
    properties: StorageProperties, description: SourceDescription
) -> StorageProperties:
    """The properties with a downsampling method that makes nothing up."""
    chooses = (DownsamplingMethod.MODE, DownsamplingMethod.DECIMATE)
    names_things = description.is_label or description.dtype.kind == "b"
    if names_things and properties.method not in chooses:
        return replace(properties, downsampling_method=DownsamplingMethod.MODE)
    return properties


def _stream(
    source: PlaneSource, properties: StorageProperties
) -> Generator[int, None, None]:
    """Write a source; yields how many planes were taken each time."""
    description = source.describe()
    total = _planes_of(description)
    stream = open_stream(properties, description)
    contrast = ContrastFinder(description)
    whole = False
    try:
        source.start()
        taken = 0
        while taken < total:
            frame = source.read(READ_TIMEOUT_S)
            if frame is None:
                yield 0
                continue
            planes = frame.pixels.reshape(-1, *frame.pixels.shape[-2:])
            stream.append(planes)
            contrast.see(planes, taken)
            taken += len(planes)
            yield len(planes)
        stream.annotate(
            channels=contrast.channels(),
            record={
                RecordKey.FRAMES_ACQUIRED: taken,
                RecordKey.FRAMES_LOST: source.lost,
            },
        )
        whole = True
    finally:
        source.stop()
        stream.close() if whole else stream.abort()
