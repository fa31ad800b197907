"""Where an image lies, whatever its transformations are: the pixels are shown."""

import numpy as np
import pytest
from odd_stores import addressed, full_size, image_v2, opened

PIXELS = addressed((3, 40, 50))
AXES = "zyx"


def scale(*values):
    return [{"type": "scale", "scale": list(values)}]


def move(*values):
    return [{"type": "translation", "translation": list(values)}]


def affine(*rows):
    return {"type": "affine", "affine": [list(row) for row in rows]}


STRAIGHT = affine([2, 0, 0, 5], [0, 3, 0, 6], [0, 0, 4, 7])
TURNED = affine([1, 0, 0, 0], [0, 0.9, -0.4, 10], [0, 0.4, 0.9, 5])
SPACE, WORLD = ({"name": name} for name in ("zyx", "global"))
ONE, ORIGIN = [1, 1, 1], [0, 0, 0]

# id: transformations of level 0, of all levels, scale, translation, what is said
CASES = {
    # acquire-project/acquire-python 97 and 182, glencoesoftware/bioformats2raw 280,
    # czbiohub-sf/iohub 361: a scale that nobody set
    "scale-0": (scale(0, 2, 2), [], [1, 2, 2], ORIGIN, "scale 0 of axis z"),
    "all-0": (scale(0.0, 0.0, 0.0), [], ONE, ORIGIN, "scale 0.0 of axis x"),
    "mirrored": (scale(1, -2, 2), [], [1, 2, 2], ORIGIN, "scale -2 of axis y"),
    "nan": (scale(float("nan"), 2, 2), [], [1, 2, 2], ORIGIN, "scale nan of axis z"),
    "infinite": (scale(1, 2, float("inf")), [], [1, 2, 1], ORIGIN, "inf of axis x"),
    "huge": (scale(1, 2, 1e300), [], [1, 2, 1], ORIGIN, "of axis x"),
    "tiny": (scale(1, 2, 1e-300), [], ONE, ORIGIN, "passed over"),
    "null": (scale(None, 2, 2), [], [1, 2, 2], ORIGIN, "scale None of axis z"),
    "words": (scale("a", 2, 2), [], [1, 2, 2], ORIGIN, "scale 'a' of axis z"),
    "numbers-as-words": (scale("3", "2", "2"), [], [3, 2, 2], ORIGIN, ""),
    "true": (scale(True, 2, 2), [], [1, 2, 2], ORIGIN, "scale True of axis z"),
    "a-list": (scale([2], 2, 2), [], [1, 2, 2], ORIGIN, "scale [2] of axis z"),
    "shorter": (scale(2, 2), [], ONE, ORIGIN, "does not fit 3 axes"),
    "longer": (scale(1, 1, 2, 2, 2), [], ONE, ORIGIN, "does not fit 3 axes"),
    "one-number": ([{"type": "scale", "scale": 2}], [], ONE, ORIGIN, "does not fit"),
    "in-a-file": ([{"type": "scale", "path": "s"}], [], ONE, ORIGIN, "does not fit"),
    "none": ([], [], ONE, ORIGIN, ""),
    "no-list": (scale(1, 2, 3)[0], [], [1, 2, 3], ORIGIN, ""),
    "no-list-of-nothing": ({"type": "scale"}, [], ONE, ORIGIN, "does not fit"),
    "no-object": (["scale"], [], ONE, ORIGIN, "'scale' is no transformation"),
    "no-type": ([{"scale": [2, 2, 2]}], [], ONE, ORIGIN, "None is not applied"),
    # czbiohub-sf/iohub 75
    "moved": (scale(1, 2, 2) + move(0, -10.5, 3), [], [1, 2, 2], [0, -10.5, 3], ""),
    "moved-to-nan": (move(0, float("nan"), 3), [], ONE, [0, 0, 3], "translation nan"),
    "moved-to-words": (move(0, "here", 3), [], ONE, [0, 0, 3], "translation 'here'"),
    "moved-too-far": (move(0, 1e300, 3), [], ONE, [0, 0, 3], "of axis y"),
    # ome/ome-zarr-py 229, ome/napari-ome-zarr 157, scverse/spatialdata 849
    "all-levels": (scale(1, 2, 2), scale(3, 3, 3), [3, 6, 6], ORIGIN, ""),
    "identity": (scale(1, 2, 2), [{"type": "identity"}], [1, 2, 2], ORIGIN, ""),
    "affine": (scale(1, 2, 2), [TURNED], [1, 2, 2], ORIGIN, ""),
    "affine-that-is-straight": (scale(1, 2, 2), [STRAIGHT], [2, 6, 8], [5, 6, 7], ""),
    "affine-of-nothing": ([], [affine()], ONE, ORIGIN, "'affine' is not applied"),
    "rotation": (
        scale(1, 2, 2), [{"type": "rotation", "rotation": []}], [1, 2, 2], ORIGIN,
        "'rotation' is not applied",
    ),
    "sequence": (
        scale(1, 2, 2),
        [{"type": "sequence", "transformations": scale(1, 2, 2) + move(0, 5, 6)}],
        [1, 4, 4], [0, 5, 6], "",
    ),
    "sequence-in-a-sequence": (
        [{"type": "sequence", "transformations": [
            {"type": "sequence", "transformations": scale(1, 2, 3)}, *move(1, 1, 1)]}],
        [], [1, 2, 3], [1, 1, 1], "",
    ),
    "sequence-of-nothing": ([{"type": "sequence"}], [], ONE, ORIGIN, ""),
    "a-thousand": (scale(1, 1, 1) * 1000, [], ONE, ORIGIN, "only the first 64"),
    "two-systems": (
        scale(1, 2, 2),
        [{"input": SPACE, "output": WORLD, **scale(2, 2, 2)[0]},
         {"input": SPACE, "output": {"name": "aligned"}, **scale(9, 9, 9)[0]}],
        [2, 4, 4], ORIGIN, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("own", "common", "size", "start", "said"), CASES.values(), ids=CASES
)
def test_pixels_are_shown_wherever_they_lie(path, own, common, size, start, said):
    image_v2(
        path,
        AXES,
        [PIXELS],
        datasets=[{"path": "0", "coordinateTransformations": own}],
        coordinateTransformations=common,
    )
    (layer,), words = opened(path)
    np.testing.assert_array_equal(full_size(layer), PIXELS)
    assert layer[1]["scale"] == size
    assert layer[1]["translate"] == start
    assert ("affine" in layer[1]) == (TURNED in common)
    assert said in words
    assert bool(said) == bool(words)
