"""OME-NGFF 0.6: channels, labels, plates, positions and scenes, and other writers."""

import ngff_zarr
import numpy as np
import pytest
from napari.components import ViewerModel
from ngff06 import UM, affine, image, move, rotation, scale, sequence, system, to
from odd_stores import addressed, full_size, group_v3, opened

from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream.cli import main

FLAT = system("slice", f"y:{UM}", f"x:{UM}")


def corner(layer, *pixel):
    """Where napari shows a pixel of a layer."""
    data, meta, kind = layer
    model = ViewerModel()
    add = model.add_labels if kind == "labels" else model.add_image
    return list(add(data, **meta).data_to_world(pixel))


C_INTRINSIC = system("intrinsic", "c", f"y:{UM}", f"x:{UM}")
C_ALIGNED = system("aligned", "c", f"y:{UM}", f"x:{UM}")
C_OWN = sequence(scale(1, 2, 2), move(0, 1, 1))
C_TURN = affine([1, 0, 0, 0], [0, 0, -1, 8], [0, 1, 0, 9])
C_MIXED = affine([1, 0.5, 0, 0], [0, 0, -1, 8], [0, 1, 0, 9])


def test_channels_are_turned_alike_and_labels_lie_on_them(path):
    """Labels say nothing of the system that the image is shown in; they have no c."""
    pixels = addressed((2, 40, 50))
    image(path, pixels, [C_INTRINSIC, C_ALIGNED], C_OWN, [to("aligned", C_TURN)])
    group_v3(path / "labels", {"ome": {"version": "0.6", "labels": ["cells"]}})
    flat = sequence(scale(2, 2), move(1, 1))
    image(path / "labels" / "cells", pixels[0], [FLAT], flat, [], **{"image-label": {}})
    layers, words = opened(path)
    assert [kind for *_, kind in layers] == ["image", "image", "labels"]
    assert words == ""
    for layer in layers:
        assert (layer[1]["scale"], layer[1]["translate"]) == ([2, 2], [1, 1])
        assert layer[1]["units"] == [UM, UM]
        # y = 8 - (2 * 3 + 1), x = 9 + (2 * 5 + 1)
        assert corner(layer, 5, 3) == [1, 20]


NUDGE = move(5, 6) | {
    "input": {"path": "labels/cells", "name": "slice"},
    "output": {"name": "intrinsic"},
}
BENT = NUDGE | {"type": "displacements", "path": "coordinateTransformations/bent"}

# id: what the image says of all levels; where the labels are then, what is said
ON_IMAGES = {
    "nothing": ([], [7, 11], ""),
    "of-the-labels": ([NUDGE], [12, 17], ""),
    "of-both": ([NUDGE, to("aligned", C_TURN)], [8 - 17, 9 + 12], ""),
    "what-is-not-applied": ([BENT], [7, 11], "to coordinate system 'of the image'"),
}


@pytest.mark.parametrize(("common", "seen", "said"), ON_IMAGES.values(), ids=ON_IMAGES)
def test_where_labels_are_is_said_by_their_image_too(path, common, seen, said):
    pixels = addressed((2, 40, 50))
    image(path, pixels, [C_INTRINSIC, C_ALIGNED], C_OWN, common)
    group_v3(path / "labels", {"ome": {"version": "0.6", "labels": ["cells"]}})
    flat = sequence(scale(2, 2), move(1, 1))
    image(path / "labels" / "cells", pixels[0], [FLAT], flat, [])
    layers, words = opened(path)
    assert corner(layers[0], 3, 5) == ([-3, 16] if len(common) == 2 else [7, 11])
    assert corner(layers[-1], 3, 5) == seen
    assert said in words
    assert bool(said) == bool(words)


def test_channels_are_not_mixed_into_space(path):
    pixels = addressed((2, 40, 50))
    image(path, pixels, [C_INTRINSIC, C_ALIGNED], C_OWN, [to("aligned", C_MIXED)])
    layers, words = opened(path)
    assert len(layers) == 2
    assert "affine" not in layers[0][1]
    assert "is not applied: axis c is no axis of space" in words


def field(path, value, common=(), start=0):
    pixels = np.full((20, 24), value, "u2")
    systems = [FLAT, system("aligned", f"y:{UM}", f"x:{UM}")]
    own = sequence(scale(0.5, 0.5), move(0, start)) | {"output": {"name": "slice"}}
    return image(path, pixels, systems, own, list(common))


TURNED_FIELD = to("aligned", rotation([0, -1], [1, 0]), begin="slice")


def test_a_plate_and_a_well(tmp_path, capsys):
    root = tmp_path / "plate.ome.zarr"
    names = [{"name": "1"}, {"name": "2"}]
    wells = [{"path": f"A/{i + 1}", "rowIndex": 0, "columnIndex": i} for i in range(2)]
    plate = {"rows": [{"name": "A"}], "columns": names, "wells": wells}
    group_v3(root, {"ome": {"version": "0.6", "plate": plate}})
    for i in range(2):
        well = root / "A" / str(i + 1)
        fields = [{"path": "0"}]
        group_v3(well, {"ome": {"version": "0.6", "well": {"images": fields}}})
        field(well / "0", i, [TURNED_FIELD] * i)
    ((data, meta, _),), words = opened(root)
    assert np.asarray(data[0])[::19, ::47].tolist() == [[0, 1], [0, 1]]
    assert (meta["scale"], meta["units"]) == ([0.5, 0.5], [UM, UM])
    assert words == ""
    ((data, meta, _),), words = opened(root / "A" / "2")
    assert "affine" not in meta
    assert "fields" in words
    assert "are shown straight" in words
    for path in (root, root / "A" / "1"):
        assert facts_of(path)["ome_ngff"] == "0.6"
        assert main(["info", str(path)]) == 0
        assert "OME-NGFF 0.6" in capsys.readouterr().out


