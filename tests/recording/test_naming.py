"""Names of recordings by a template."""

import datetime
import itertools

import pytest

from napari_zarr_stream import InvalidProperties
from napari_zarr_stream._recording.name_template import NameTemplate
from napari_zarr_stream._recording.naming import free_path, free_paths

NOW = datetime.datetime(2026, 11, 26, 9, 5, 7)

NAMES = [
    # template, what is in the folder, the next three
    ("", [], ["recording_0001", "recording_0002", "recording_0003"]),
    ("", ["recording_0007.zarr"], ["recording_0008", "recording_0009"]),
    ("a{counter}", ["a9999.zarr"], ["a10000"]),
    ("a{counter}", ["b0007.zarr", "a7", "a7.tif", "aa7.zarr"], ["a0001"]),
    ("a{counter}", ["a0003_camera2.zarr", "a0005.ome.zarr"], ["a0006"]),
    ("HeLa 1.5 mM", [], ["HeLa 1.5 mM", "HeLa 1.5 mM_0002", "HeLa 1.5 mM_0003"]),
    ("{date}_µ…细胞", [], ["2026-11-26_µ…细胞"]),
    ("{date}_{time}", [], ["2026-11-26_09-05-07"]),
    # the counter goes on over the day, and begins anew with the next
    (
        "{date}_{time}_{counter}_wt",
        ["2026-11-26_08-00-00_0004_wt.zarr", "2026-11-25_08-00-00_0009_wt.zarr"],
        ["2026-11-26_09-05-07_0005_wt"],
    ),
    ("{counter}-{counter}", ["0003-0003.zarr"], ["0004-0004"]),
    ("{{x}} (1+1)", [], ["{x} (1+1)"]),
    ("cells.zarr", [], ["cells"]),
    ("a.b.{counter}", ["a.b.0001.zarr"], ["a.b.0002"]),
    ("image.tif", [], ["image.tif"]),
]


@pytest.mark.parametrize(("text", "there", "stems"), NAMES)
def test_names(text, there, stems):
    found = NameTemplate(text).stems(NOW, there)
    assert list(itertools.islice(found, len(stems))) == stems


REFUSED = [
    ("a/b", "/"),
    ("a\\b", "cannot be in the name"),
    ("12:30", ":"),
    ("what?", "?"),
    ("{day}", "{day} is not one of {date}, {time}, {counter}"),
    ("{}", "is not one of"),
    ("{0}", "is not one of"),
    ("{date!r}", "is not one of"),
    ("{counter", "Braces are for"),
    ("counter}", "Braces are for"),
    ("con", "Windows"),
    ("AUX.1", "Windows"),
    ("...", "dots and spaces"),
    ("a\tb", "do not print"),
    ("ä" * 101, "202 bytes long, 200 at the most"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_cannot_be_a_name_is_said(text, said, tmp_path):
    with pytest.raises(InvalidProperties) as caught:
        free_path(tmp_path, text)
    assert said in str(caught.value)
    assert repr(text)[1:-1] in str(caught.value)


def test_the_ending_is_kept(tmp_path):
    assert free_path(tmp_path, "a.ome.zarr").name == "a.ome.zarr"
    assert free_path(tmp_path, "a").name == "a.zarr"


def test_several_cameras_count_together(tmp_path):
    (tmp_path / "a0001_camera2.zarr").mkdir()
    names = [path.name for path in free_paths(tmp_path, 2, "a{counter}")]
    assert names == ["a0002_camera1.zarr", "a0002_camera2.zarr"]


def test_a_store_that_is_named_goes_before_the_template(tmp_path):
    assert free_path(tmp_path / "x.zarr", "a{counter}").name == "x.zarr"


@pytest.mark.parametrize("cameras", [1, 2])
def test_a_name_that_no_disk_takes_is_refused(tmp_path, monkeypatch, cameras):
    """Windows says of such a name that nothing has it."""
    monkeypatch.setattr(type(tmp_path), "lstat", nothing_there)
    with pytest.raises(InvalidProperties, match="too long, choose another name"):
        free_paths(tmp_path / ("a" * 300 + ".zarr"), cameras)


def nothing_there(path):
    raise FileNotFoundError
