"""A user's hands and eyes, for tests in real windows."""

import time

from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication


def wait_until(condition, timeout_s=30):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it took too long"
        QApplication.processEvents()
        time.sleep(0.002)


def click(button, qtbot):
    qtbot.mouseClick(button.native, Qt.MouseButton.LeftButton)


def messages():
    return [str(record.message) for record in notification_manager.records]
