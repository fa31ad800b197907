"""Documents that are damaged, newer, or none."""

import pytest
from odd_stores import addressed, change, write

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.reader import get_reader, layers_of


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m.update(datasets=[]), "no levels"),
        (lambda m: m.pop("datasets"), "datasets"),
        (lambda m: m["datasets"][0].update(path="nowhere"), "nowhere"),
    ],
)
def test_damaged_metadata_is_said_in_words(edit, said, path):
    write(path, addressed((3, 20, 20)))
    change(path / "zarr.json", lambda d: edit(d["attributes"]["ome"]["multiscales"][0]))
    with pytest.raises(InvalidStore, match=said) as caught:
        layers_of(path)
    assert str(path) in str(caught.value)


def test_json_that_is_cut_off(path):
    write(path, addressed((3, 20, 20)))
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text[: len(text) // 2])
    assert get_reader(str(path)) is not None
    with pytest.raises(InvalidStore, match="cannot be read"):
        layers_of(path)
    (path / "zarr.json").write_text("[]")
    with pytest.raises(InvalidStore, match="no JSON object"):
        layers_of(path)
