"""Labels into the store of their image: there as a whole, and nothing else changed."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import zarr
from judges import ask
from needs import needs_exchange

from napari_zarr_stream import DeviceKind, InvalidProperties, StoreExists
from napari_zarr_stream._reading.reader import layers_of
from napari_zarr_stream._saving.export import default_properties, export_layers
from napari_zarr_stream._saving.into_store import save_into
from napari_zarr_stream._sources.layer import LayerSource
from napari_zarr_stream._writer import system
from napari_zarr_stream._writer.local_store import LocalStore

SHAPE = (3, 40, 50)


def pixels(dtype="u2"):
    return np.arange(np.prod(SHAPE), dtype=dtype).reshape(SHAPE) // 50


def labels(name="cells", more=0, shape=SHAPE, **meta):
    given = np.arange(np.prod(shape), dtype="i4").reshape(shape) // 70 + more
    return LayerSource(given, {"name": name} | meta, "labels")


def ours(path, kind=DeviceKind.ZARR_V3_ZSTD):
    image = LayerSource(pixels(), {"name": "image"}, axes="zyx")
    small = replace(default_properties(path, kind), tile_width=32, tile_height=32)
    export_layers([image], small)


def with_labels(path):
    image = LayerSource(pixels(), {"name": "image"}, axes="zyx")
    other = LayerSource(pixels(), {"name": "other"}, "labels", axes="zyx")
    export_layers([image, other], default_properties(path))


def by_hand(path, version):
    """As another program has it: chunks of its own, and no record of ours."""
    zarr_format = {"0.4": 2, "0.5": 3}[version]
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    root.create_array("full", data=pixels(), chunks=(1, 40, 25))
    scale = {"type": "scale", "scale": [2.0, 0.5, 0.5]}
    multiscale = {
        "axes": [{"name": axis, "type": "space"} for axis in "zyx"],
        "datasets": [{"path": "full", "coordinateTransformations": [scale]}],
    }
    if version == "0.4":
        root.attrs["multiscales"] = [{"version": "0.4", **multiscale}]
    else:
        root.attrs["ome"] = {"version": "0.5", "multiscales": [multiscale]}


STORES = {
    "ours": ours,
    "ours, v2": lambda path: ours(path, DeviceKind.ZARR_LZ4),
    "ours, with labels": with_labels,
    "by hand 0.4": lambda path: by_hand(path, "0.4"),
    "by hand 0.5": lambda path: by_hand(path, "0.5"),
}


def state_of(store):
    """Every file below a store but those of labels `cells`, and what is in it."""
    return {
        str(file.relative_to(store)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in store.rglob("*")
        if file.is_file() and "cells" not in file.parts
    }


def into(store, source, **other):
    properties = default_properties(store / "labels" / "cells")
    return save_into(store, source, replace(properties, **other))


def seen(store):
    return {
        meta["name"]: np.asarray(data[0] if meta["multiscale"] else data)
        for data, meta, kind in layers_of(store)
        if kind == "labels"
    }


@pytest.mark.parametrize("name", STORES)
def test_labels_are_there_and_nothing_else_changed(name, tmp_path):
    store = tmp_path / "a.zarr"
    STORES[name](store)
    before = state_of(store)
    source = labels()
    assert into(store, source)
    after = state_of(store)
    changed = {
        key for key in after.keys() | before.keys() if after.get(key) != before.get(key)
    }
    assert all(key.startswith("labels") for key in changed)
    assert len(changed) <= 2  # documents that list the labels
    np.testing.assert_array_equal(seen(store)["cells"], labels()._levels[0])
    assert len(seen(store)) == 1 + (name == "ours, with labels")
    assert list(tmp_path.iterdir()) == [store]
    if "hand" not in name:
        ask("yaozarrs", store)
    ask("yaozarrs", store / "labels" / "cells")
    group = zarr.open_group(store / "labels", mode="r")
    assert "cells" in group.attrs.get("ome", group.attrs)["labels"]


@pytest.mark.filterwarnings("ignore:Consolidated metadata is currently")
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_consolidated_metadata_stay_and_that_is_told(tmp_path, version):
    store = tmp_path / "a.zarr"
    by_hand(store, version)
    zarr.consolidate_metadata(store)
    before, told = state_of(store), []
    properties = default_properties(store / "labels" / "cells")
    assert save_into(store, labels(), properties, tell=told.append)
    after = state_of(store)
    assert {key: after[key] for key in before} == before
    assert "zarr.consolidate_metadata" in told[0]
    zarr.consolidate_metadata(store)
    assert "labels/cells" in dict(zarr.open_consolidated(store).members(None))
    by_hand(tmp_path / "b.zarr", version)
    assert into(tmp_path / "b.zarr", labels())  # and no warning: it would be an error


def test_labels_of_ours_are_replaced_where_that_is_asked_for(tmp_path):
    store = tmp_path / "a.zarr"
    with_labels(store)
    into(store, labels())
    before = state_of(store)
    with pytest.raises(StoreExists, match="ask to replace"):
        into(store, labels(more=5))
    into(store, labels(more=5), overwrite=True)
    assert state_of(store) == before
    assert seen(store)["cells"].min() == 5
    assert set(seen(store)) == {"cells", "other"}
    assert list(tmp_path.iterdir()) == [store]


def test_labels_of_others_are_never_replaced(tmp_path):
    store = tmp_path / "a.zarr"
    by_hand(store, "0.5")
    theirs = zarr.open_group(store, mode="a").create_group("labels/cells")
    theirs.attrs["theirs"] = 1
    with pytest.raises(InvalidProperties, match="another program"):
        into(store, labels(), overwrite=True)


REFUSED = {
    "another shape": (labels(shape=(3, 40, 51)), "do not cover"),
    "an image": (LayerSource(pixels(), {"name": "i"}, axes="zyx"), "no labels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_belong_there_is_refused(name, tmp_path):
    source, said = REFUSED[name]
    store = tmp_path / "a.zarr"
    ours(store)
    before = state_of(store)
    with pytest.raises(InvalidProperties, match=said):
        into(store, source)
    assert state_of(store) == before
    assert list(tmp_path.iterdir()) == [store]


def test_a_store_of_an_older_version_is_refused(tmp_path):
    store = tmp_path / "a.zarr"
    ours(store, DeviceKind.ZARR)
    document = json.loads((store / ".zattrs").read_text())
    document["multiscales"][0]["version"] = "0.3"
    document["omero"].pop("version")
    (store / ".zattrs").write_text(json.dumps(document))
    with pytest.raises(InvalidProperties, match=r"0\.3"):
        into(store, labels())


def test_stopping_leaves_the_store_as_it_was(tmp_path):
    store = tmp_path / "a.zarr"
    ours(store)
    before = state_of(store)
    properties = default_properties(store / "labels" / "cells")
    assert not save_into(store, labels(), properties, should_stop=lambda: True)
    assert state_of(store) == before
    assert list(tmp_path.iterdir()) == [store]


class Killed(BaseException):
    """Nothing is done after it."""


@pytest.mark.parametrize(
    "name", ["ours", pytest.param("ours, with labels", marks=needs_exchange)]
)
def test_an_end_at_any_call_leaves_the_store_as_it_was(name, tmp_path, monkeypatch):
    """Or with labels that are whole: the old ones, or the new ones."""

    def dying(call):
        def counted(*given):
            if store / "labels" not in (given[1], given[1].parent):
                return call(*given)  # of the writer, in threads of its own
            calls.append(call)
            if len(calls) == last:
                monkeypatch.setattr(LocalStore, "discard", lambda self: None)
                raise Killed
            return call(*given)

        return counted

    for name_of_call in ("rename", "replace", "exchange"):
        call = getattr(system, name_of_call)
        monkeypatch.setattr(system, name_of_call, dying(call))
    discard = LocalStore.discard
    for at in range(1, 9):
        last, calls = 0, []
        store = tmp_path / f"{at}" / "a.zarr"
        STORES[name](store)
        if "with" in name:
            into(store, labels())
        before, had = state_of(store), seen(store)
        last, calls = at, []
        try:
            into(store, labels(more=5), overwrite=True)
        except Killed:
            monkeypatch.setattr(LocalStore, "discard", discard)
            now = seen(store)
            assert now.keys() <= had.keys() | {"cells"}
            assert now.keys() >= had.keys()
            if "with" in name:
                assert state_of(store) == before
            if "cells" in now:
                assert now["cells"].min() in (0, 5)
        else:
            break
    assert at > 1


def test_two_names_change_places(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "said").write_text(name)
    system.exchange(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "a" / "said").read_text() == "b"
    assert (tmp_path / "b" / "said").read_text() == "a"
