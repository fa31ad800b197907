"""Every kind of store, in one file and at an address: as it is in its folder."""

import numpy as np
import pytest
from every_kind import KINDS
from judges import ask
from servers import serving
from tables import long_but

from napari_zarr_stream import cli
from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream._reading.locate import located
from napari_zarr_stream._reading.reader import layers_and_notes

TABLE = long_but(KINDS, "v2 zstd", "positions, incomplete")
OF_OTHERS = ("v2", "v3", "0.6", "channels", "RGB", "5-D", "one plane", "by ")


@pytest.mark.filterwarnings("ignore::UserWarning:ngff_zarr")
@pytest.mark.parametrize("name", TABLE)
def test_it_is_the_same_in_one_file_and_at_an_address(name, tmp_path):
    store, packed = tmp_path / "a.zarr", tmp_path / "a.ozx"
    KINDS[name](store)
    assert cli.main(["export", str(store), str(packed)]) == 0
    here, notes = layers_and_notes(store)
    facts = facts_of(store)
    with serving(tmp_path) as server:
        for other in (packed, f"{server.address}/a.ozx", f"{server.address}/a.zarr"):
            place = located(other)
            layers, its_notes = layers_and_notes(place)
            assert_alike(layers, here)
            said = {each.replace(str(place), str(store)) for each in its_notes}
            assert said == set(notes)
            assert ("not acquired" in "".join(said)) == ("incomplete" in name)
            its_facts = facts_of(place)
            for key in (
                "kind",
                "name",
                "axes",
                "shape",
                "ome_ngff",
                "levels",
                "planes",
            ):
                assert its_facts.get(key) == facts.get(key), key
    if name.startswith(OF_OTHERS):
        for judge in ("ngff_zarr", "bioio_ome_zarr"):
            levels = ask(judge, packed)
            mine = np.asarray(here[0][0][0])
            assert np.asarray(levels[0]).size >= mine.size


def assert_alike(layers, others):
    for (data, meta, kind), (its, its_meta, its_kind) in zip(
        layers, others, strict=True
    ):
        assert kind == its_kind
        plain = [
            {key: value for key, value in each.items() if key != "metadata"}
            for each in (meta, its_meta)
        ]
        assert plain[0] == plain[1]
        for level, its_level in zip(data, its, strict=True):
            np.testing.assert_array_equal(level, its_level)
