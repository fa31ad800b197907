"""Plates and wells as one image."""

import shutil

import numpy as np
import pytest
from odd_stores import write, write_group

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.reader import layers_of


def test_a_plate_is_put_together(tmp_path):
    root = tmp_path / "plate.zarr"
    wells = [f"{row}/{column}" for row in "AB" for column in "12"]
    write_group(
        root,
        {
            "version": "0.5",
            "plate": {
                "name": "p",
                "rows": [{"name": "A"}, {"name": "B"}],
                "columns": [{"name": "1"}, {"name": "2"}],
                "wells": [
                    {"path": well, "rowIndex": i // 2, "columnIndex": i % 2}
                    for i, well in enumerate(wells)
                ],
            },
        },
    )
    for i, well in enumerate(wells):
        write_group(
            root / well, {"version": "0.5", "well": {"images": [{"path": "0"}]}}
        )
        pixels = np.full((20, 24), i, "u2")
        write(root / well / "0", pixels, colormap="red", scale=(0.5, 0.5))
    ((data, meta, _),) = layers_of(root)
    assert data[0].shape == (40, 48)
    np.testing.assert_array_equal(data[0][::30, ::40], [[0, 1], [2, 3]])
    assert (meta["name"], meta["colormap"], meta["scale"]) == (
        "plate",
        "red",
        [0.5, 0.5],
    )
    ((data, _, _),) = layers_of(root / "A" / "2")
    assert data[0].shape == (20, 24)
    shutil.rmtree(root / "A" / "1")
    with pytest.warns(UserWarning, match="1 of 4 wells .* are not there"):
        ((data, _, _),) = layers_of(root)
    np.testing.assert_array_equal(data[0][::30, ::40], [[0, 1], [2, 3]])
    for well in wells[1:]:
        shutil.rmtree(root / well)
    with pytest.raises(InvalidStore, match="none of its 4 fields is there"):
        layers_of(root)
