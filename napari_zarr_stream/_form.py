"""Rows of label and widget, aligned over several groups of a dock."""

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QGroupBox, QLabel, QWidget

LABEL_WIDTH = 136
"""Of the widest label, "Frames (0: no end)", so that fields line up across groups."""

Row = tuple[str, QWidget]


def form(rows: Sequence[Row], title: str = "") -> QWidget:
    """Lay out widgets with their labels; without a label, over the whole width."""
    box: QWidget = QGroupBox(title) if title else QWidget()
    layout = QFormLayout(box)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    if not title:
        layout.setContentsMargins(0, 0, 0, 0)
    for text, widget in rows:
        if text:
            label = QLabel(text)
            label.setMinimumWidth(LABEL_WIDTH)
            label.setToolTip(widget.toolTip())
            layout.addRow(label, widget)
        else:
            layout.addRow(widget)
    return box
