"""Readers and validators that are not ours, each asked what it thinks of a store.

A judge takes the path of a store and returns what it read: the levels it knows of, full
size first, or nothing where it looks at metadata only. It raises what it does not like.
"""

import contextlib
import io
from pathlib import Path

import numpy as np

JUDGES = {}


def judge(function):
    """Have a function asked by its name."""
    JUDGES[function.__name__] = function
    return function


def level_paths(path):
    """The folders of the levels, full size first."""
    return sorted(
        (p for p in Path(path).iterdir() if p.name.isdigit()), key=lambda p: int(p.name)
    )


def zarr_format(path):
    """2 or 3, by the documents that are there."""
    return 3 if (Path(path) / "zarr.json").exists() else 2


@judge
def zarr(path):
    """zarr-python, which most of the others stand on."""
    import zarr

    group = zarr.open_group(path, mode="r", zarr_format=zarr_format(path))
    return [group[p.name][:] for p in level_paths(path)]


@judge
def zarrs(path):
    """zarr-python's interface over codecs in Rust that check every checksum."""
    import zarr
    import zarrs  # noqa: F401

    pipeline = {
        "codec_pipeline.path": "zarrs.ZarrsCodecPipeline",
        "codec_pipeline.validate_checksums": True,
        "codec_pipeline.strict": True,
    }
    with zarr.config.set(pipeline):
        return [zarr.open_array(p, mode="r")[:] for p in level_paths(path)]


@judge
def tensorstore(path):
    """Google's reader in C++."""
    import tensorstore

    driver = {2: "zarr", 3: "zarr3"}[zarr_format(path)]
    levels = []
    for level in level_paths(path):
        store = {"driver": "file", "path": str(level)}
        array = tensorstore.open(
            {"driver": driver, "kvstore": store}, read=True
        ).result()
        levels.append(array.read().result())
    return levels


@judge
def zarrista(path):
    """A reader in Rust, with an interface of its own."""
    import zarrista

    store = zarrista.store.FilesystemStore(str(path))
    names = [p.name for p in level_paths(path)]
    return [np.asarray(zarrista.Array.open(store, f"/{name}")[...]) for name in names]


@judge
def xarray(path):
    """Names its axes by what the store says."""
    import xarray

    levels = []
    for level in level_paths(path):
        others = [p.name for p in level_paths(path) if p != level]
        dataset = xarray.open_zarr(
            str(path),
            consolidated=False,
            chunks=None,
            mask_and_scale=False,
            drop_variables=[*others, "frame_log"],
        )
        array = dataset[level.name]
        assert set("".join(array.dims)) <= set("tczyx"), array.dims
        levels.append(array.values)
    return levels


@judge
def yaozarrs(path):
    """Checks metadata against the specification, and arrays against metadata."""
    import yaozarrs

    yaozarrs.validate_zarr_store(str(path))


@judge
def ome_zarr_models(path):
    """By the class for what the attributes say it is."""
    import zarr
    from ome_zarr_models import v04, v05

    models = {2: v04, 3: v05}[zarr_format(path)]
    group = zarr.open_group(path, mode="r")
    is_label = "image-label" in group.attrs.get("ome", group.attrs)
    (models.ImageLabel if is_label else models.Image).from_zarr(group)


@judge
def ngff_zarr(path):
    """Validates against the specification's own JSON schemas."""
    import ngff_zarr

    multiscales = ngff_zarr.from_ngff_zarr(str(path), validate=True)
    return [np.asarray(image.data) for image in multiscales.images]


@judge
def ome_zarr(path):
    """The reference of OME-NGFF."""
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    first, *_ = Reader(parse_url(str(path), mode="r"))()
    return [np.asarray(level) for level in first.data]


@judge
def napari_ome_zarr(path):
    """What a napari user with the other plugin sees."""
    from napari_ome_zarr import napari_get_reader

    found = napari_get_reader(str(path))(str(path))
    _, options, kind = found[0]
    channels = [
        [np.asarray(level) for level in (data if isinstance(data, list) else [data])]
        for data, _, each in found
        if each == kind
    ]
    if len(channels) > 1:  # layers of their own, from 0.11 on
        axis = int("t" in options["axis_labels"])
        return [np.stack(level, axis) for level in zip(*channels, strict=True)]
    [levels] = channels
    channel = options.get("channel_axis")
    assert channel is None or len(options["name"]) == levels[0].shape[channel]
    return levels


@judge
def bioio_ome_zarr(path):
    """The reader of BioIO, by its axes."""
    from bioio_ome_zarr import Reader

    reader = Reader(str(path))
    axes = reader.dims.order
    levels = []
    for level in reader.resolution_levels:
        reader.set_resolution_level(level)
        levels.append(np.asarray(reader.get_image_data(axes)))
    return levels


def ask(name, path):
    """Ask one judge; what it prints is its own affair."""
    with contextlib.redirect_stdout(io.StringIO()):
        return JUDGES[name](path)
