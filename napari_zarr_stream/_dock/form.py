"""Rows of label and widget, aligned over several groups of a dock, and folds."""

from collections.abc import Sequence

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

LABEL_WIDTH = 112
"""Of most labels, so that fields line up across groups; longer ones have a row."""

HEAD_LABEL_WIDTH = 56
"""Of "Save in": fields that are always in view have as much room as there is."""

GROUP_SPACING = 16
"""Between the groups of what is folded away."""

FIELD_WIDTH = 96
"""At least, however long what is chosen in it: five digits between two buttons."""

PROBLEM_STYLE = "color: #201800; background-color: #e8a84c; padding: 2px 4px"
"""Dark on amber, as no amber letters are readable on both the dark and the light theme:
2.9 to 1 on one or the other, and 9 to 1 so."""

Row = tuple[str, QWidget]


def form(
    rows: Sequence[Row], title: str = "", label_width: int = LABEL_WIDTH
) -> QWidget:
    """Lay out widgets with their labels; without a label, over the whole width.

    A label is also what a screen reader calls the widget.
    """
    box: QWidget = QGroupBox(title) if title else QWidget()
    layout = QFormLayout(box)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    if not title:
        layout.setContentsMargins(0, 0, 0, 0)
    for text, widget in rows:
        if text:
            widget.setMinimumWidth(FIELD_WIDTH)
            label = QLabel(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setMinimumWidth(label_width)
            label.setToolTip(widget.toolTip())
            widget.setAccessibleName(text)
            if label.sizeHint().width() > LABEL_WIDTH:
                # Its field is below it, so that the dock may be narrow.
                wrapping(label)
                layout.addRow(label)
                layout.addRow(widget)
            else:
                layout.addRow(label, widget)
        else:
            layout.addRow(widget)
    return box


def beside(*widgets: QWidget) -> QWidget:
    """Widgets in a row, each as wide as the others, however narrow the dock is."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        widget.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        layout.addWidget(widget, 1)
    return row


def wrapping(label: QLabel) -> QLabel:
    """Let a text break into lines: a long one must not make the dock wide."""
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)  # names of files and cameras
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


class _Scroll(QScrollArea):
    """Scrolls up and down only: it is never narrower than what is in it."""

    def minimumSizeHint(self) -> QSize:
        """See `QWidget.minimumSizeHint`."""
        bar = self.verticalScrollBar().sizeHint().width()
        return QSize(self.widget().minimumSizeHint().width() + bar, 0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """See `QObject.eventFilter`: its size is asked for again with its content's."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return bool(super().eventFilter(watched, event))

    def sizeHint(self) -> QSize:
        """See `QWidget.sizeHint`."""
        bar = self.verticalScrollBar().sizeHint().width()
        inside = self.widget().sizeHint()
        return QSize(inside.width() + bar, inside.height())


def scrolling(content: QWidget) -> QScrollArea:
    """Let what may be higher than the window scroll."""
    area = _Scroll()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    return area


class Fold(QWidget):
    """A title that shows or hides what is below it."""

    def __init__(self, title: str, content: QWidget, is_open: bool = False) -> None:
        super().__init__()
        self._title, self.content = title, content
        self._was_open: bool | None = None  # before it was folded away
        self.button = QPushButton()
        self.button.setCheckable(True)
        self.button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.button.setAccessibleName(title)
        self.button.setStyleSheet(
            "QPushButton { text-align: left; border: none; background: transparent; "
            "padding: 2px 0px; }"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(content, 1)
        self.button.toggled.connect(self._show)
        self.button.setChecked(is_open)
        self._show(is_open)

    def setTitle(self, title: str) -> None:
        """Change the title."""
        self._title = title
        self.button.setAccessibleName(title)
        self.button.setToolTip(title)  # where there is no room for all of it
        self._show(self.button.isChecked())

    def setOpen(self, is_open: bool) -> None:
        """Show or hide the content."""
        self.button.setChecked(is_open)

    def fold_away(self) -> None:
        """Hide the content for a while."""
        if self._was_open is None:
            self._was_open = self.button.isChecked()
        self.setOpen(False)

    def bring_back(self) -> None:
        """Be as before `fold_away`."""
        if self._was_open is not None:
            self.setOpen(self._was_open)
        self._was_open = None

    def _show(self, is_open: bool) -> None:
        self.button.setText(f"{'▾' if is_open else '▸'}  {self._title}")
        self.content.setVisible(is_open)


def settings(*groups: QWidget) -> Fold:
    """What a dock folds away while it is at work: groups in a column that scrolls."""
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(GROUP_SPACING)
    for group in groups:
        layout.addWidget(group)
    layout.addStretch(1)
    fold = Fold("Settings", scrolling(column), is_open=True)
    # Else napari puts something below that takes the room.
    fold.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
    return fold