def test_positions_behind_a_slider(path):
    group_v3(path, {"ome": {"version": "0.6", "bioformats2raw.layout": 3}})
    for i in range(2):
        field(path / str(i), i, [TURNED_FIELD], start=12 * i)
    ((data, meta, _),), words = opened(path)
    assert np.asarray(data[0])[:, 0, 0].tolist() == [0, 1]
    assert (meta["scale"], meta["axis_labels"]) == ([1, 0.5, 0.5], ["p", "y", "x"])
    assert "affine" not in meta
    assert "positions" in words
    assert "are shown straight" in words
    facts = facts_of(path)
    assert (facts["kind"], facts["ome_ngff"]) == ("series", "0.6")


def scene(path, transformations, names=("left", "right")):
    for i, name in enumerate(names):
        field(path / name, i + 1)
    world = {"coordinateSystems": [system("world", f"y:{UM}", f"x:{UM}")]}
    said = world | {"coordinateTransformations": transformations}
    group_v3(path, {"ome": {"version": "0.6", "scene": said}})
    return path


def into_world(path):
    ends = {"input": {"path": path, "name": "slice"}, "output": {"name": "world"}}
    return move(0, 348) | ends


# id: what a scene says of its images, those that are shown in their order
SCENES = {
    "all": ([into_world("right"), into_world("left")], ["right", "left"]),
    "one": ([into_world("right")], ["right", "left"]),
    "none": ([], ["left", "right"]),
    "no-list": ("nothing", ["left", "right"]),
    "not-there": ([into_world("middle")], ["left", "right"]),
    "outside": ([into_world("../image.ome.zarr/left")], ["left", "right"]),
    "itself": ([into_world("."), into_world("/")], ["left", "right"]),
    "a-number": ([into_world(5), 5, {"input": "left"}], ["left", "right"]),
}


@pytest.mark.parametrize(("transformations", "shown"), SCENES.values(), ids=SCENES)
def test_images_of_a_scene_are_shown_each_by_itself(path, transformations, shown):
    layers, words = opened(scene(path, transformations))
    values = {"left": 1, "right": 2}
    assert [full_size(layer)[0, 0] for layer in layers] == [values[n] for n in shown]
    assert [layer[1]["translate"] for layer in layers] == [[0, 0]] * 2
    assert "how the images of a scene lie to each other is not applied" in words
    facts = facts_of(path)
    assert (facts["kind"], facts["ome_ngff"]) == ("scene", "0.6")
    assert [entry["path"] for entry in facts["images"]] == [
        str(path / n) for n in shown
    ]
    assert any("not applied" in warning for warning in facts["warnings"])


of_others = pytest.mark.filterwarnings("ignore:Setting the shape:DeprecationWarning")
"""What ngff-zarr halves images with does so, and NumPy 2.5 warns of it."""


@of_others
def test_a_scene_of_ngff_zarr_is_read(path):
    from ngff_zarr.v06.zarr_metadata import Axis, CoordinateSystem
    from ngff_zarr.v06.zarr_metadata import CoordinateSystemIdentifier as End
    from ngff_zarr.v06.zarr_metadata import Translation as Move

    images = {
        name: ngff_zarr.to_multiscales(
            ngff_zarr.to_ngff_image(np.full((64, 64), value, "u2"), dims=["y", "x"]),
            scale_factors=[2],
            chunks=32,
        )
        for name, value in (("left", 1), ("right", 2))
    }
    axes = [Axis(name=name, type="space", unit=UM) for name in "yx"]
    moves = [
        Move(
            translation=[0.0, 64.0 * i],
            input=End(name="intrinsic", path=name),
            output=End(name="world"),
        )
        for i, name in enumerate(images)
    ]
    theirs = ngff_zarr.NgffScene(images, moves, [CoordinateSystem("world", axes)])
    ngff_zarr.to_ngff_zarr(str(path), theirs, version="0.6")
    layers, words = opened(path)
    assert [full_size(layer)[0, 0] for layer in layers] == [1, 2]
    assert "how the images of a scene lie to each other is not applied" in words


VOLUME = addressed((3, 40, 50))


@of_others
def test_what_ngff_zarr_writes_is_read(path):
    space = dict.fromkeys("zyx", UM)
    theirs = ngff_zarr.to_ngff_image(
        VOLUME,
        dims=["z", "y", "x"],
        scale={"z": 4.0, "y": 2.0, "x": 2.0},
        translation={"z": 0.0, "y": 1.0, "x": 1.0},
        axes_units=space,
    )
    levels = ngff_zarr.to_multiscales(theirs, scale_factors=[2], chunks=32)
    ngff_zarr.to_ngff_zarr(str(path), levels, version="0.6")
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), VOLUME)
    assert [level.shape for level in layer[0]] == [(3, 40, 50), (1, 20, 25)]
    assert (layer[1]["scale"], layer[1]["translate"]) == ([4, 2, 2], [0, 1, 1])
    assert layer[1]["units"] == [UM] * 3
    assert words == ""
    assert facts_of(path)["ome_ngff"] == "0.6"
