"""OME-NGFF 0.6: images in coordinate systems, written by hand from the specification.

The only writer of it here, ngff-zarr, writes scales and translations; ome-zarr-py does
from 0.19 on, which wants Python 3.12. What both write is as in the first rows.
"""

import json

import ngff_zarr
import numpy as np
import pytest
from napari.components import ViewerModel
from odd_stores import addressed, array_v3, full_size, group_v3, halved, opened

from napari_zarr_stream._reading.info import facts_of
from napari_zarr_stream.cli import main

PIXELS = addressed((3, 40, 50))
UM = "micrometer"


def system(name, *axes):
    """A coordinate system, of axes as "x:unit"."""
    kinds = {"c": "channel", "t": "time"}
    entries = []
    for axis in axes:
        letter, _, unit = axis.partition(":")
        entry = {"name": letter, "type": kinds.get(letter, "space")}
        entries.append(entry | ({"unit": unit} if unit else {}))
    return {"name": name, "axes": entries}


def scale(*values):
    return {"type": "scale", "scale": list(values)}


def move(*values):
    return {"type": "translation", "translation": list(values)}


def affine(*rows):
    return {"type": "affine", "affine": [list(row) for row in rows]}


def rotation(*rows):
    return {"type": "rotation", "rotation": [list(row) for row in rows]}


def sequence(*transformations):
    return {"type": "sequence", "transformations": list(transformations)}


def to(name, transformation, begin="intrinsic"):
    ends = {"input": {"name": begin}, "output": {"name": name}}
    return transformation | ends


INTRINSIC = system("intrinsic", f"z:{UM}", f"y:{UM}", f"x:{UM}")
PHYSICAL = system("physical", "z:nanometer", "y:nanometer", "x:nanometer")
ALIGNED = system("aligned", f"z:{UM}", f"y:{UM}", f"x:{UM}")
OTHER_ORDER = system("atlas", f"x:{UM}", f"y:{UM}", f"z:{UM}")
FLAT = system("slice", f"y:{UM}", f"x:{UM}")
ARRAY = {
    "name": "array",
    "axes": [{"name": f"dim_{i}", "type": "array"} for i in range(3)],
}

OWN = sequence(scale(4, 2, 2), move(0, 1, 1))
SIZE, START = [4, 2, 2], [0, 1, 1]
IN_UM, IN_NM, IN_PX = [UM] * 3, ["nanometer"] * 3, ["pixel"] * 3

