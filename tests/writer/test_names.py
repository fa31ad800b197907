"""An image's name is its path's, without an ending that is known."""

from pathlib import Path

import numpy as np
import pytest
import zarr

from napari_zarr_stream import InvalidProperties, StorageProperties, ZarrStream
from napari_zarr_stream._reading.reader import get_reader, layers_of
from napari_zarr_stream._recording.naming import free_path
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.names import (
    image_name,
    is_store_name,
    refused_by_windows,
    split_ending,
    split_scheme,
)
from napari_zarr_stream._writer.plan import plan

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


# fmt: off
ADDRESSES = {
    # text: as Windows has it, as others have it; None: not of this computer
    "C:/data/a.zarr": ("C:/data/a.zarr", "C:/data/a.zarr"),
    "C:\\data\\a.zarr": ("C:\\data\\a.zarr", "C:\\data\\a.zarr"),
    "c://data/a.zarr": ("c://data/a.zarr", "c://data/a.zarr"),
    "\\\\server\\share\\a": ("\\\\server\\share\\a", "\\\\server\\share\\a"),
    "//server/share/a.zarr": ("//server/share/a.zarr", "//server/share/a.zarr"),
    "\\\\?\\C:\\data\\a.zarr": ("\\\\?\\C:\\data\\a.zarr", "\\\\?\\C:\\data\\a.zarr"),
    "file:///data/a.zarr": ("/data/a.zarr", "/data/a.zarr"),
    "file:/data/a.zarr": ("/data/a.zarr", "/data/a.zarr"),
    "FILE://localhost/data/a.zarr": ("/data/a.zarr", "/data/a.zarr"),
    "file:///data/my%20%C2%B5.zarr": ("/data/my µ.zarr", "/data/my µ.zarr"),
    "file:///data/50%.zarr": ("/data/50%.zarr", "/data/50%.zarr"),
    "file:///C:/data/a.zarr": ("C:/data/a.zarr", None),
    "file:///C:/my%20data/a.zarr": ("C:/my data/a.zarr", None),
    "file:///c|/data/a.zarr": ("c:/data/a.zarr", None),
    "file://C:/data/a.zarr": ("C:/data/a.zarr", None),
    "file:///C:\\data\\a.zarr": ("C:\\data\\a.zarr", None),
    "file://server/share/a.zarr": ("//server/share/a.zarr", None),
    "file:////server/share/a.zarr": ("//server/share/a.zarr", "//server/share/a.zarr"),
    "file.zarr": ("file.zarr", "file.zarr"),
    "file/a.zarr": ("file/a.zarr", "file/a.zarr"),
    "s3://bucket/a.zarr": (None, None),
    "https://server/a%20b.zarr": (None, None),
}
REFUSED_BY_WINDOWS = {
    "D:/data/cells.zarr": "", "\\\\server\\share\\cells.zarr": "", "../a/./b.zarr": "",
    "Zellwände µm 細胞.zarr": "", "auxiliary.zarr": "", "com10.zarr": "", "a.con": "",
    "\\\\?\\C:\\data\\a.zarr": "",
    "CON": "device", "aux.1": "device", "a/nul.zarr/a": "device", "Com1.zarr": "device",
    "lpt².zarr": "device", "prn .zarr": "device", "CONIN$": "device",
    "a.zarr.": "dot or a space", "a.zarr ": "dot or a space", "a./b": "dot or a space",
    "10:30.zarr": "':'", "what?.zarr": "'?'", 'a"b': "'\"'", "a<b>.zarr": "'<' '>'",
    "a\tb": r"'\t'", "C:cells.zarr": "C: is a drive", "x:": "x: is a drive",
}
# fmt: on


@pytest.mark.parametrize("is_windows", [True, False])
@pytest.mark.parametrize("text", ADDRESSES)
def test_an_address_of_a_file_is_a_path(monkeypatch, text, is_windows):
    monkeypatch.setattr(system, "IS_WINDOWS", is_windows)
    scheme, path = split_scheme(text)
    expected = ADDRESSES[text][0 if is_windows else 1]
    assert (path if not scheme else None) == expected
    if scheme:
        assert (scheme, path) == (text.split(":")[0], text)


@pytest.mark.parametrize("path", REFUSED_BY_WINDOWS)
def test_what_windows_has_against_a_name(monkeypatch, path):
    why = refused_by_windows(path)
    assert REFUSED_BY_WINDOWS[path] in why
    assert bool(REFUSED_BY_WINDOWS[path]) == bool(why)
    monkeypatch.setattr(system, "IS_WINDOWS", False)
    StorageProperties(path)  # elsewhere it may be
    monkeypatch.setattr(system, "IS_WINDOWS", True)
    if why:
        with pytest.raises(InvalidProperties, match="Choose another name"):
            StorageProperties(path)
    else:
        StorageProperties(path)


def test_an_address_of_a_file_is_written_and_read(tmp_path):
    store = tmp_path / "my cells 50%.zarr"
    with ZarrStream(
        StorageProperties(store.as_uri()), axes="tyx", shape=(None, 8, 8), dtype="uint8"
    ) as stream:
        stream.append(np.ones((8, 8), "uint8"))
    assert store.is_dir()
    [(_, meta, _)] = get_reader(store.as_uri())(store.as_uri())
    assert meta["name"] == "my cells 50%"


@pytest.mark.parametrize("depth", [3, 1 + system.LONGEST_PATH // 241])
def test_a_folder_so_deep_that_files_have_no_name_there_is_refused(tmp_path, depth):
    deep = tmp_path.joinpath(*["a" * 240] * depth)
    given = {"axes": "tyx", "shape": (None, 8, 8), "dtype": "uint8"}
    properties = StorageProperties(deep)
    if depth == 3 and system.LONGEST_PATH > 1024:
        assert plan(properties, **given)
        return
    with pytest.raises(InvalidProperties, match="choose a shorter name, or a folder"):
        plan(properties, **given)
    assert list(tmp_path.iterdir()) == []
