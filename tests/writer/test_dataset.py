"""The dataset on its storage: what its documents say, and when."""

import numpy as np
import pytest

from napari_zarr_stream import InvalidProperties, StorageProperties, plan
from napari_zarr_stream._writer import ngff_image
from napari_zarr_stream._writer.dataset import Dataset, check_record
from napari_zarr_stream._writer.record import RECORD_KEY, FinishReason


class Documents:
    """A store that keeps documents, in the order they came."""

    def __init__(self):
        self.documents = []
        self.files = {}
        self.published = False

    def write_json(self, key, document):
        self.documents.append((key, document))

    def write(self, key, data):
        self.files[key] = bytes(data)

    def close(self):
        pass

    def publish(self):
        self.published = True

    @property
    def keys(self):
        return [key for key, _ in self.documents]

    def last(self, key):
        return dict(self.documents)[key]


@pytest.fixture
def store():
    return Documents()


def dataset_of(store, axes="tyx", shape=(None, 64, 64), kind="ZarrV3", **record):
    properties = StorageProperties("a.zarr", kind, tile_width=16, tile_height=16)
    p = plan(properties, axes=axes, shape=shape, dtype="uint16")
    image = ngff_image.Image(
        p, "a", properties.method, (1.0,) * len(axes), (0.0,) * len(axes),
        (None,) * len(axes), ngff_image.check_channels(None, p), record=record,
    )  # fmt: skip
    return Dataset(store, properties, image)


def record_of(store):
    return store.last("zarr.json")["attributes"][RECORD_KEY]


def test_create_describes_every_level_before_it_is_seen(store):
    dataset = dataset_of(store)
    dataset.create()
    levels = [f"{level}/zarr.json" for level in range(3)]
    assert store.keys == [*levels, "zarr.json"]
    assert store.last("0/zarr.json")["shape"] == [0, 64, 64]
    assert not store.published
    dataset.publish()
    assert store.published


def test_commit_tells_of_level_0_last(store):
    dataset_of(store).commit(5)
    assert store.keys == [f"{level}/zarr.json" for level in (2, 1, 0)]
    assert store.last("2/zarr.json")["shape"] == [5, 16, 16]


def test_a_single_plane_has_nothing_to_commit(store):
    dataset_of(store, "yx", (64, 64)).commit(1)
    assert store.keys == []


def test_the_record_says_what_was_asked_for(store):
    dataset_of(store, source="camera").create()
    record = record_of(store)
    assert record["source"] == "camera"
    assert record["device_kind"] == "ZarrV3"
    assert record["tile_width"] == 16
    assert {"version", "start_time"} <= set(record)
    assert "end_time" not in record


def test_annotations_add_up_and_win_over_the_ending(store):
    dataset = dataset_of(store, a=1)
    dataset.annotate(None, {"b": 2})
    dataset.annotate(None, {"finish_reason": "stopped"})
    dataset.end(3, FinishReason.COMPLETED, 3)
    record = record_of(store)
    assert (record["a"], record["b"]) == (1, 2)
    assert record["finish_reason"] == "stopped"
    assert record["frames_committed"] == 3


def test_what_is_not_json_is_refused_and_changes_nothing(store):
    dataset = dataset_of(store)
    dataset.create()
    before = len(store.documents)
    for wrong in (np.uint8(3), {1, 2}, float("nan"), [object()]):
        with pytest.raises(InvalidProperties, match="'speed' is not JSON"):
            dataset.annotate(None, {"speed": wrong})
    assert len(store.documents) == before
    dataset.annotate(None, {"speed": 3})


def test_a_record_is_copied():
    record = {"a": 1}
    assert check_record(record) == record
    assert check_record(record) is not record
