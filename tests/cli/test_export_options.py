"""Every option of `export`, by what it makes of a small stack."""

import argparse

import numpy as np
import pytest
import tifffile
import zarr

from napari_zarr_stream import cli
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import export
from napari_zarr_stream._saving.script import stored_as
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer.record import RECORD_KEY
from napari_zarr_stream.cli.export import EXPORT

PIXELS = np.random.default_rng(3).integers(1, 200, (6, 40, 50)).astype("u2")


class Store:
    """What was exported, as another library and our own reader see it."""

    def __init__(self, path):
        group = zarr.open_group(path, mode="r")
        self.path = path
        self.levels = [level for _, level in sorted(group.arrays())]
        self.full = self.levels[0]
        self.record = group.attrs[RECORD_KEY]
        self.ome = group.attrs.get("ome")
        self.layers = layers_of(path)
        [(self.codec, *_)] = [self.full.compressors or (None,)]

    @property
    def first_below(self):
        """The first pixel of the level below."""
        return int(self.levels[1][0, 0, 0])


FIRST = PIXELS[0, :2, :2]
OPTIONS = {
    "--device-kind ZarrBlosc1Lz4ByteShuffle": lambda s: (
        (s.full.metadata.zarr_format, s.codec.cname) == (2, "lz4")
    ),
    "--tile-width 20": lambda s: s.full.chunks == (1, 40, 20),
    "--tile-height 16": lambda s: s.full.chunks == (1, 16, 50),
    "--tile-planes 2": lambda s: s.full.chunks == (2, 40, 50),
    "--no-sharded --axes tyx": lambda s: (
        s.full.shards is None and s.full.chunks[0] * 40 * 50 * 2 > 15 * 2**20
    ),
    "--no-sharded --max-chunk-mib 32": lambda s: (
        s.record["max_bytes_per_chunk"] == 32 * 2**20
    ),
    "--no-sharded --axes tyx --frames-per-chunk 2": lambda s: (
        s.full.chunks == (2, 40, 50)
    ),
    "--sharded --tile-width 20 --shard-chunks 1 2": lambda s: s.full.shards[2] == 40,
    "--tile-width 16 --tile-height 16": lambda s: len(s.levels) == 3,
    "--tile-width 16 --tile-height 16 --no-multiscale": lambda s: len(s.levels) == 1,
    "--tile-width 16 --downsampling decimate": lambda s: s.first_below == FIRST[0, 0],
    "--tile-width 16 --method max": lambda s: s.first_below == FIRST.max(),
    "--tile-width 16 --tile-planes 2 --z-halving with-yx": lambda s: (
        s.levels[1].shape == (3, 20, 25)
    ),
    "--codec-level 7": lambda s: s.codec.to_dict()["configuration"]["clevel"] == 7,
    "--ngff-version 0.6": lambda s: s.ome["version"] == "0.6",
    "--axes tyx": lambda s: s.layers[0][1]["axis_labels"] == ["t", "y", "x"],
    "--plugin napari": lambda s: s.record["layer"] == "stack",
    "--layer 0": lambda s: s.record["layer"] == "stack",
    "--verify": lambda s: "verified" in s.record,
    "--no-verify": lambda s: "verified" not in s.record,
    "--resume": lambda s: "verified" in s.record,
}
SHORT = {
    "--ngff-version 0.6",
    "--no-sharded --axes tyx",
    "--codec-level 7",
    "--tile-width 16 --method max",
}


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, marks=() if options in SHORT else pytest.mark.long)
        for options in OPTIONS
    ],
)
def test_an_option_does_what_it_says(options, tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", PIXELS, metadata={"axes": "ZYX"})
    out = tmp_path / "out.zarr"
    assert run("export", tmp_path / "stack.tif", out, *options.split()) == 0
    store = Store(out)
    assert OPTIONS[options](store), store.full.info
    np.testing.assert_array_equal(store.full[:], PIXELS)


def test_a_pyramid_from_a_lower_level_over_what_was_there(tmp_path):
    source, out = tmp_path / "source.zarr", tmp_path / "out.zarr"
    small = stored_as(source, tile_width=16, tile_height=16)
    assert export(LayerSource(PIXELS, {}, axes="zyx"), small)
    below = zarr.open_array(source / "1", mode="r")[:]
    assert run("export", source, out) == 0
    assert run("export", source, out, "--first-level", 1) == 1  # it is there
    assert run("export", source, out, "--first-level", 1, "--overwrite") == 0
    np.testing.assert_array_equal(Store(out).full[:], below)


def test_every_option_is_tried():
    tried = {word for options in OPTIONS for word in options.split() if "--" in word}
    tried |= {"--first-level", "--overwrite", "--scheduler"}
    parser = argparse.ArgumentParser(add_help=False)
    EXPORT.add_options(parser)
    for action in parser._actions:
        assert not action.option_strings or tried & {*action.option_strings}, action
