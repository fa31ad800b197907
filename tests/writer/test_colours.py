"""Colours by their digits and by napari's names."""

import pytest

from napari_zarr_stream._writer.colours import NAMED, colormap_of, given_color, hex_of


@pytest.mark.parametrize(
    ("text", "color"),
    [
        ("00FFFF", "00FFFF"),
        ("#00ff7f", "00FF7F"),
        ("", None),
        ("fff", None),
        ("cyan", None),
        ("0000FFFF", None),
        ("00FF0G", None),
        ("\uff10\uff10FF00", None),  # digits of full width
    ],
)
def test_six_digits_are_a_colour(text, color):
    assert hex_of(text) == color


def test_each_of_several_channels_gets_another_colour_whatever_their_number():
    colors = [given_color(number) for number in range(100)]
    assert len(set(colors)) == 100
    assert set(colors[:6]) == set(NAMED.values()) - {NAMED["gray"]}


@pytest.mark.parametrize("name", NAMED)
def test_napari_has_a_colormap_from_black_to_each_named_colour(name):
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    assert colormap_of(NAMED[name]) == name
    assert AVAILABLE_COLORMAPS[name].colors[0][:3].tolist() == [0, 0, 0]
    last = AVAILABLE_COLORMAPS[name].colors[-1][:3] * 255
    assert bytes(last.astype(int).tolist()).hex().upper() == NAMED[name]


def test_other_colours_are_their_own_name():
    assert colormap_of("00FF7F") == "#00FF7F"