TURN = rotation([1, 0, 0], [0, 0, -1], [0, 1, 0])
TURNED = [[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
SHEAR = affine([1, 0, 0, 5], [0, 1, 0.5, 6], [0, 0, 1, 7])
SHEARED = [[1, 0, 0, 5], [0, 1, 0.5, 6], [0, 0, 1, 7], [0, 0, 0, 1]]
DESKEW = affine([1, 0, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0])
DESKEWED = [[1, 0, 0, 0], [0.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
MIRROR = affine([1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0])
MIRRORED = [[1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
WARP = {"type": "displacements", "path": "coordinateTransformations/warp"}
SWAP = {"type": "mapAxis", "mapAxis": [0, 2, 1]}
APART = {
    "type": "byDimension",
    "transformations": [
        {"transformation": scale(2), "inputAxes": [0], "outputAxes": [0]}
    ],
}

# id: coordinate systems; transformation of level 0; of all levels; then scale,
# translation, affine, units, what is said
CASES = {
    "scale": ([INTRINSIC], scale(4, 2, 2), [], SIZE, [0] * 3, None, IN_UM, ""),
    "identity": (
        [INTRINSIC], {"type": "identity"}, [], [1] * 3, [0] * 3, None, IN_UM, "",
    ),
    "sequence": ([INTRINSIC], OWN, [], SIZE, START, None, IN_UM, ""),
    "not-the-first": ([ARRAY, INTRINSIC], OWN, [], SIZE, START, None, IN_UM, ""),
    # the example of the specification: multiscales_transformations
    "into-another": (
        [PHYSICAL, INTRINSIC], OWN, [to("physical", scale(10, 10, 10))],
        [40, 20, 20], [0, 10, 10], None, IN_NM, "",
    ),
    "sequence-into-another": (
        [INTRINSIC, ALIGNED], OWN,
        [to("aligned", sequence(scale(1, 2, 2), move(3, 0, 0)))],
        [4, 4, 4], [3, 2, 2], None, IN_UM, "",
    ),
    "rotation": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", TURN)],
        SIZE, START, TURNED, IN_UM, "",
    ),
    "affine": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", SHEAR)],
        SIZE, START, SHEARED, IN_UM, "",
    ),
    "affine-of-level-0": ([INTRINSIC], SHEAR, [], [1] * 3, [0] * 3, SHEARED, IN_UM, ""),
    "affine-in-a-sequence": (
        [INTRINSIC], sequence(*OWN["transformations"], SHEAR), [],
        SIZE, START, SHEARED, IN_UM, "",
    ),
    "mirrored": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", MIRROR)],
        SIZE, START, MIRRORED, IN_UM, "",
    ),
    "turned-and-back": (
        [INTRINSIC, ALIGNED], OWN,
        [to("aligned", sequence(TURN, rotation([1, 0, 0], [0, 0, 1], [0, -1, 0])))],
        SIZE, START, None, IN_UM, "",
    ),
    "out-of-its-planes": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", DESKEW)],
        SIZE, START, DESKEWED, IN_UM, "seen in 3D only",
    ),
    "two-others": (
        [INTRINSIC, ALIGNED, PHYSICAL], OWN,
        [to("aligned", SHEAR), to("physical", scale(9, 9, 9))],
        SIZE, START, SHEARED, IN_UM,
        "'scale' to coordinate system 'physical' is not applied: shown is 'aligned'",
    ),
    "the-first-that-can-be-shown": (
        [INTRINSIC, ALIGNED, PHYSICAL], OWN,
        [to("aligned", WARP), to("physical", scale(10, 10, 10))],
        [40, 20, 20], [0, 10, 10], None, IN_NM,
        "'displacements' to coordinate system 'aligned' is not applied: shown is "
        "'physical'",
    ),
    "from-elsewhere": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", SHEAR, begin="atlas")],
        SIZE, START, None, IN_UM, "not applied: shown is 'intrinsic'",
    ),
    "axes-in-another-order": (
        [INTRINSIC, OTHER_ORDER], OWN, [to("atlas", SHEAR)],
        SIZE, START, None, IN_UM, "to coordinate system 'atlas' is not applied",
    ),
    "fewer-axes": (
        [INTRINSIC, FLAT], OWN, [to("slice", affine([0, 1, 0, 0], [0, 0, 1, 0]))],
        SIZE, START, None, IN_UM, "to coordinate system 'slice' is not applied",
    ),
    # pixels have no names until they are somewhere
    "array-into-another": (
        [ARRAY, PHYSICAL], {"type": "identity"} | {"output": {"name": "array"}},
        [to("physical", OWN, begin="array")], SIZE, START, None, IN_NM, "",
    ),
    **{
        kind: (
            [INTRINSIC, ALIGNED], OWN, [to("aligned", transformation)],
            SIZE, START, None, IN_UM,
            f"'{kind}' to coordinate system 'aligned' is not applied",
        )
        for kind, transformation in {
            "displacements": WARP, "mapAxis": SWAP, "byDimension": APART,
            "coordinates": {"type": "coordinates", "path": "here"},
            "projectAxis": {"type": "projectAxis", "droppedInputs": [0]},
            "bijection": {"type": "bijection", "forward": SHEAR, "inverse": SHEAR},
            "wobble": {"type": "wobble"},
        }.items()
    },
    "affine-in-an-array": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", {"type": "affine", "path": "m"})],
        SIZE, START, None, IN_UM, "'affine' to coordinate system 'aligned' is not",
    ),
    "part-of-a-sequence": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", sequence(SHEAR, WARP))],
        SIZE, START, None, IN_UM, "'sequence' to coordinate system 'aligned' is not",
    ),
}  # fmt: skip

HUGE = affine([1, 0, 0, 0], [0, 1e200, 3, 0], [0, 0, 1e200, 0])
NO_DEPTH = affine([1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0])

