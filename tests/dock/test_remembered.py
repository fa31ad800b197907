"""What is kept between sessions, and files that are no use."""

import json
import subprocess
import sys

import pytest
from qtpy.QtCore import QLockFile

from napari_zarr_stream._dock.remembered import FILE_NAME, Remembered


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "napari" / "settings.yaml"))
    return tmp_path / "napari"


def test_choices_come_back(folder):
    remembered = Remembered()
    remembered.choices["tile_width"] = 256
    remembered.cameras["Simulated: cells"] = {"exposure_ms": 2.5, "stamp": True}
    remembered.save()
    again = Remembered()
    assert again.choices == {"tile_width": 256}
    assert again.cameras == {"Simulated: cells": {"exposure_ms": 2.5, "stamp": True}}
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_two_windows_keep_what_each_has_changed(folder):
    """Neither writes back what it read before the other one wrote."""
    Remembered().save()
    one, other = Remembered(), Remembered()
    one.choices["tile_width"] = 256
    one.cameras["A"] = {"gain": 1.0}
    one.save()
    other.choices["sharded"] = False
    other.cameras["B"] = {"gain": 2.0}
    other.save()
    one.choices["tile_width"] = 128
    one.save()
    again = Remembered()
    assert again.choices == {"tile_width": 128, "sharded": False}
    assert again.cameras == {"A": {"gain": 1.0}, "B": {"gain": 2.0}}


KEEP = """
import sys
from napari_zarr_stream._dock.remembered import Remembered
for number in range(40):
    remembered = Remembered()
    remembered.choices[f"{sys.argv[1]}{number}"] = number
    while not remembered.save():
        pass
"""


def test_two_programs_that_save_at_once_lose_nothing(folder):
    command = [sys.executable, "-c", KEEP]
    both = [subprocess.Popen([*command, name]) for name in "ab"]
    assert [each.wait() for each in both] == [0, 0]
    assert len(Remembered().choices) == 80


def test_a_file_that_another_program_has_is_left_to_the_next_save(folder):
    Remembered().save()
    folder.mkdir(exist_ok=True)
    remembered = Remembered()
    remembered.choices["tile_width"] = 256
    other = QLockFile(str(folder / f"{FILE_NAME}.lock"))
    assert other.tryLock(0)
    assert not remembered.save()
    assert Remembered().choices == {}
    other.unlock()
    assert remembered.save()
    assert Remembered().choices == {"tile_width": 256}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        "null",
        '{"choices": 3, "cameras": [4]}',
        "\x00\ud7ff",
        "9" * 9,
    ],
)
def test_a_file_that_makes_no_sense_is_as_none(folder, text):
    folder.mkdir()
    (folder / FILE_NAME).write_bytes(text.encode("utf-8") + b"\xff" * (text == "{"))
    remembered = Remembered()
    assert remembered.choices == remembered.cameras == {}
    remembered.choices["uri"] = "here"
    remembered.save()
    assert Remembered().choices == {"uri": "here"}


def test_what_is_no_value_is_left_out(folder):
    folder.mkdir()
    stored = {
        "choices": {"a": [1], "b": None, "c": 2},
        "cameras": {"one": {"gain": {}, "width": 9}, "two": 5},
    }
    (folder / FILE_NAME).write_text(json.dumps(stored))
    remembered = Remembered()
    assert remembered.choices == {"c": 2}
    assert remembered.cameras == {"one": {"width": 9}, "two": {}}


def test_a_folder_that_cannot_be_written_stops_nobody(monkeypatch, tmp_path, caplog):
    (tmp_path / "a file").write_text("in the way")
    monkeypatch.setenv("NAPARI_CONFIG", str(tmp_path / "a file" / "settings.yaml"))
    remembered = Remembered()
    remembered.choices["tile_width"] = 256
    remembered.save()
    assert "could not be kept" in caplog.text


def test_an_empty_variable_keeps_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    remembered = Remembered()
    remembered.choices["tile_width"] = 256
    remembered.save()
    assert not list(tmp_path.rglob(FILE_NAME))
