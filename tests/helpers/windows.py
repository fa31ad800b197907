"""A user's hands and eyes, for tests in real windows."""

import waiting
from app_model import Application
from napari._app_model._app import APP_NAME
from napari._qt._qapp_model.qactions import init_qactions
from napari.plugins import _initialize_plugins
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


def let_napari_begin_anew():
    """Have it register its plugins again, as `make_napari_viewer` does for one test.

    What found plugins before, without a viewer, has registered them in what all share.
    """
    Application.destroy(APP_NAME)
    _initialize_plugins.cache_clear()
    init_qactions.cache_clear()
