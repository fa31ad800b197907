"""Names of recordings: free text, the date, the time, and a number that counts up."""

import datetime
import re
from collections.abc import Iterable, Iterator
from itertools import count
from string import Formatter

from napari_zarr_stream._writer.errors import InvalidProperties
from napari_zarr_stream._writer.names import MAX_BYTES, folder_name, split_ending

DEFAULT_NAME = "recording_{counter}"

_FIELDS = {"date": "%Y-%m-%d", "time": "%H-%M-%S"}
"""ISO 8601, without the colons that Windows has no names with."""

_COUNTER = "counter"
_REFUSED = '/\\:*?"<>|'
_COUNTED, _TIMED = "\ue000", "\ue001"
"""Stand for digits while a name becomes a pattern; in no name, as they do not print."""

_EXAMPLE = datetime.datetime(2026, 11, 26, 17, 28, 41)


class NameTemplate:
    """A template such as "{date}_{time}_{counter}_wild type 1.5 µM".

    Parameters
    ----------
    text : str
        "{date}", "{time}" and "{counter}" are filled in; the rest stays as it is. Empty
        for `DEFAULT_NAME`. It may end in ".zarr" or ".ome.zarr".

    Raises
    ------
    InvalidProperties
        No folder can be called so; says why.
    """

    def __init__(self, text: str) -> None:
        text = text.strip() or DEFAULT_NAME
        self._said = f"name {text!r}"
        if refused := sorted(set(text) & set(_REFUSED)):
            raise InvalidProperties(
                f"{self._said}: {' '.join(refused)} cannot be in the name of a folder "
                "on every system; use - or _ instead"
            )
        if not text.isprintable():
            raise InvalidProperties(f"{self._said} has characters that do not print")
        self._text, ending = split_ending(text)
        self.ending = ending or ".zarr"
        if self.ending.lower() not in (".zarr", ".ome.zarr"):
            self._text, self.ending = text, ".zarr"
        self._check_fields()
        stem = self._filled(_EXAMPLE, "0001")
        first = stem.partition(".")[0].strip()
        if not stem.strip(" ."):
            raise InvalidProperties(f"{self._said} is nothing but dots and spaces")
        if first and folder_name(first) == f"_{first}":
            raise InvalidProperties(f"{self._said}: Windows keeps {first!r} for itself")
        if (size := len(stem.encode())) > MAX_BYTES:
            raise InvalidProperties(
                f"{self._said} is {size} bytes long, {MAX_BYTES} at the most"
            )

    def _check_fields(self) -> None:
        known = ", ".join(f"{{{field}}}" for field in (*_FIELDS, _COUNTER))
        try:
            parts = list(Formatter().parse(self._text))
        except ValueError as error:
            raise InvalidProperties(
                f"{self._said}: {error}. Braces are for {known}"
            ) from None
        for _, field, form, conversion in parts:
            if field is None:
                continue
            if field not in (*_FIELDS, _COUNTER) or form or conversion:
                raise InvalidProperties(
                    f"{self._said}: {{{field}}} is not one of {known}"
                )

    @property
    def is_counted(self) -> bool:
        """Whether it has a counter."""
        return f"{{{_COUNTER}}}" in self._text

    def _filled(self, now: datetime.datetime, counter: str, **others: str) -> str:
        moments = {field: now.strftime(form) for field, form in _FIELDS.items()}
        return self._text.format(**moments | {_COUNTER: counter} | others)

    def stems(self, now: datetime.datetime, there: Iterable[str]) -> Iterator[str]:
        """Names without their ending, the first one first.

        Parameters
        ----------
        now : datetime
            Of the recording, in the time of the place.
        there : iterable of str
            Names in the folder. The counter goes on from the highest of those that
            differ in nothing but it and the time of day.
        """
        if not self.is_counted:
            stem = self._filled(now, "")
            yield stem
            yield from (f"{stem}_{number:04}" for number in count(2))
        marked = self._filled(now, _COUNTED, time=_TIMED)
        pattern = re.escape(marked).replace(_COUNTED, r"(\d+)", 1)
        pattern = pattern.replace(_COUNTED, r"\d+").replace(_TIMED, r"\d\d-\d\d-\d\d")
        found = re.compile(rf"{pattern}(_camera\d+)?(\.ome)?\.zarr", re.IGNORECASE)
        numbers = [int(match[1]) for name in there if (match := found.fullmatch(name))]
        for number in count(max(numbers, default=0) + 1):
            yield self._filled(now, f"{number:04}")