# id: as above, of stores that are as nobody should write them
ODD = {
    "no-systems": ([], OWN, [], SIZE, START, None, IN_PX, ""),
    "systems-are-words": (["intrinsic"], OWN, [], SIZE, START, None, IN_PX, ""),
    "a-system-without-axes": (
        [{"name": "intrinsic"}], OWN, [], SIZE, START, None, IN_PX, "",
    ),
    "axes-are-a-number": (
        [{"name": "intrinsic", "axes": 3}], OWN, [], SIZE, START, None, IN_PX,
        "axes 3 are not those",
    ),
    "a-list-for-a-name": (
        [{"name": ["a"], "axes": INTRINSIC["axes"]}], OWN, [],
        SIZE, START, None, IN_UM, "",
    ),
    "input-and-output-are-words": (
        [INTRINSIC, PHYSICAL], OWN,
        [scale(10, 10, 10) | {"input": "intrinsic", "output": "physical"}],
        [40, 20, 20], [0, 10, 10], None, IN_NM, "",
    ),
    "no-input-and-no-output": (
        [INTRINSIC, ALIGNED], OWN, [SHEAR], SIZE, START, SHEARED, IN_UM, "",
    ),
    "output-that-is-no-system": (
        [INTRINSIC], OWN, [to("nowhere", SHEAR)], SIZE, START, SHEARED, IN_UM, "",
    ),
    "no-list": (
        [INTRINSIC, ALIGNED], OWN, to("aligned", SHEAR),
        SIZE, START, SHEARED, IN_UM, "",
    ),
    "a-word": (
        [INTRINSIC], OWN, ["affine"], SIZE, START, None, IN_UM, "is not applied",
    ),
    "affine-with-all-rows": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", affine(*SHEARED))],
        SIZE, START, SHEARED, IN_UM, "",
    ),
    "affine-of-another-size": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", affine([1, 2, 0], [0, 1, 0]))],
        SIZE, START, None, IN_UM, "'affine' is not applied",
    ),
    "affine-of-words": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", affine("abcd", [0] * 4, [0] * 4))],
        SIZE, START, None, IN_UM, "'affine' is not applied",
    ),
    "affine-of-0": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", affine(*[[0] * 4] * 3))],
        SIZE, START, None, IN_UM, "nothing of the image but a line",
    ),
    "nothing-of-it-is-left": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", NO_DEPTH)],
        SIZE, START, None, IN_UM, "nothing of the image but a line",
    ),
    "affine-of-nan": (
        [INTRINSIC, ALIGNED], OWN,
        [to("aligned", affine([1, 0, 0, 0], [0, 1, float("nan"), 0], [0, 0, 1, 0]))],
        SIZE, START, None, IN_UM, "'affine' is not applied",
    ),
    "huge": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", sequence(HUGE, HUGE))],
        SIZE, START, None, IN_UM, "its numbers are too large",
    ),
    "rotation-is-a-number": (
        [INTRINSIC, ALIGNED], OWN,
        [to("aligned", {"type": "rotation", "rotation": 30})],
        SIZE, START, None, IN_UM, "'rotation' is not applied",
    ),
    "a-thousand": (
        [INTRINSIC, ALIGNED], OWN, [to("aligned", TURN)] * 1000,
        SIZE, START, TURNED, IN_UM, "to coordinate system 'aligned' is not applied",
    ),
    "a-deep-sequence": (
        [INTRINSIC, ALIGNED], OWN,
        [to("aligned", sequence(sequence(sequence(sequence(SHEAR)))))],
        SIZE, START, SHEARED, IN_UM, "",
    ),
}  # fmt: skip


def multiscale(systems, own, common, levels=2):
    outputs = {"output": {"name": "intrinsic"}}
    datasets = [
        {
            "path": f"s{i}",
            "coordinateTransformations": [{"input": {"path": f"s{i}"}} | outputs | own],
        }
        for i in range(levels)
    ]
    said = {"name": "cells", "coordinateSystems": systems, "datasets": datasets}
    return said | ({"coordinateTransformations": common} if common else {})


def image(path, pixels, systems, own, common, **ome):
    """A store of OME-NGFF 0.6 with two levels."""
    axes = ("c", "z", "y", "x")[-pixels.ndim :]
    for i, level in enumerate(halved(pixels, axes)):
        array_v3(path / f"s{i}", level)
    entry = multiscale(systems, own, common)
    group_v3(path, {"ome": {"version": "0.6", "multiscales": [entry]} | ome})
    return path


@pytest.mark.parametrize("case", [*CASES.values(), *ODD.values()], ids=[*CASES, *ODD])
def test_an_image_is_shown_in_one_of_its_coordinate_systems(path, case):
    systems, own, common, size, start, turn, units, said = case
    image(path, PIXELS, systems, own, common)
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert [level.shape for level in layer[0]] == [(3, 40, 50), (3, 20, 25)]
    meta = layer[1]
    assert (meta["scale"], meta["translate"]) == (size, start)
    assert meta.get("affine") == turn
    assert meta["units"] == units
    assert meta["axis_labels"] == ["z", "y", "x"]
    assert said in words
    assert bool(said) == bool(words)
    facts = facts_of(path)
    assert facts["ome_ngff"] == "0.6"
    assert json.loads(json.dumps(facts))["affine"] == turn


def corner(layer, *pixel):
    """Where napari shows a pixel of a layer."""
    data, meta, kind = layer
    (shown,) = (
        getattr(ViewerModel(), f"add_{'labels' if kind == 'labels' else 'image'}")(
            data, **meta
        ),
    )
    return list(shown.data_to_world(pixel))


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


def field(path, value, common=()):
    pixels = np.full((20, 24), value, "u2")
    systems = [FLAT, system("aligned", f"y:{UM}", f"x:{UM}")]
    own = scale(0.5, 0.5) | {"output": {"name": "slice"}}
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


def test_what_ngff_zarr_writes_is_read(path):
    space = dict.fromkeys("zyx", UM)
    theirs = ngff_zarr.to_ngff_image(
        PIXELS,
        dims=["z", "y", "x"],
        scale={"z": 4.0, "y": 2.0, "x": 2.0},
        translation={"z": 0.0, "y": 1.0, "x": 1.0},
        axes_units=space,
    )
    levels = ngff_zarr.to_multiscales(theirs, scale_factors=[2], chunks=32)
    ngff_zarr.to_ngff_zarr(str(path), levels, version="0.6")
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert [level.shape for level in layer[0]] == [(3, 40, 50), (1, 20, 25)]
    assert (layer[1]["scale"], layer[1]["translate"]) == (SIZE, START)
    assert layer[1]["units"] == IN_UM
    assert words == ""
    assert facts_of(path)["ome_ngff"] == "0.6"
