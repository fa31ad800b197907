"""Exporting from a script: `export`."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import image_name
from napari_zarr_stream._writer.properties import DeviceKind, StorageProperties

from .export import default_properties, export_layers
from .place import check_outside_of_stores

PROPERTY_OF = {
    "tile_width": "tile_width",
    "tile_height": "tile_height",
    "tile_planes": "tile_planes",
    "max_chunk_mib": "max_bytes_per_chunk",
    "frames_per_chunk": "frames_per_chunk",
    "shard_chunks": "shard_chunks",
    "multiscale": "enable_multiscale",
    "downsampling": "downsampling_method",
    "z_halving": "z_halving",
    "codec_level": "codec_level",
    "ngff_version": "ngff_version",
    "overwrite": "overwrite",
}
"""The words of the dock, the command line and scripts, and those of the writer."""


def stored_as(
    uri: str | os.PathLike[str],
    device_kind: str = DeviceKind.ZARR_V3_ZSTD,
    sharded: bool | None = None,
    **said: Any,
) -> StorageProperties:
    """What was asked for, and the defaults of an export for the rest.

    Raises
    ------
    InvalidProperties
        There is no such word, or it cannot be so.
    """
    if unknown := said.keys() - PROPERTY_OF.keys():
        raise InvalidProperties(
            f"no such settings: {', '.join(sorted(unknown))}; there are device_kind, "
            f"sharded, {', '.join(PROPERTY_OF)}"
        )
    kind = StorageProperties(uri, device_kind).kind
    asked = {PROPERTY_OF[word]: value for word, value in said.items()}
    if "max_chunk_mib" in said:
        asked["max_bytes_per_chunk"] = said["max_chunk_mib"] * 2**20
    return replace(default_properties(uri, kind, sharded), **asked)


def export(
    layers: Any,
    uri: str | os.PathLike[str],
    *,
    axes: str | None = None,
    name: str | None = None,
    scale: Sequence[float] | None = None,
    units: Sequence[str] | None = None,
    verify: bool = True,
    resume: bool = False,
    scheduler: str = "",
    progress: Callable[[int, int], object] | None = None,
    **storage: Any,
) -> Path:
    """Write arrays or napari layers as one OME-Zarr; returns when it is whole.

    Parameters
    ----------
    layers : array, layer, LayerData tuple, or sequence of layers or tuples
        An array may be lazy, as dask's, and larger than memory. Images of one shape
        become the channels of one image, labels go into its group `labels`.
    uri : str or path
        The store to be made.
    axes : str, optional
        What the axes are, as in "tzyx"; guessed, with a warning, if nothing says it.
    name : str, optional
        Of an array; the name of the store if not given.
    scale : sequence of float, optional
        Of an array: size of a pixel along each axis.
    units : sequence of str, optional
        Of these: "second", "micrometer", ...
    verify : bool
        Read every plane back and compare it before the store takes its name.
    resume : bool
        Go on where an export of the same that was killed ended: what is there and right
        is not written again.
    scheduler : str
        Of a cluster of dask that does it, as in "tcp://host:8786"; its workers see the
        folders of the store and of what is read under the same paths.
    progress : callable, optional
        Called with planes done, and planes in all.
    **storage
        `device_kind`, `tile_width`, `tile_height`, `tile_planes`, `max_chunk_mib`,
        `frames_per_chunk`, `sharded`, `shard_chunks`, `multiscale`, `downsampling`,
        `z_halving`, `codec_level`, `ngff_version`, `overwrite`: as of `RecordSettings`,
        but that zstd and larger shards are the default.

    Returns
    -------
    Path
        Of the store.

    Raises
    ------
    InvalidProperties
        Something OME-Zarr cannot hold, or layers that do not go together; says why.
    StoreExists
        Something is there already, and `overwrite` was not asked for.
    WriteFailed
        Nothing is left then.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> movie = np.zeros((5, 64, 64), "uint16")
    >>> path = export(
    ...     movie,
    ...     f"{tempfile.mkdtemp()}/movie.zarr",
    ...     axes="tyx",
    ...     scale=[0.5, 0.1, 0.1],
    ...     units=["second", "micrometer", "micrometer"],
    ...     device_kind="ZarrV3Blosc1Lz4ByteShuffle",
    ... )
    >>> path.name
    'movie.zarr'
    """
    properties = stored_as(uri, **storage)
    check_outside_of_stores(properties.path)
    given: dict[str, Any] = {
        "name": name or image_name(properties.path),
        "scale": scale,
        "units": units,
    }
    of_array = {key: value for key, value in given.items() if value is not None}
    sources = [_source(each, of_array, axes) for each in _each(layers)]
    export_layers(
        sources,
        properties,
        progress,
        verify=verify,
        resume=resume,
        scheduler=scheduler,
    )
    return properties.path


def _each(layers: Any) -> Sequence[Any]:
    """What is given as a sequence of one, unless it is one of layers."""
    is_many = isinstance(layers, Sequence) and not _is_layer_data(layers)
    return layers if is_many and all(map(_is_layer, layers)) else [layers]


def _is_layer(given: Any) -> bool:
    return _is_layer_data(given) or hasattr(given, "as_layer_data_tuple")


def _is_layer_data(given: Any) -> bool:
    return (
        isinstance(given, tuple)
        and 2 <= len(given) <= 3
        and isinstance(given[1], Mapping)
    )


def _source(given: Any, of_array: Mapping[str, Any], axes: str | None) -> LayerSource:
    if _is_layer_data(given):
        data, meta, kind = (*given, "image")[:3]
        return LayerSource(data, {"name": of_array["name"], **meta}, kind, axes=axes)
    if hasattr(given, "as_layer_data_tuple"):
        return LayerSource.of(given, axes=axes)
    return LayerSource(given, of_array, axes=axes)
