"""What `info` says of stores that are odd, not whole, or of others."""

import numpy as np
import pytest
from odd_stores import (
    addressed,
    group_v2,
    halved,
    image_v2,
    small_tiles,
)

from napari_zarr_stream import ZarrStream
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream.cli import main

PIXELS = addressed((6, 40, 50))


def test_what_is_odd_stands_in_lines_of_its_own(path, capsys):
    levels = [PIXELS, PIXELS[::2, ::2, ::2]]
    image_v2(path, "tyx", levels, version="0.4-dev", name="a")
    assert main(["info", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    warned = [line.split(maxsplit=1)[1] for line in lines if line.startswith("warning")]
    assert len(warned) == 2
    assert warned[0].startswith("OME-NGFF '0.4-dev' is read as 0.4")
    assert "would lose planes" in warned[1]
    assert facts_of(path)["warnings"] == warned


def test_nothing_odd_is_no_line(path):
    image_v2(path, "tyx", halved(PIXELS, "tyx"))
    assert "None" not in text_of(facts_of(path))
    assert facts_of(path)["warnings"] == []
    assert "warning" not in text_of(facts_of(path))


@pytest.mark.parametrize("sharded", [True, False])
def test_a_store_that_is_not_whole_is_not_compared_with_its_pixels(path, sharded):
    """A shard has its room before its frames, of which few are committed."""
    properties = small_tiles(path)
    with ZarrStream(properties, axes="tyx", shape=(None, 40, 50), dtype="u2") as stream:
        stream.append(PIXELS[:1])
        text = text_of(facts_of(path))
        assert "%" not in text
        assert "with room for frames that are not committed" in text
        stream.append(PIXELS[1:])
    assert " % of " in text_of(facts_of(path))


def test_a_group_of_images_lists_them(path):
    group_v2(path)
    for i in range(3):
        image_v2(path / f"image {i}", "tyx", [np.roll(PIXELS, i)])
    facts = facts_of(path)
    assert facts["kind"] == "group"
    assert [image["shape"] for image in facts["images"]] == [[6, 40, 50]] * 3
