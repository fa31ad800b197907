"""Documents that are damaged, newer, or none."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import (
    addressed,
    array_v2,
    array_v3,
    change,
    full_size,
    group_v2,
    group_v3,
    halved,
    image_v2,
    multiscale_of,
    opened,
    put,
    write,
)

from napari_zarr_stream import InvalidStore
from napari_zarr_stream._reading.info import facts_of, text_of
from napari_zarr_stream._reading.reader import get_reader, layers_of
from napari_zarr_stream.cli import main


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda m: m.update(datasets=["a"] * 65), "lists 65 levels"),
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


PIXELS = addressed((3, 40, 50))


# id: what version is said to be, what is said of that
VERSIONS = {
    # scverse/spatialdata 849, ome/ngff-spec 0.6
    "0.4-dev-spatialdata": "is read as 0.4",
    "0.5-dev-spatialdata": "is read as 0.5",
    "0.5.2": "is read as 0.5",
    "0.6": "",
    "0.6rc0": "is read as 0.6",
    "0.9.dev1": "is read as 0.5",
    "1.0": "is read as 0.5",
    "latest": "is read as 0.5",
    "": "",
    0.4: "is read as 0.4",
    None: "",
}


@pytest.mark.parametrize(("version", "said"), VERSIONS.items())
@pytest.mark.parametrize("form", ["v2", "v3"])
def test_pixels_do_not_depend_on_the_version(path, form, version, said):
    levels = halved(PIXELS, "zyx")
    if form == "v2":
        image_v2(path, "zyx", levels, version=version)
    else:
        for i, level in enumerate(levels):
            array_v3(path / str(i), level)
        entry = multiscale_of("zyx", levels, version=None)
        group_v3(path, {"ome": {"version": version, "multiscales": [entry]}})
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert said in words
    assert bool(said) == bool(words)


# id: what a name is said to be, what the layer is called
NAMES = {
    "none": (..., "image"),
    "null": (None, "image"),
    "empty": ("", "image"),
    "root": ("/", "image"),
    "number": (7, "7"),
    "list": (["a"], "image"),
    "object": ({"a": 1}, "image"),
    "lines": ("a\nb", "a b"),
    "half-a-letter": ("a\ud800", "a "),
    "a-path": ("/images/a", "images/a"),
    "dots": ("1.5 mM", "1.5 mM"),
}


@pytest.mark.parametrize(("given", "called"), NAMES.values(), ids=NAMES)
def test_odd_names(path, given, called):
    entry = multiscale_of("zyx", [PIXELS], name=given)
    if given is ...:
        del entry["name"]
    array_v2(path / "0", PIXELS)
    group_v2(path, {"multiscales": [entry]})
    (layer,), _ = opened(path)
    assert layer[1]["name"] == called
    ViewerModel().add_image(layer[0], **layer[1])


def in_v3(path, levels, attributes):
    for i, level in enumerate(levels):
        array_v3(path / str(i), level)
    group_v3(path, attributes)


# id: attributes of a v3 group, given what multiscales say
PLACES = {
    # acquire-project/acquire-zarr 68 and 0.1.0; others in 2024
    "in-ome": lambda said: {"ome": {"version": "0.5", "multiscales": said}},
    "beside": lambda said: {"multiscales": said},
    "beside-an-empty-ome": lambda said: {"ome": {}, "multiscales": said},
    "beside-a-version": lambda said: {"ome": {"version": "0.5"}, "multiscales": said},
    "no-list": lambda said: {"ome": {"multiscales": said[0]}},
    "ome-of-nothing": lambda said: {"ome": None, "multiscales": said},
}


@pytest.mark.parametrize("attributes", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("form", ["v2", "v3"])
def test_metadata_are_found_in_either_place(path, form, attributes):
    levels = halved(PIXELS, "zyx")
    said = attributes([multiscale_of("zyx", levels)])
    if form == "v3":
        in_v3(path, levels, said)
    else:
        image_v2(path, "zyx", levels)
        group_v2(path, said)
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert len(layer[0]) == 2
    assert words == ""
    assert facts_of(path)["shape"] == [3, 40, 50]


# id: zarr.json beside an intact image of v2
BESIDE = {
    # ome/ome-zarr-py 404 and 413: ordinary calls of zarr 3 leave one
    "empty-group": {"zarr_format": 3, "node_type": "group", "attributes": {}},
    "other-attributes": {
        "zarr_format": 3, "node_type": "group", "attributes": {"a": {"b": 1}},
    },
    "empty-ome": {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {}}},
    "no-images": {
        "zarr_format": 3, "node_type": "group",
        "attributes": {"ome": {"version": "0.5", "multiscales": []}},
    },
    "levels-that-are-not-there": {
        "zarr_format": 3, "node_type": "group",
        "attributes": {"ome": {"multiscales": [{"datasets": [{"path": "s0"}]}]}},
    },
    "no-object": [],
    "empty-object": {},
    "cut-off": None,
}  # fmt: skip


@pytest.mark.parametrize("document", BESIDE.values(), ids=BESIDE)
def test_what_says_nothing_hides_nothing(path, document):
    image_v2(path, "zyx", [PIXELS])
    put(path / "zarr.json", document)
    if document is None:
        (path / "zarr.json").write_text('{"zarr_fo')
    assert get_reader(str(path)) is not None
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert "zarr.json" in words
    assert "zarr.json" in text_of(facts_of(path))


def test_where_both_say_something_the_newer_counts(path):
    image_v2(path, "zyx", [PIXELS])
    in_v3(path / "new", [PIXELS + 1], {})
    entry = multiscale_of("zyx", [PIXELS], datasets=[{"path": "new/0"}])
    group_v3(path, {"ome": {"version": "0.5", "multiscales": [entry]}})
    (layer,), _ = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS + 1)


def consolidate(root, form):
    """Leave nothing but consolidated metadata, as `zarr.consolidate_metadata` has them.

    zarr-developers/zarr-python 2113 and 2329.
    """
    names = (".zgroup", ".zattrs", ".zarray") if form == "v2" else ("zarr.json",)
    found = {}
    for file in [each for name in names for each in root.rglob(name)]:
        key = file.relative_to(root) if form == "v2" else file.parent.relative_to(root)
        found[key.as_posix()] = json.loads(file.read_text())
        file.unlink()
    if form == "v2":
        put(root / ".zmetadata", {"zarr_consolidated_format": 1, "metadata": found})
        return
    document = found.pop(".")
    document["consolidated_metadata"] = {
        "kind": "inline", "must_understand": False, "metadata": found
    }  # fmt: skip
    put(root / "zarr.json", document)


@pytest.mark.parametrize("form", ["v2", "v3"])
@pytest.mark.parametrize("inside", ["", "A/1/0"])
def test_consolidated_metadata_are_enough(path, form, inside):
    levels = halved(PIXELS, "zyx")
    if form == "v2":
        image_v2(path / inside, "zyx", levels)
    else:
        ome = {"version": "0.5", "multiscales": [multiscale_of("zyx", levels)]}
        in_v3(path / inside, levels, {"ome": ome})
        group_v3(path, {"ome": ome} if not inside else {})
    consolidate(path, form)
    assert get_reader(str(path / inside)) is not None
    (layer,), words = opened(path / inside)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert len(layer[0]) == 2
    assert "said by nothing but the consolidated metadata" in words


def test_words_in_the_letters_of_an_old_computer(path):
    image_v2(path, "zyx", [PIXELS], name="5 µm")
    document = json.loads((path / ".zattrs").read_text())
    (path / ".zattrs").write_bytes(
        json.dumps(document, ensure_ascii=False).encode("latin-1")
    )
    (layer,), _ = opened(path)
    assert layer[1]["name"] == "5 µm"


def test_files_that_do_not_belong_there(path):
    """ome/napari-ome-zarr 106, napari 6850, pydata/xarray 10616."""
    image_v2(path, "zyx", halved(PIXELS, "zyx"))
    for junk in (".DS_Store", "._zarr.json", "a.txt", "0/Thumbs.db", "0/._0", "0/a.b"):
        (path / junk).write_bytes(b"\x00\x05\x16\x07 no json")
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert words == ""


@pytest.mark.parametrize("address", ["gs://b/c.zarr/", "ftp://example.org/a.ome.zarr"])
def test_an_address_of_another_kind_has_words_of_its_own(address):
    read = get_reader(address)
    with pytest.raises(InvalidStore, match=r"is an address \(\w+\), and only those"):
        read(address)


def test_an_address_of_this_computer(path):
    image_v2(path, "zyx", [PIXELS])
    (layer,) = get_reader(path.as_uri())(path.as_uri())
    np.testing.assert_array_equal(full_size(layer), PIXELS)


@pytest.mark.parametrize("name", ["a.zarr.zip", "a.ome.zarr"])
def test_a_zip_archive_is_read_whatever_its_name(path, tmp_path, name, capsys):
    image_v2(path, "zyx", [PIXELS])
    made = shutil.make_archive(str(tmp_path / "packed"), "zip", path)
    packed = Path(made).rename(tmp_path / name)
    (layer,) = get_reader(str(packed))(str(packed))
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert main(["info", str(packed)]) == 0
    assert str(packed) in capsys.readouterr().out
