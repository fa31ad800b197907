"""What lies in a root: images of others, plain arrays, series."""

import json

import numpy as np
import pytest
from odd_stores import (
    addressed,
    write,
    write_group,
)

from napari_zarr_stream._reading.reader import get_reader, layers_of


# ome-zarr, when its writer is imported
@pytest.mark.filterwarnings("ignore:.*class Scaler:DeprecationWarning")
def test_an_image_of_ome_zarr_py(path):
    import ome_zarr.writer

    array = addressed((2, 3, 64, 64))
    ome_zarr.writer.write_image(array, str(path), axes="tcyx")
    layers = layers_of(path)
    assert len(layers) == 3
    for i, (data, _, _) in enumerate(layers):
        np.testing.assert_array_equal(data[0], array[:, i])


def test_a_plain_array(tmp_path):
    path = write(tmp_path / "a.zarr", addressed((3, 20, 20))) / "0"
    ((data, meta, _),) = get_reader([str(path)])([str(path)])
    np.testing.assert_array_equal(data, addressed((3, 20, 20)))
    np.testing.assert_allclose(meta["contrast_limits"], (5.995, 1196.602))


def test_a_series_of_bioformats2raw(tmp_path):
    root = tmp_path / "series.zarr"
    write(root / "0", addressed((20, 20)), name="first")
    write(root / "1", addressed((20, 20)), name="second")
    (root / "zarr.json").write_text(
        json.dumps(
            {
                "zarr_format": 3,
                "node_type": "group",
                "attributes": {"ome": {"version": "0.5", "bioformats2raw.layout": 3}},
            }
        )
    )
    assert [meta["name"] for _, meta, _ in layers_of(root)] == ["first", "second"]
    write_group(root / "OME", {"version": "0.5", "series": ["1"]})
    assert [meta["name"] for _, meta, _ in layers_of(root)] == ["second"]
