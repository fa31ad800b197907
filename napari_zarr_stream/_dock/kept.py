"""Fields that are as they were last time, and kept soon after a change."""

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QObject, QTimer

from .remembered import Remembered

SAVE_MS = 500
"""After the last change, choices are kept."""


class KeptFields(QObject):
    """Shows what was chosen last in fields, and remembers what is chosen now.

    Parameters
    ----------
    remembered : Remembered
    fields : sequence of ValueWidget
        Kept by their names.
    parent : QObject
    prefix : str
        Of these names, where another dock has fields of the same.
    """

    def __init__(
        self,
        remembered: Remembered,
        fields: Sequence[Any],
        parent: QObject,
        prefix: str = "",
    ) -> None:
        super().__init__(parent)
        self._remembered = remembered
        self._prefix = prefix
        self.fields = tuple(fields)
        self._timer = QTimer(self)
        self._timer.setInterval(SAVE_MS)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.keep)

    def restore(self) -> None:
        """Show what was chosen last; what is no value of a field is left out."""
        choices = self._remembered.choices
        for widget in self.fields:
            if (name := self._prefix + widget.name) in choices:
                _set_quietly(widget, choices[name])

    def keep_soon(self, *_: object) -> None:
        """Keep all of it when no other change follows."""
        self._timer.start()

    def keep(self) -> None:
        """Keep all of it now."""
        self._remembered.choices.update(
            {
                self._prefix + widget.name: widget.value
                if isinstance(widget.value, bool | int | float | str)
                else str(widget.value)
                for widget in self.fields
            }
        )
        if not self._remembered.save():
            self.keep_soon()


def _set_quietly(widget: Any, value: Any) -> None:
    """Set a field to what a file said, unless that is nothing it can be."""
    before = widget.value
    try:
        widget.value = value
    except (TypeError, ValueError):
        widget.value = before
