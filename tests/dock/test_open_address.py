"""The dock that opens addresses: it waits for no server, and says what is wrong."""

import numpy as np
import pytest
from odd_stores import addressed, write
from servers import serving
from waiting import PATIENCE_S

from napari_zarr_stream._dock.open_address import OpenAddressWidget

PIXELS = addressed((3, 40, 50))


def test_an_address_is_opened_while_the_window_goes_on(viewer, tmp_path, qtbot):
    dock = OpenAddressWidget(viewer)
    assert not dock.labels, "the name of what is said would stand beside it"
    write(tmp_path / "cells", PIXELS)
    with serving(tmp_path) as server:
        dock.address.value = f"{server.address}/cells"
        with server.waiting():
            dock.open.native.click()
            assert dock.open.text == "Cancel"
            dock.open.native.click()
            assert not dock.is_opening
            dock.open.native.click()
            assert dock.is_opening
        qtbot.waitUntil(lambda: not dock.is_opening, timeout=1000 * PATIENCE_S)
        (layer,) = viewer.layers
        np.testing.assert_array_equal(layer.data[0], PIXELS)
        assert dock.state.value == "Opened: cells"


@pytest.mark.parametrize("page", [None, b"<html>"])
def test_what_is_wrong_is_said_in_the_dock(viewer, tmp_path, qtbot, page):
    dock = OpenAddressWidget(viewer)
    with serving(tmp_path) as server:
        server.page = page
        dock.address.value = f" {server.address}/cells "
        dock.open.native.click()
        qtbot.waitUntil(lambda: not dock.is_opening, timeout=1000 * PATIENCE_S)
    words = "is a web page" if page else "is not a Zarr group or array"
    assert words in dock.state.value
    assert dock.open.text == "Open"
    assert not viewer.layers
