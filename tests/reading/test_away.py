"""Fields of a plate while nobody answers for a while: none is left out for that."""

import warnings

import numpy as np
import pytest
from odd_stores import addressed, group_v2, image_v2
from servers import serving
from tables import long_but

from napari_zarr_stream._reading.location import Away
from napari_zarr_stream._reading.reader import layers_of

COLUMNS = 9
"""More than are opened to look for contrast."""

LAST = f"/A/{COLUMNS}/0/"
PIXELS = addressed((9, 12, 16))
PLANE = np.hstack([PIXELS[5]] * COLUMNS)


@pytest.fixture
def plate(tmp_path):
    """One level of it as napari has it, and its server; warnings are failures."""
    columns = [str(n + 1) for n in range(COLUMNS)]
    wells = [
        {"path": f"A/{name}", "rowIndex": 0, "columnIndex": n}
        for n, name in enumerate(columns)
    ]
    said = {
        "rows": [{"name": "A"}],
        "columns": [{"name": name} for name in columns],
        "wells": wells,
    }
    group_v2(tmp_path, {"plate": said})
    for well in wells:
        path = tmp_path / well["path"]
        group_v2(path, {"well": {"images": [{"path": "0"}]}})
        levels = [PIXELS, PIXELS[:, ::2, ::2]]
        image_v2(path / "0", "tyx", levels, (1, 12, 16))
    with serving(tmp_path) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        ((levels, _, _),) = layers_of(server.address)
        yield levels[0], server


def test_all_fields_are_there_when_the_server_is_back(plate):
    level, server = plate
    for _ in range(2):
        with server.away(), pytest.raises(Away, match="closed the connection"):
            np.asarray(level[5])
    np.testing.assert_array_equal(level[5], PLANE)


def dropping(most, path):
    """Requests of what lies there are not answered, so many times."""
    left = [most]

    def answer(handler, asked, data):
        if path not in asked or not left[0]:
            return None
        left[0] -= 1
        return 503, b"", {}

    return answer


# id: which requests of the last field fail, and how many: four documents, four times
PASSING = {"its documents": (LAST, 16), "its pixels": (f"{LAST}0/5/", 4)}


@pytest.mark.parametrize("case", PASSING)
def test_a_field_that_fails_for_a_while_is_not_left_out(case, plate):
    level, server = plate
    path, times = PASSING[case]
    server.instead = dropping(times, path)
    np.testing.assert_array_equal(level[5], PLANE)


# id: which requests of the last field always fail
LASTING = {"its documents": LAST, "its pixels": f"{LAST}0/5/"}


@pytest.mark.parametrize("case", long_but(LASTING, "its pixels"))
def test_a_field_that_alone_fails_hides_no_other(case, plate):
    level, server = plate
    server.instead = dropping(10**6, LASTING[case])
    with pytest.warns(UserWarning, match="left out a field: .*trouble of its own"):
        plane = np.asarray(level[5])
    np.testing.assert_array_equal(plane[:, :-16], PLANE[:, :-16])
    assert not plane[:, -16:].any()
