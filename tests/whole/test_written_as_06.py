"""OME-NGFF 0.6 where it is asked for: the same images as in 0.5, in its own words."""

import json

import numpy as np
import pytest
from judges import ask
from left_open import left_open
from ngff_zarr.validate import validate
from odd_stores import addressed

from napari_zarr_stream import (
    ImageDescription,
    ImageSet,
    InvalidProperties,
    Plate,
    StorageProperties,
    ZarrStream,
)
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._reading.reader import layers_and_notes, layers_of
from napari_zarr_stream._saving.export import export_layers
from napari_zarr_stream._saving.into_store import save_into
from napari_zarr_stream._saving.packing import pack
from napari_zarr_stream._saving.script import stored_as
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.repair import repair

PIXELS = addressed((3, 2, 40, 50))
PLACE = {
    "scale": (2, 1, 0.5, 0.5),
    "translate": (0, 0, 3, 4),
    "units": ("second", "pixel", "micrometer", "micrometer"),
    "axis_labels": tuple("tzyx"),
}


def asked(path, version, **more):
    given = {"tile_width": 16, "tile_height": 16, "sharded": True} | more
    return StorageProperties(path, ngff_version=version, **given)


def image(path, version, **more):
    with ZarrStream(
        asked(path, version, **more), axes="tyx", shape=(None, 40, 50), dtype="uint16"
    ) as stream:
        stream.append(PIXELS[:, 0])


def placed(path, version):
    exported = stored_as(path, ngff_version=version, tile_width=16, tile_height=16)
    layers = [
        LayerSource(PIXELS, {"name": "cells", **PLACE}),
        LayerSource(PIXELS + 1, {"name": "more cells", **PLACE}),
        LayerSource(PIXELS // 50, {"name": "nuclei", **PLACE}, "labels"),
    ]
    export_layers(layers, exported)


def labels_added(path, version):
    source = LayerSource(PIXELS[:, 0], {"name": "cells"}, axes="tyx")
    export_layers([source], stored_as(path, ngff_version=version))
    labels = LayerSource(PIXELS[:, 0] // 50, {"name": "nuclei"}, "labels", axes="tyx")
    save_into(path, labels, stored_as(path / "labels" / "nuclei"))


def images(path, version, paths, plate=None):
    described = [
        ImageDescription(
            at, name=at, axes="czyx", shape=(2, 2, 40, 50), dtype="uint16",
            scale={"y": 0.5, "x": 0.5}, units={"y": "um", "x": "um"},
        )
        for at in paths
    ]  # fmt: skip
    with ImageSet(asked(path, version), described, plate=plate) as written:
        for number in range(len(paths)):
            for c, z in np.ndindex(2, 2):
                written.put(number, (c, z), PIXELS[c, z] + number)


def repaired(path, version):
    left_open(path, PIXELS[:, 0], asked(path, version))
    repair(path)


def packed(path, version):
    folder = path.with_suffix(".folder.zarr")
    image(folder, version)
    pack(folder, path.with_suffix(".ozx"), overwrite=False)


PLATE = Plate("plate", ("A", "B"), ("1", "2"))
STORES = {
    "image": image,
    "one level": lambda *to: image(*to, enable_multiscale=False),
    "decimated": lambda *to: image(*to, downsampling_method="decimate"),
    "places, channels and labels": placed,
    "labels added": labels_added,
    "positions": lambda *to: images(*to, ["0", "1"]),
    "plate": lambda *to: images(*to, ["A/1/0", "A/1/1", "B/2/0"], PLATE),
    "repaired": repaired,
    "in one file": packed,
}
FEW = ("places, channels and labels", "plate", "in one file")

MODELS = {
    "multiscales": "image",
    "image-label": "label",
    "plate": "plate",
    "well": "well",
    "bioformats2raw.layout": "bf2raw",
    "series": "ome",
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in FEW else pytest.mark.long)
        for name in STORES
    ],
)
def test_it_is_seen_as_the_same_in_05_and_follows_the_schemas(name, tmp_path):
    seen = []
    for version in ("0.5", "0.6"):
        path = tmp_path / version / "a.zarr"
        path.parent.mkdir()
        STORES[name](path, version)
        found = path if path.exists() else located(path.with_suffix(".ozx"))
        facts = facts_of(found)
        if "ome_ngff" in facts:
            assert facts["ome_ngff"] == version
        seen.append(layers_and_notes(found))
    (of_05, notes_05), (mine, notes) = seen
    assert notes == notes_05
    for layer, other in zip(mine, of_05, strict=True):
        assert_alike(layer, other)
    for document in (tmp_path / "0.6").rglob("zarr.json"):
        attributes = json.loads(document.read_text())["attributes"]
        if "ome" in attributes:
            assert attributes["ome"]["version"] == "0.6"
            for key in attributes["ome"].keys() & MODELS.keys():
                validate(attributes, version="0.6", model=MODELS[key])


def assert_alike(layer, other):
    (data, meta, kind), (others, other_meta, other_kind) = layer, other
    for each in (meta, other_meta):
        each["metadata"].clear()
    assert (meta, kind) == (other_meta, other_kind)
    for level, other_level in zip(data, others, strict=True):
        np.testing.assert_array_equal(level, other_level)


def test_ngff_zarr_reads_it(tmp_path):
    import ngff_zarr

    path = tmp_path / "a.zarr"
    placed(path, "0.6")
    for below in ("", "labels/nuclei"):
        if (path / below).exists():
            mine = next(data for data, *_ in layers_of(path / below))
            for level, theirs in zip(mine, ask("ngff_zarr", path / below), strict=True):
                channels = level.ndim < theirs.ndim
                np.testing.assert_array_equal(
                    level, theirs[:, 0] if channels else theirs
                )

    full, half, *_ = ngff_zarr.from_ngff_zarr(str(path)).images
    assert [full.scale[axis] for axis in "tyx"] == [2, 0.5, 0.5]
    assert [full.translation[axis] for axis in "yx"] == [3, 4]
    assert [half.scale[axis] for axis in "tyx"] == [2, 1, 1]
    assert [half.translation[axis] for axis in "yx"] == [3.25, 4.25]
    assert full.axes_units["y"] == "micrometer"


@pytest.mark.parametrize(
    ("kind", "version"),
    [("Zarr", "0.6"), ("ZarrBlosc1Lz4ByteShuffle", "0.5"), ("ZarrV3", "0.4"),
     ("ZarrV3", "0.7"), ("ZarrV3", 0.6), ("ZarrV3", ["0.6"])],
)  # fmt: skip
def test_a_version_that_does_not_go_with_the_format_is_refused(kind, version):
    with pytest.raises(InvalidProperties, match=r"ngff_version .* does not go with"):
        StorageProperties("a.zarr", kind, ngff_version=version)
