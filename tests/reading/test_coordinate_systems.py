"""OME-NGFF 0.6: in which of its coordinate systems an image is shown, and how."""

import json

import numpy as np
import pytest
from ngff06 import UM, affine, image, move, rotation, scale, sequence, system, to
from odd_stores import addressed, full_size, opened

from napari_zarr_stream._reading.info import facts_of

PIXELS = addressed((3, 40, 50))

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
