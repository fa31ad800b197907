"""An image's name is its path's, without an ending that is known."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_zarr_stream import StorageProperties, ZarrStream
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._recording.naming import free_path
from napari_zarr_stream._writer.names import image_name, is_store_name, split_ending

# fmt: off
NAMES = {
    "cells.zarr": ("cells", ".zarr"),
    "cells.ome.zarr": ("cells", ".ome.zarr"),
    "cells.tif": ("cells", ".tif"),
    "cells.tiff": ("cells", ".tiff"),
    "cells.ome.tif": ("cells", ".ome.tif"),
    "cells.ome.tiff": ("cells", ".ome.tiff"),
    "cells.png": ("cells", ".png"),
    "UPPER.ZARR": ("UPPER", ".ZARR"),
    "Mixed.Ome.Tif": ("Mixed", ".Ome.Tif"),
    # what was cut: dates, concentrations, versions, times
    "26.11.2026 HeLa 1.5 mM.zarr": ("26.11.2026 HeLa 1.5 mM", ".zarr"),
    "26.11.2026 HeLa 1.5 mM.ome.tif": ("26.11.2026 HeLa 1.5 mM", ".ome.tif"),
    "26.11.2026 HeLa 1.5 mM": ("26.11.2026 HeLa 1.5 mM", ""),
    "v0.4-dev.zarr": ("v0.4-dev", ".zarr"),
    "Dr. Who.ome.zarr": ("Dr. Who", ".ome.zarr"),
    "10.30.zarr": ("10.30", ".zarr"),
    # one ending, not two
    "cells.tif.zarr": ("cells.tif", ".zarr"),
    "cells.zarr.zarr": ("cells.zarr", ".zarr"),
    "cells.ome": ("cells.ome", ""),
    "cells.zarrs": ("cells.zarrs", ""),
    # a name that is nothing but an ending
    ".zarr": (".zarr", ""),
    ".ome.zarr": (".ome", ".zarr"),
    # other parts of a path
    "a.b/cells.1.zarr/": ("cells.1", ".zarr"),
    "a.zarr/labels/nuclei": ("nuclei", ""),
    "a.zarr/x/..": ("a", ".zarr"),
}
# fmt: on


@pytest.mark.parametrize("path", NAMES)
def test_only_a_known_ending_is_taken_away(path):
    assert split_ending(path) == NAMES[path]
    assert image_name(Path(path)) == NAMES[path][0]
    assert is_store_name(path) == NAMES[path][1].lower().endswith("zarr")


def test_the_folder_where_one_is_has_a_name(tmp_path, monkeypatch):
    (tmp_path / "26.11.2026.zarr").mkdir()
    monkeypatch.chdir(tmp_path / "26.11.2026.zarr")
    assert image_name(".") == "26.11.2026"


DOTTED = [path for path in NAMES if "/" not in path and is_store_name(path)]


@pytest.mark.parametrize("path", DOTTED)
def test_a_store_and_what_is_shown_of_it_have_the_whole_name(tmp_path, path):
    store = tmp_path / path
    with ZarrStream(
        StorageProperties(store), axes="tyx", shape=(None, 8, 8), dtype="uint8"
    ) as stream:
        stream.append(np.ones((8, 8), "uint8"))
    attributes = zarr.open_group(store, mode="r").attrs.asdict()
    assert attributes["ome"]["multiscales"][0]["name"] == NAMES[path][0]
    [(_, meta, _)] = layers_of(store)
    assert meta["name"] == NAMES[path][0]
    # A plain array is called after its path alone.
    zarr.create_array(tmp_path / "plain" / path, data=np.eye(8))
    [(_, meta, _)] = layers_of(tmp_path / "plain" / path)
    assert meta["name"] == NAMES[path][0]


@pytest.mark.parametrize("path", DOTTED)
def test_a_name_that_is_taken_is_counted_up_before_its_ending(tmp_path, path):
    (tmp_path / path).mkdir()
    stem, ending = NAMES[path]
    assert free_path(tmp_path / path) == tmp_path / f"{stem}_0002{ending}"
