"""Stores of the programs that came before: they open, and are exported as they are.

tools/make_driver_stores.py made them, each with the program itself.
"""

import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from odd_stores import full_size, opened

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.reader import get_reader, layers_of
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream.cli import main

ARCHIVE = Path(__file__).parents[1] / "data" / "drivers.zip"

LOST_LEVELS = "left out level 1 of (2, 12, 16)"
NO_SIZE = "scale 0.0 of axis y"

# Store: what is said of it, number of levels
STORES = {
    "acquire-imaging-0.3.0-Zarr": ((LOST_LEVELS, NO_SIZE, "'u2'"), 1),
    "acquire-imaging-0.3.0-ZarrBlosc1ZstdByteShuffle": ((NO_SIZE, "'u2'"), 1),
    "acquire-imaging-0.3.0-ZarrBlosc1Lz4ByteShuffle": ((NO_SIZE, "'u2'"), 1),
    "acquire-zarr-0.1.0-v2": ((LOST_LEVELS,), 1),
    "acquire-zarr-0.1.0-v3": ((LOST_LEVELS,), 1),
    "acquire-zarr-0.10.0-plain": ((), 1),
    "acquire-zarr-0.10.0-multiscale": ((), 2),
}
DRAFT = "acquire-imaging-0.3.0-ZarrV3"


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drivers")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


def test_all_are_tried(stores):
    assert {path.name for path in stores.iterdir()} == {*STORES, DRAFT}


@pytest.mark.parametrize(("name", "said", "levels"), [
    (name, *rest) for name, rest in STORES.items()
], ids=STORES)  # fmt: skip
def test_they_open_and_are_exported_equal(stores, tmp_path, name, said, levels):
    store = stores / name / "store.zarr"
    frames = np.load(stores / name / "frames.npy")
    (layer,), words = opened(store)
    np.testing.assert_array_equal(full_size(layer), frames)
    assert [word for word in said if word not in words] == []
    assert bool(said) == bool(words)
    assert (len(layer[0]) if layer[1]["multiscale"] else 1) == levels
    warned = text_of(facts_of(store))
    assert [word for word in said if word not in warned] == []

    by_hand, by_command = tmp_path / "by-hand.zarr", tmp_path / "by-command.zarr"
    export_layers([LayerSource(*layer, axes="tyx")], default_properties(by_hand))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they were looked at above
        assert main(["export", str(store), str(by_command), "--axes", "tyx"]) == 0
    for out in (by_hand, by_command):
        (again,), words = opened(out)
        np.testing.assert_array_equal(full_size(again), frames)
        assert words == ""


def test_the_draft_of_zarr_v3_is_said_by_its_name(stores):
    store = stores / DRAFT / "store.zarr"
    assert get_reader(str(store)) is not None
    for call in (layers_of, facts_of):
        with pytest.raises(InvalidStore, match=r"drafted in 2022.*ZarrV3.*2\.18"):
            call(store)
