"""Colours of channels: six hex digits, napari's names for them, which ones are given.

Colours are written as OME-NGFF has them in `omero`: "00FFFF".
"""

NAMED = {
    "gray": "FFFFFF", "red": "FF0000", "green": "00FF00", "blue": "0000FF",
    "cyan": "00FFFF", "magenta": "FF00FF", "yellow": "FFFF00",
}  # fmt: skip
"""Those for which napari has a colormap, from black to the colour, by its name."""

WHITE, BLACK = NAMED["gray"], "000000"

RGB = ("red", "green", "blue")
"""The channels of a picture in colours, in their order."""

_GIVEN = tuple(
    NAMED[name] for name in ("cyan", "magenta", "yellow", "green", "red", "blue")
)
_NAMES = {color: name for name, color in NAMED.items()}


def given_color(number: int) -> str:
    """The colour of channel `number` of several that came without one."""
    return _GIVEN[number % len(_GIVEN)]


def hex_of(text: str) -> str | None:
    """Six hex digits in capitals, from those with or without "#"; None for all else.

    >>> hex_of("#00ff7f")
    '00FF7F'
    """
    digits = text.removeprefix("#").upper()
    is_color = len(digits) == 6 and set(digits) <= set("0123456789ABCDEF")
    return digits if is_color else None


def colormap_of(color: str) -> str:
    """What napari calls the colormap from black to `color`: its name, or "#00FF7F"."""
    return _NAMES.get(color, f"#{color}")
