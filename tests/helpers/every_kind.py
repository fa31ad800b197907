"""A store of every kind that is written here, and some that others write."""

import numpy as np
from odd_stores import addressed, image_v2

from napari_zarr_stream import (
    DeviceKind,
    ImageDescription,
    ImageSet,
    Plate,
    StorageProperties,
    ZarrStream,
)
from napari_zarr_stream._saving.export import export_layers
from napari_zarr_stream._saving.script import stored_as
from napari_zarr_stream._sources.layer import LayerSource

PIXELS = addressed((3, 2, 40, 50))
SMALL = {"tile_width": 16, "tile_height": 16}


def recorded(path, kind, **options):
    properties = StorageProperties(path, kind, **SMALL, **options)
    with ZarrStream(
        properties, axes="tyx", shape=(None, 40, 50), dtype="uint16"
    ) as stream:
        stream.append(PIXELS[:, 0])


def exported(path, *layers, **options):
    sources = [LayerSource(data, meta, *kind) for data, meta, *kind in layers]
    export_layers(sources, stored_as(path, **SMALL, shard_chunks=(0, 0), **options))


def with_labels(path):
    axes = {"axis_labels": tuple("tzyx"), "scale": (2, 1, 0.5, 0.5)}
    exported(
        path,
        (PIXELS, {"name": "cells", **axes}),
        (PIXELS + 1, {"name": "more cells", **axes}),
        (PIXELS // 50, {"name": "nuclei", **axes}, "labels"),
    )


def images(path, *paths, plate=None, missing=()):
    described = [
        ImageDescription(
            at, name=f"at {at}", axes="czyx", shape=(3, 2, 40, 50), dtype="uint16",
            scale={"y": 0.5, "x": 0.5}, units={"y": "um", "x": "um"},
        )
        for at in paths
    ]  # fmt: skip
    asked = StorageProperties(path, sharded=True, **SMALL)
    with ImageSet(asked, described, plate=plate) as written:
        for number in range(len(paths)):
            for place in np.ndindex(3, 2):
                if (number, *place) not in missing:
                    written.put(number, place, PIXELS[place] + number)


def by_ngff_zarr(path, version="0.5"):
    import ngff_zarr

    image = ngff_zarr.to_ngff_image(PIXELS[:, 0], dims=["t", "y", "x"], name="cells")
    levels = ngff_zarr.to_multiscales(image, scale_factors=[2], chunks=20)
    ngff_zarr.to_ngff_zarr(str(path), levels, version=version)


FIVE = addressed((2, 2, 2, 40, 50))
RGB = addressed((40, 50, 3), "u1")

KINDS = {
    "v2 raw": lambda to: recorded(to, DeviceKind.ZARR, frames_per_chunk=2),
    "v2 zstd": lambda to: recorded(to, DeviceKind.ZARR_ZSTD),
    "v3 raw": lambda to: recorded(to, DeviceKind.ZARR_V3),
    "v3 lz4": lambda to: recorded(to, DeviceKind.ZARR_V3_LZ4, frames_per_chunk=2),
    "v3 shards": lambda to: recorded(to, DeviceKind.ZARR_V3_ZSTD, sharded=True),
    "v3 shards of planes": lambda to: recorded(
        to, DeviceKind.ZARR_V3_LZ4, sharded=True, shard_chunks=(0, 0)
    ),
    "0.6": lambda to: recorded(to, DeviceKind.ZARR_V3_LZ4, ngff_version="0.6"),
    "channels and labels": with_labels,
    "labels alone": lambda to: exported(
        to, (PIXELS[:, 0], {"name": "n", "axis_labels": tuple("zyx")}, "labels")
    ),
    "RGB": lambda to: exported(to, (RGB, {"name": "stain", "rgb": True})),
    "5-D": lambda to: exported(
        to, (FIVE, {"name": "all", "axis_labels": tuple("tczyx"), "channel_axis": None})
    ),
    "one plane": lambda to: exported(to, (PIXELS[0, 0], {"name": "flat"})),
    "positions": lambda to: images(to, "0", "1"),
    "positions, incomplete": lambda to: images(to, "0", "1", missing={(1, 2, 1)}),
    "plate": lambda to: images(
        to, "A/1/0", "A/1/1", "B/2/0", plate=Plate("plate", ("A", "B"), ("1", "2"))
    ),
    "by ngff-zarr 0.4": lambda to: by_ngff_zarr(to, "0.4"),
    "by ngff-zarr 0.5": by_ngff_zarr,
    "by ngff-zarr 0.6": lambda to: by_ngff_zarr(to, "0.6"),
    "by hand 0.4": lambda to: image_v2(to, "tyx", [PIXELS[:, 0]]),
}
