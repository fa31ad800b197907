"""The JSON documents, held against the OME-NGFF and Zarr specifications."""

import json

import numpy as np
import pytest

from napari_zarr_stream import (
    Channel,
    DownsamplingMethod,
    InvalidProperties,
    StorageProperties,
    plan,
)
from napari_zarr_stream._writer import ngff, ngff_image
from napari_zarr_stream._writer.axes import check_scale, check_translation, check_units
from napari_zarr_stream._writer.codecs import Blosc, Raw
from napari_zarr_stream._writer.record import RECORD_KEY

SERIALIZERS = {2: ngff.serializer_of("0.4"), 3: ngff.serializer_of("0.5")}

MEAN, DECIMATE = DownsamplingMethod.MEAN, DownsamplingMethod.DECIMATE


def image_of(axes="tyx", shape=(None, 64, 64), dtype="uint16", method=MEAN, **given):
    properties = StorageProperties(
        "a.zarr", tile_width=16, tile_height=16, tile_planes=2
    )
    p = plan(properties, axes=axes, shape=shape, dtype=dtype)
    return ngff_image.Image(
        plan=p,
        name="cells",
        method=method,
        scale=check_scale(given.get("scale"), axes),
        translation=check_translation(given.get("translation"), axes),
        units=check_units(given.get("units"), axes),
        channels=ngff_image.check_channels(given.get("channels"), p),
        is_label=given.get("is_label", False),
        inside_image=given.get("inside_image", False),
        record=given.get("record", {}),
    )


def ome(image, zarr_format):
    documents = SERIALIZERS[zarr_format].image(image)
    json.dumps(documents, allow_nan=False)
    if zarr_format == 2:
        assert documents[".zgroup"] == {"zarr_format": 2}
        return documents[".zattrs"]
    root = documents["zarr.json"]
    assert (root["zarr_format"], root["node_type"]) == (3, "group")
    return root["attributes"]["ome"]


def transforms(image):
    datasets = ome(image, 3)["multiscales"][0]["datasets"]
    return [
        {t["type"]: t[t["type"]] for t in dataset["coordinateTransformations"]}
        for dataset in datasets
    ]


# axes, scale, units


def test_axes_of_a_plain_camera():
    units = {"t": "s", "y": "um", "x": "um"}
    axes = ome(image_of(units=units), 3)["multiscales"][0]["axes"]
    assert axes == [
        {"name": "t", "type": "time", "unit": "second"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "micrometer"},
    ]


def test_axes_without_units():
    axes = ome(image_of("czyx", (2, 4, 64, 64)), 2)["multiscales"][0]["axes"]
    assert [tuple(axis) for axis in axes] == [("name", "type")] * 4
    assert [axis["type"] for axis in axes] == ["channel", *["space"] * 3]


@pytest.mark.parametrize(
    ("axis", "given", "word"),
    [
        ("y", "µm", "micrometer"),
        ("y", "μm", "micrometer"),
        ("y", "um", "micrometer"),
        ("y", "micron", "micrometer"),
        ("x", "Micrometers", "micrometer"),
        ("x", "nanometre", "nanometer"),
        ("x", "Å", "angstrom"),
        ("x", "parsec", "parsec"),
        ("x", "pixel", None),
        ("x", "", None),
        ("x", None, None),
        ("t", "ms", "millisecond"),
        ("t", "seconds", "second"),
        ("t", "min", "minute"),
    ],
)
def test_units_by_their_ngff_words(axis, given, word):
    units = check_units({axis: given}, "tyx")
    assert units["tyx".index(axis)] == word


@pytest.mark.parametrize(
    ("units", "words"),
    [
        ({"y": "second"}, ["'second'", "'y'", "space"]),
        ({"t": "um"}, ["'um'", "'t'", "time"]),
        ({"c": "um"}, ["'um'", "'c'", "channel"]),
        ({"x": "furlong"}, ["furlong", "micrometer"]),
        ({"q": "um"}, ["'q'", "tcyx"]),
        (["um"], ["1 values", "4 axes"]),
    ],
)
def test_units_that_cannot_be(units, words):
    with pytest.raises(InvalidProperties) as caught:
        check_units(units, "tcyx")
    assert all(word in str(caught.value) for word in words)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf")])
