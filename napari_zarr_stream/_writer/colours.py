"""Colours of channels: six hex digits, napari's names for them, which ones are given.

Colours are written as OME-NGFF has them in `omero`: "00FFFF".
"""

from collections.abc import Sequence
from colorsys import hsv_to_rgb

NAMED = {
    "gray": "FFFFFF", "red": "FF0000", "green": "00FF00", "blue": "0000FF",
    "cyan": "00FFFF", "magenta": "FF00FF", "yellow": "FFFF00",
}  # fmt: skip
"""Those for which napari has a colormap, from black to the colour, by its name."""

WHITE, BLACK = NAMED["gray"], "000000"

VISIBLE = 0.35
"""Of full brightness: on a dark ground, less is hardly seen."""

RGB = ("red", "green", "blue")
"""The channels of a picture in colours, in their order."""

_GIVEN = tuple(
    NAMED[name] for name in ("cyan", "magenta", "yellow", "green", "red", "blue")
)
_GOLDEN = (5**0.5 - 1) / 2
_NAMES = {color: name for name, color in NAMED.items()}


def given_color(number: int) -> str:
    """The colour of channel `number` of several that came without one."""
    if number < len(_GIVEN):
        return _GIVEN[number]
    # Hues as far from each other as their number allows, paler than those above.
    return digits_of(hsv_to_rgb(number * _GOLDEN % 1, 0.6, 1))


def hex_of(text: str) -> str | None:
    """Six hex digits in capitals, from those with or without "#"; None for all else.

    >>> hex_of("#00ff7f")
    '00FF7F'
    """
    digits = text.removeprefix("#").upper()
    is_color = len(digits) == 6 and set(digits) <= set("0123456789ABCDEF")
    return digits if is_color else None


def color_of_ramp(colors: Sequence[Sequence[float]]) -> tuple[str, bool]:
    """The one colour that stands for a colormap where only one can be said.

    It is the last one, the first where the last is too dark to be seen, else the
    brightest: what is stored must not be invisible in another program.

    Parameters
    ----------
    colors : (n, 3) or (n, 4)
        From 0 to 1, for the smallest pixel first.

    Returns
    -------
    color : str
    is_inverted : bool
        Whether large pixels are the dark ones: `inverted` of `omero`.
    """
    brightest = max(colors, key=lambda color: max(color[:3]))
    for color in (colors[-1], colors[0], brightest):
        if max(color[:3]) >= VISIBLE:
            is_inverted = color is colors[0] and max(colors[-1][:3]) < VISIBLE
            return digits_of(color)[:6], is_inverted and len(colors) > 1
    return WHITE, False


def digits_of(color: Sequence[float]) -> str:
    """Hex digits, two for each of the numbers, which are from 0 to 1.

    >>> digits_of([0, 1, 0.5, 1])
    '00FF80FF'
    """
    return bytes(round(255 * min(max(float(c), 0), 1)) for c in color).hex().upper()


def numbers_of(digits: str) -> list[float]:
    """The numbers from 0 to 1 that `digits_of` made digits of.

    Raises
    ------
    ValueError
        Other digits than hexadecimal ones.
    """
    return [number / 255 for number in bytes.fromhex(digits)]


def colormap_of(color: str) -> str:
    """What napari calls the colormap from black to `color`: its name, or "#00FF7F"."""
    return _NAMES.get(color, f"#{color}")
