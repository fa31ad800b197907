"""A user's hands and eyes, for tests in real windows."""

import waiting
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication


def wait_until(condition, timeout_s=waiting.PATIENCE_S):
    """Have the window go on meanwhile."""
    waiting.wait_until(condition, timeout_s, QApplication.processEvents)


def click(button, qtbot):
    """Click on a widget of magicgui."""
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


def messages():
    """What napari showed in its corner."""
    return [str(record.message) for record in notification_manager.records]