def test_scale_is_positive_and_finite(wrong):
    with pytest.raises(InvalidProperties, match="scale of axis 'x'"):
        check_scale({"x": wrong}, "yx")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_translation_is_finite(wrong):
    with pytest.raises(InvalidProperties, match="translation"):
        check_translation((0, wrong), "yx")


# levels


def test_scale_doubles_in_space_and_stays_in_time():
    levels = transforms(image_of(scale=(0.5, 0.1, 0.2)))
    assert [level["scale"] for level in levels] == [
        [0.5, 0.1, 0.2],
        [0.5, 0.2, 0.4],
        [0.5, 0.4, 0.8],
    ]


def test_scale_of_z_doubles_where_z_is_halved():
    image = image_of("zyx", (3, 64, 64), scale=(2, 1, 1))
    assert [shape[0] for shape in image.plan.level_shapes] == [3, 2, 2]
    assert [level["scale"] for level in transforms(image)] == [
        [2, 1, 1],
        [4, 2, 2],
        [4, 4, 4],
    ]


def test_mean_moves_the_origin_to_the_middle_of_the_block():
    """The centre of a block of 2 is half a pixel beyond the centre of its first."""
    image = image_of(scale=(0.5, 2, 2), translation={"x": 100})
    assert [level["translation"] for level in transforms(image)] == [
        [0, 0, 100],
        [0, 1, 101],
        [0, 3, 103],
    ]


def test_decimate_leaves_the_origin_where_it_is():
    assert all("translation" not in t for t in transforms(image_of(method=DECIMATE)))
    image = image_of(method=DECIMATE, translation={"x": 7})
    assert [t["translation"] for t in transforms(image)] == [[0, 0, 7]] * 3


def test_scale_comes_before_translation():
    for dataset in ome(image_of(), 2)["multiscales"][0]["datasets"]:
        types = [t["type"] for t in dataset["coordinateTransformations"]]
        assert types == ["scale", "translation"]


# channels


def test_channels_of_our_own_making():
    channels = ngff_image.check_channels(None, image_of("cyx", (3, 64, 64)).plan)
    assert len({channel.color for channel in channels}) == 3
    assert [channel.name for channel in channels] == [f"channel {i}" for i in range(3)]
    (one,) = ngff_image.check_channels(None, image_of().plan)
    assert one.color == "FFFFFF"


def test_another_number_of_channels_is_refused():
    with pytest.raises(InvalidProperties, match="2 channels given for 3"):
        image_of("cyx", (3, 64, 64), channels=[Channel("a"), Channel("b")])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_omero(zarr_format):
    channel = Channel("GFP", "00ff00", (100, 900), (0, 4095))
    shown = ome(image_of(channels=[channel]), zarr_format)["omero"]
    (described,) = shown["channels"]
    assert (described["label"], described["color"]) == ("GFP", "00FF00")
    assert described["window"] == {"min": 0, "max": 4095, "start": 100, "end": 900}
    assert described["active"] is True


