"""What is on the disk is what was sent, or nothing is saved."""

from dataclasses import replace

import numpy as np
import pytest
import zarr

from napari_zarr_stream import DeviceKind, WriteFailed
from napari_zarr_stream._saving.export import default_properties, export, export_layers
from napari_zarr_stream._saving.image import planned_image
from napari_zarr_stream._saving.verify import ReadBack, Sent
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.record import RECORD_KEY

KINDS = {
    "shards": (DeviceKind.ZARR_V3_ZSTD, {}),
    "shards without codec": (DeviceKind.ZARR_V3, {}),
    "v2": (DeviceKind.ZARR_LZ4, {}),
    "v2 without codec": (DeviceKind.ZARR, {}),
    "several planes a tile": (DeviceKind.ZARR_V3_LZ4, {"tile_planes": 4}),
}
SHAPES = {"yx": (70, 90), "zyx": (7, 70, 90), "tczyx": (3, 2, 5, 40, 50)}


def properties(path, kind, **other):
    asked = {"tile_width": 32, "tile_height": 32} | other
    return replace(default_properties(path, kind), **asked)


def noise(shape, dtype="u2"):
    return np.random.default_rng(7).integers(1, 2**15, shape).astype(dtype)


@pytest.mark.parametrize(
    ("kind", "axes"),
    [*((kind, "zyx") for kind in KINDS), ("shards", "yx"), ("v2", "tczyx")],
)
def test_what_was_read_back_is_said_in_the_record(kind, axes, tmp_path):
    device, other = KINDS[kind]
    source = LayerSource(noise(SHAPES[axes]), {"rgb": False}, axes=axes)
    for verify in (True, False):
        path = tmp_path / f"{verify}.zarr"
        assert export(source, properties(path, device, **other), verify=verify)
        record = zarr.open_group(path, mode="r").attrs[RECORD_KEY]
        assert ("verified" in record) == verify


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "u4", "i2", "f4"])
def test_contrast_is_found_in_what_is_seen_for_the_checksum(dtype):
    planes = (noise((3, 70, 90), "i4") - 2**14).astype(dtype)
    source = LayerSource(planes, {"rgb": False}, axes="zyx")
    plan = planned_image(source, properties("a.zarr", DeviceKind.ZARR_V3)).plan
    seen = Sent(plan).see(planes, 0)
    ends = [(plane.min(), plane.max()) for plane in planes]
    assert [(each.min(), each.max()) for each in seen] == ends
    has_order = dtype in ("?", "u1", "u2", "u4")
    assert (seen.size == 2 * len(planes)) == has_order, "no second look at pixels"


def flip(array, at):
    """One bit of the last file of an array, at a place between 0 and 1 of it."""
    files = (file for file in array.rglob("*") if file.name.isdigit())
    path = max(file for file in files if file.is_file())
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 4
    path.write_bytes(data)


@pytest.fixture
def spoil(monkeypatch):
    """Have something done to what was written, before it is read back."""

    def arrange(how, only=""):
        compare = ReadBack.compare

        def spoiled(self, course):
            if only in self._array.as_posix():
                how(self._array)
            compare(self, course)

        monkeypatch.setattr(ReadBack, "compare", spoiled)

    return arrange


@pytest.mark.parametrize("at", [0.03, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_on_the_way_is_caught(kind, at, tmp_path, spoil):
    device, other = KINDS[kind]
    spoil(lambda array: flip(array, at))
    source = LayerSource(noise((6, 60, 90)), {"name": "cells"}, axes="zyx")
    with pytest.raises(WriteFailed, match=r"cells.*differs"):
        export(source, properties(tmp_path / "a.zarr", device, **other))
    assert not list(tmp_path.iterdir())


def test_a_flipped_bit_in_labels_takes_their_image_along(tmp_path, spoil):
    spoil(lambda array: flip(array, 0.1), only="labels/l")
    layers = [LayerSource(noise((40, 50)), {}, axes="yx")]
    layers.append(LayerSource(noise((40, 50)), {"name": "l"}, "labels", axes="yx"))
    with pytest.raises(WriteFailed, match="'l'"):
        export_layers(layers, properties(tmp_path / "a.zarr", DeviceKind.ZARR))
    assert not list(tmp_path.iterdir())


def test_the_full_size_of_a_kept_pyramid_is_compared(tmp_path, spoil):
    spoil(lambda array: flip(array, 0.3))
    levels = [noise((60, 60)), noise((30, 30))]
    with pytest.raises(WriteFailed, match="differs"):
        export(
            LayerSource(levels, {}), properties(tmp_path / "a.zarr", DeviceKind.ZARR_V3)
        )


def fewer_frames(array):
    said = array / "zarr.json"
    said.write_text(said.read_text().replace("  3,", "  2,", 1))


SPOILED = {
    "a file is gone": lambda array: (array / "c" / "0" / "0" / "0").unlink(),
    "cut short": lambda array: (array / "c" / "0" / "0" / "0").write_bytes(b""),
    "documents say less": fewer_frames,
}


@pytest.mark.parametrize("how", SPOILED)
def test_what_is_not_there_is_missed(how, tmp_path, spoil):
    spoil(SPOILED[how])
    source = LayerSource(noise((3, 60, 90)), {}, axes="zyx")
    with pytest.raises(WriteFailed):
        export(source, properties(tmp_path / "a.zarr", DeviceKind.ZARR_V3_LZ4))
    assert not list(tmp_path.iterdir())
