"""All that can be asked of a recording, as a file."""

import json

import pytest

from napari_zarr_stream import InvalidProperties, WriteFailed
from napari_zarr_stream._recording.settings import (
    FORMAT,
    VERSION,
    RecordSettings,
    load_settings,
)

FULL = RecordSettings(
    cameras=("Simulated: cells",),
    camera_settings=({"width": 64, "height": 48, "stamp": True},),
    uri="~/数据/26.11.2026",
    name="{date}_{counter}_µM",
    notes="wild type\n37 °C",
    interval_s=600,
    duration_s=43200.0,
    frame_count=5,
    pixel_size_um=0.325,
    z_step_um=0.5,
    channel_name="GFP",
    channel_color="green",
    buffer_s=2.5,
    device_kind="ZarrBlosc1ZstdByteShuffle",
    tile_width=0,
    sharded=False,
    shard_chunks=(1, 1),
    downsampling="max",
    overwrite=True,
)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    FULL.save(tmp_path / "new" / "µ.json")
    settings, unknown = load_settings(tmp_path / "new" / "µ.json")
    assert (settings, unknown) == (FULL, ())


def test_a_file_may_say_little_and_more_than_is_known(tmp_path):
    path = written(tmp_path, settings={"interval_s": 2, "colour": "red", "x": []})
    settings, unknown = load_settings(path)
    assert settings == RecordSettings(interval_s=2)
    assert unknown == ("colour", "x")


def written(folder, **document):
    path = folder / "settings.json"
    whole = {"format": FORMAT, "version": VERSION, "settings": {}} | document
    path.write_text(json.dumps(whole), "utf-8")
    return path


BAD = [
    ({"interval_s": "2"}, "interval_s must be a number, not '2'"),
    ({"interval_s": True}, "interval_s must be a number"),
    ({"interval_s": -1}, "interval_s must be 0 or more"),
    ({"duration_s": float("nan")}, "duration_s"),
    ({"frame_count": 2.5}, "frame_count must be a whole number"),
    ({"frame_count": -2}, "frame_count -2"),
    ({"notes": None}, "notes must be text"),
    ({"sharded": 1}, "sharded must be true or false"),
    ({"name": "a/b"}, "name 'a/b'"),
    ({"channel_color": "octarine"}, "channel_color 'octarine'"),
    ({"device_kind": "TIFF"}, "device_kind 'TIFF' is not one of"),
    ({"device_kind": "Zarr", "sharded": True}, "no shards"),
    ({"tile_width": -5}, "tile_width"),
    ({"buffer_s": -5}, "buffer_s"),
    ({"cameras": "cells"}, "cameras must be a list"),
    ({"cameras": [1]}, "cameras must be names"),
    ({"camera_settings": [[]]}, "camera_settings must be settings by names"),
    ({"camera_settings": [{}, {}]}, "2 for 1 cameras"),
    ({"shard_chunks": [1]}, "two whole numbers"),
]


@pytest.mark.parametrize(("said", "problem"), BAD, ids=str)
def test_a_bad_value_is_named(said, problem, tmp_path):
    path = written(tmp_path, settings=said)
    with pytest.raises(InvalidProperties) as caught:
        load_settings(path)
    assert problem in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"version": 2}, "version 2"),
        ({"format": "other"}, "does not say"),
        ({"settings": []}, "has no settings"),
    ],
)
def test_other_files_are_refused(document, said, tmp_path):
    with pytest.raises(InvalidProperties, match=said):
        load_settings(written(tmp_path, **document))


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_what_is_no_json_is_refused(text, tmp_path):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InvalidProperties, match="is no file of settings"):
        load_settings(tmp_path / "a.json")
    with pytest.raises(InvalidProperties, match="is no file of settings"):
        load_settings(tmp_path / "none.json")


def test_where_nothing_can_be_written_it_is_said(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(WriteFailed):
        FULL.save(tmp_path / "a" / "b.json")


def test_a_change_that_is_none_is_refused():
    with pytest.raises(InvalidProperties, match=r"no such settings: fps; there are"):
        FULL.changed(fps=3)