@pytest.mark.parametrize(
    ("dtype", "limits"),
    [
        ("uint8", (0, 255)),
        ("int16", (-32768, 32767)),
        ("float32", (0, 1)),
        ("bool", (0, 1)),
    ],
)
def test_contrast_is_the_range_of_the_type_if_not_given(dtype, limits):
    window = ome(image_of(dtype=dtype), 3)["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == (window["min"], window["max"]) == limits


def test_the_range_holds_the_contrast():
    channel = Channel("a", contrast_limits=(-5, 9000), value_range=(0, 4095))
    window = ome(image_of(channels=[channel]), 3)["omero"]["channels"][0]["window"]
    assert (window["min"], window["max"]) == (-5, 9000)


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("inside", [True, False])
def test_labels_of_an_image_are_objects_and_those_alone_an_image(zarr_format, inside):
    labels = image_of(is_label=True, inside_image=inside, method=DECIMATE)
    attributes = ome(labels, zarr_format)
    assert ("image-label" in attributes) == inside
    assert ("omero" in attributes) != inside


def test_a_group_of_labels():
    assert SERIALIZERS[2].labels(["a"])[".zattrs"] == {"labels": ["a"]}
    root = SERIALIZERS[3].labels(["a"])["zarr.json"]
    assert root["attributes"] == {"ome": {"version": "0.5", "labels": ["a"]}}


# where what stands


@pytest.mark.parametrize(("zarr_format", "version"), [(2, "0.4"), (3, "0.5")])
def test_the_version_stands_where_its_specification_says(zarr_format, version):
    attributes = ome(image_of(), zarr_format)
    holder = attributes["multiscales"][0] if zarr_format == 2 else attributes
    assert holder["version"] == version


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_our_own_record_stands_apart(zarr_format):
    documents = SERIALIZERS[zarr_format].image(image_of(record={"lost": 3}))
    attributes = documents.get(".zattrs") or documents["zarr.json"]["attributes"]
    assert attributes[RECORD_KEY] == {"lost": 3}
    assert RECORD_KEY not in attributes.get("ome", {})


def array_documents(zarr_format, dtype="uint16", **given):
    options = {"shape": (5, 64, 64), "chunk_shape": (2, 16, 16), "shard_shape": None}
    return SERIALIZERS[zarr_format].array(
        "0", dtype=np.dtype(dtype), names="tyx", **({"codec": Raw()} | options | given)
    )


def test_a_zarr_v2_array():
    documents = array_documents(2, codec=Blosc("lz4"))
    assert documents["0/.zattrs"] == {"_ARRAY_DIMENSIONS": ["t", "y", "x"]}
    array = documents["0/.zarray"]
    assert (array["shape"], array["chunks"]) == ([5, 64, 64], [2, 16, 16])
    assert (array["dtype"], array["order"]) == ("<u2", "C")
    assert array["dimension_separator"] == "/"
    assert array["compressor"]["cname"] == "lz4"
    assert array["fill_value"] == 0


def test_a_zarr_v3_array():
    array = array_documents(3)["0/zarr.json"]
    assert array["dimension_names"] == ["t", "y", "x"]
    assert array["data_type"] == "uint16"
    assert array["chunk_grid"]["configuration"] == {"chunk_shape": [2, 16, 16]}
    assert array["codecs"] == [{"name": "bytes", "configuration": {"endian": "little"}}]


def test_a_sharded_array():
    array = array_documents(3, shard_shape=(8, 16, 16), codec=Blosc("zstd"))[
        "0/zarr.json"
    ]
    assert array["chunk_grid"]["configuration"] == {"chunk_shape": [8, 16, 16]}
    (codec,) = array["codecs"]
    assert codec["name"] == "sharding_indexed"
    assert codec["configuration"]["chunk_shape"] == [2, 16, 16]
    assert codec["configuration"]["index_location"] == "end"
    names = [part["name"] for part in codec["configuration"]["index_codecs"]]
    assert names == ["bytes", "crc32c"]


@pytest.mark.parametrize(
    ("dtype", "fill"), [("bool", False), ("int8", 0), ("uint64", 0), ("float64", 0.0)]
)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_fill_value_has_the_type_of_the_pixels(zarr_format, dtype, fill):
    *_, array = array_documents(zarr_format, dtype).values()
    assert array["fill_value"] == fill
    assert type(array["fill_value"]) is type(fill)


@pytest.mark.parametrize(
    ("shape", "scales", "translations"),
    [
        # a line camera: its one row stays where it is
        ((None, 1, 256), [(1, 1), (1, 2), (1, 4)], [(0, 0), (0, 0.5), (0, 1.5)]),
        ((None, 256, 1), [(1, 1), (2, 1), (4, 1)], [(0, 0), (0.5, 0), (1.5, 0)]),
        # two rows become one, which stays
        ((None, 2, 256), [(1, 1), (2, 2), (2, 4)], [(0, 0), (0.5, 0.5), (0.5, 1.5)]),
    ],
)
def test_a_row_or_column_of_one_pixel_is_not_halved(shape, scales, translations):
    found = transforms(image_of("tyx", shape))[:3]
    assert [tuple(level["scale"][1:]) for level in found] == scales
    assert [tuple(level["translation"][1:]) for level in found] == translations
