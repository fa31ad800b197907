"""Layers into a store, here and now: whole, or not at all.

Everything is written under another name beside its place and renamed at the end.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._sources.source import PlaneSource, SourceDescription
from napari_zarr_stream._writer.errors import (
    InvalidProperties,
    StoreExists,
    ZarrStreamError,
)
from napari_zarr_stream._writer.local_store import LocalStore
from napari_zarr_stream._writer.memory import check_memory
from napari_zarr_stream._writer.ngff import serializer_of
from napari_zarr_stream._writer.ozx import OzxStore, is_ozx
from napari_zarr_stream._writer.properties import DeviceKind, StorageProperties

from .arranging import Tell, arranged, warn
from .course import Course, Progress, Stopped
from .image import PlannedImage, planned_image, write_image
from .pieces.cluster import on_cluster
from .pieces.run import Crew, threads_here, write_in_pieces
from .pieces.unfinished import (
    begin,
    can_be_taken_up,
    end,
    take_up,
    what_is_exported,
)


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
    *,
    verify: bool = True,
) -> bool:
    """Write all planes of a source.

    A pyramid that it has, and that was made by halving, is kept as it is.

    Parameters
    ----------
    source : PlaneSource
        With an end.
    properties : StorageProperties
        Labels and bool images are downsampled by mode where the method would make up
        values that are not there.
    progress : callable, optional
        Called with the planes done and those there are in all.
    should_stop : callable, optional
        Asked after each batch of planes.
    verify : bool
        Read level 0 back, and compare each plane with what was sent, before the store
        takes its name.

    Returns
    -------
    bool
        False if it was stopped: then nothing is left.

    Raises
    ------
    ZarrStreamError
        Nothing is left, and what was there before still is.
    """
    _planes_of(source.describe())
    images = {"": planned_image(source, properties)}
    return _export_all(images, properties, progress, should_stop, verify)


def export_layers(
    layers: Sequence[LayerSource],
    properties: StorageProperties,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
    tell: Tell = warn,
    *,
    verify: bool = True,
    resume: bool = False,
    scheduler: str = "",
) -> bool:
    """Write several layers into one store.

    Images of one shape, type and scale become the channels of one image; labels that
    cover the same pixels go into its group `labels`. Axes that a layer does not name
    are those of another one of the same shape, if that names them.

    Parameters
    ----------
    layers, properties, progress, should_stop, verify
        See `export`.
    tell : callable, optional
        Called with what somebody has to know of axes that were not named; warns if not
        given.
    resume : bool
        Go on where an export of the same that was killed ended, and leave what is there
        if this one fails, so that another can go on.
    scheduler : str
        Address of a cluster of dask that does it, as in "tcp://host:8786".

    Raises
    ------
    InvalidProperties
        Layers that do not go together or get to no worker, or what was left is of
        another export; says why.
    """
    images = planned_images(layers, properties, tell)
    crew: Crew | None = threads_here if resume else None
    if scheduler:
        crew = on_cluster(scheduler)
    return _export_all(images, properties, progress, should_stop, verify, resume, crew)


def planned_images(
    layers: Sequence[LayerSource], properties: StorageProperties, tell: Tell = warn
) -> dict[str, PlannedImage]:
    """What `export_layers` would write, by path below the root; touches no disk.

    Raises
    ------
    InvalidProperties
        As there.
    """
    sources = arranged(layers, properties, tell)
    return {path: planned_image(each, properties) for path, each in sources.items()}


def memory_of(images: Iterable[PlannedImage], verify: bool) -> int:
    """Bytes that an export takes at the most: its images are written in turn."""
    return max(image.memory_bytes(verify) for image in images)


def _export_all(
    images: Mapping[str, PlannedImage],
    properties: StorageProperties,
    progress: Progress | None,
    should_stop: Callable[[], bool] | None,
    verify: bool,
    resume: bool = False,
    crew: Crew | None = None,
) -> bool:
    """Write each image to its path below the root; the first one is the root."""
    total = sum(_planes_of(each.levels[0].describe()) for each in images.values())
    check_memory(memory_of(images.values(), verify))
    course = Course(total, verify, progress, should_stop)
    said = what_is_exported(images, properties.path)
    with _place(properties, stays=resume) as store:
        if not (resume and take_up(store, properties.path, said)):
            begin(store, said)
        try:
            course.go_on()
            if crew is not None:
                write_in_pieces(images, store, course, verify, crew)
            else:
                for path, image in images.items():
                    write_image(image, store, path, course, verify)
        except Stopped:
            return False
        labels = [path.removeprefix("labels/") for path in images if path]
        if labels:
            serializer = serializer_of(properties.ngff)
            for key, document in serializer.labels(labels).items():
                store.write_json(f"labels/{key}", document)
        end(store)
        store.publish()
    return True


@contextmanager
def _place(properties: StorageProperties, *, stays: bool) -> Iterator[LocalStore]:
    """A folder beside the place of the store, gone at the end unless published.

    Where it `stays`, it is there after a failure: another export can go on in it.
    """
    path, overwrite = properties.path, properties.overwrite
    try:
        store = (
            OzxStore(path, overwrite, properties.ngff)
            if is_ozx(path)
            else LocalStore(path, overwrite)
        )
    except StoreExists as error:
        if not stays:
            raise
        raise StoreExists(
            f"{error}. Nothing is left to go on with: it was finished, or is another"
        ) from error
    is_left = False
    try:
        yield store
    except ZarrStreamError:
        is_left = stays and can_be_taken_up(store)
        raise
    finally:
        if is_left:
            store.close()
        else:
            store.discard()


def _planes_of(description: SourceDescription) -> int:
    sizes = [size for size in description.shape[:-2] if size is not None]
    if len(sizes) < len(description.shape) - 2:
        raise InvalidProperties(
            f"{description.name!r} has no end: record it instead of exporting it"
        )
    return math.prod(sizes)
