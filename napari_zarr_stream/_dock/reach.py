"""Every control of a dock can be reached with the keyboard, and has a name.

The tab key goes down the dock as the eye does, whatever the order in which widgets were
made; a screen reader says what a control is for.
"""

from collections.abc import Iterator

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QComboBox,
    QLayout,
    QLineEdit,
    QPlainTextEdit,
    QScrollArea,
    QSlider,
    QTextEdit,
    QWidget,
)

TEXTS = (QTextEdit, QPlainTextEdit)
CONTROLS = (QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QSlider, *TEXTS)


def controls_of(inside: QWidget) -> Iterator[QWidget]:
    """What can be set or pressed, in the order of layouts."""
    if isinstance(inside, CONTROLS):
        yield inside
    elif isinstance(inside, QScrollArea):
        yield from controls_of(inside.widget())
    elif (layout := inside.layout()) is not None:
        yield from _controls_in(layout)


def _controls_in(layout: QLayout) -> Iterator[QWidget]:
    for index in range(layout.count()):
        item = layout.itemAt(index)
        if (widget := item.widget()) is not None:
            yield from controls_of(widget)
        elif (within := item.layout()) is not None:
            yield from _controls_in(within)


def make_reachable(dock: QWidget) -> None:
    """Set the order of the tab key, and give names to those that have none."""
    before: QWidget | None = None
    for control in controls_of(dock):
        if not control.accessibleName():
            control.setAccessibleName(_name_of(control))
        if isinstance(control, TEXTS):
            control.setTabChangesFocus(True)
        if not control.focusPolicy() & Qt.FocusPolicy.TabFocus:
            continue
        if before is not None:
            QWidget.setTabOrder(before, control)
        before = control


def _name_of(control: QWidget) -> str:
    """What is written on it, or else what its row or its tooltip says."""
    text = control.text() if isinstance(control, QAbstractButton) else ""
    row = control.parentWidget()
    of_row = row.accessibleName() if row is not None else ""
    # A glyph alone says nothing.
    said = text.strip(" ▸▾…")
    return said or ": ".join(filter(None, [of_row, control.toolTip()]))
