"""What is always in view, what folds away, keys, names, the way to what was saved."""

import pytest
from docks import start, stop
from napari.utils.shortcuts import default_shortcuts
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices, QGuiApplication
from qtpy.QtWidgets import QLabel, QPushButton, QTextEdit, QWidget
from windows import click, wait_until

from napari_zarr_stream._dock.reach import controls_of
from napari_zarr_stream._dock.record_dock import SHORTCUT
from napari_zarr_stream._viewer.napari_compat import main_window_of
from napari_zarr_stream._viewer.session import session_of
from napari_zarr_stream._writer.words import clock_in_words


def is_in_view(widget, dock):
    """Whether all of it is within the dock, and nothing scrolls it away."""
    corner = widget.mapTo(dock, widget.rect().bottomRight())
    return widget.isVisible() and dock.rect().contains(corner)


def test_source_place_buttons_and_state_are_in_view_at_any_height(
    widget, viewer, qtbot
):
    dock, above = widget.native, QTextEdit()
    high = viewer.window.add_dock_widget(above, name="Another", area="right")
    main_window_of(viewer).resizeDocks([high], [5000], Qt.Orientation.Vertical)
    always = [widget.source, widget.uri, widget.record, widget.stop]
    wait_until(lambda: dock.height() < 400)
    wait_until(lambda: is_in_view(widget.plan_line.native, dock))
    assert all(is_in_view(each.native, dock) for each in [*always, widget.state])
    assert widget.state.value == "Ready for recording_0001.zarr"
    start(widget, viewer, qtbot)
    wait_until(lambda: "acquired" in widget.counts.value)
    shown = [*always, widget.elapsed, widget.saved, widget.counts]
    wait_until(lambda: all(is_in_view(each.native, dock) for each in shown))
    assert widget.saved.value == "Recording recording_0001.zarr"
    stop(widget, viewer, qtbot)
    shown = [*always, widget.saved, widget.open_folder, widget.copy_path, widget.state]
    wait_until(lambda: all(is_in_view(each.native, dock) for each in shown))
    assert widget.saved.value == "Saved recording_0001.zarr"
    assert widget.state.value == "Ready for recording_0002.zarr"


@pytest.mark.parametrize("is_open", [True, False])
def test_the_rest_folds_away_while_it_records(widget, viewer, qtbot, is_open):
    fold = widget._settings
    fold.setOpen(is_open)
    start(widget, viewer, qtbot)
    assert not fold.content.isVisible()
    assert not widget.plan_line.native.isVisible()
    wait_until(lambda: "●" in widget.elapsed.value)
    size = widget.elapsed.native.fontInfo().pixelSize()
    assert size > 2 * widget.counts.native.fontInfo().pixelSize()
    wait_until(lambda: "room on the disk for" in widget.counts.value)
    for words in ("acquired", "lost", "frames/s", "queue"):
        assert words in widget.counts.value
    fold.setOpen(True)  # somebody looks at the histogram
    stop(widget, viewer, qtbot)
    assert fold.button.isChecked() is is_open
    assert fold.content.isVisible() is is_open
    assert widget.plan_line.native.isVisible()
    assert not widget.elapsed.native.isVisible()


def test_the_summary_is_three_lines_and_the_rest_is_folded(widget):
    shown = widget.plan_line.native.text().splitlines()
    assert len(shown) == 3
    assert shown[0].startswith("One file: ")
    assert "disk space for" in shown[1]
    assert shown[2].endswith("of memory")
    fold = widget.plan_line.details
    assert not fold.content.isVisible()
    fold.setOpen(True)
    rest = fold.content.text()
    assert "Saves to" in rest
    assert widget.plan_line.value == "\n".join([*shown, rest])


def test_a_key_records_and_stops(widget, viewer, qtbot):
    for button in (widget.record, widget.stop):
        assert SHORTCUT.to_text() in button.tooltip
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert str(SHORTCUT) not in taken
    session = session_of(viewer)
    modifiers = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    window = main_window_of(viewer)
    for focus in (window, widget.pixel_size_um.native):
        wait_until(lambda: widget.record.enabled)
        qtbot.keyClick(focus, Qt.Key.Key_R, modifiers)
        assert session.is_busy
        wait_until(lambda: session.status().frames_acquired > 0)
        qtbot.keyClick(window, Qt.Key.Key_R, modifiers)
        wait_until(lambda: not session.is_busy)
    viewer.window.remove_dock_widget(widget.native)
    qtbot.keyClick(window, Qt.Key.Key_R, modifiers)
    assert not session.is_busy


def test_the_way_to_what_was_saved(widget, viewer, qtbot, tmp_path, monkeypatch):
    assert not widget.open_folder.native.isVisible()
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    start(widget, viewer, qtbot)
    assert not widget.open_folder.native.isVisible()
    wait_until(lambda: session_of(viewer).status().frames_acquired > 5)
    path = stop(widget, viewer, qtbot).path
    click(widget.copy_path, qtbot)
    assert QGuiApplication.clipboard().text() == str(path)
    click(widget.open_folder, qtbot)
    assert [url.toLocalFile() for url in opened] == [str(tmp_path / "out")]


def test_every_control_has_a_name_and_its_place_for_the_tab_key(widget, qtbot):
    for fold in (widget._how.tiles, widget.plan_line.details):
        fold.setOpen(True)
    click(widget.cameras.add_camera, qtbot)
    [second] = widget.cameras.others
    wait_until(lambda: second.is_ready)
    second.fold.setOpen(True)
    controls = list(controls_of(widget.native))
    assert len(controls) > 40
    for child in widget.native.findChildren(QWidget):
        if child in controls:
            assert child.accessibleName().strip(" …▸▾"), child
    in_order = [c for c in controls if c.isVisible() and c.isEnabled()]
    in_order[0].setFocus()
    by_tab = [in_order[0]]
    for _ in in_order[1:]:
        qtbot.keyClick(by_tab[-1], Qt.Key.Key_Tab)
        by_tab.append(widget.native.window().focusWidget())
    names = [[c.accessibleName() for c in order] for order in (by_tab, in_order)]
    assert names[0] == names[1]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_is_cut_off_at_300_px(widget, viewer, qtbot, theme):
    viewer.theme = theme
    for fold in (widget._how.tiles, widget.plan_line.details):
        fold.setOpen(True)
    dock = widget.native
    assert dock.minimumSizeHint().width() <= 300
    dock.setParent(None)
    dock.resize(300, 900)
    dock.show()
    wait_until(lambda: dock.width() == 300)
    for control in controls_of(dock):
        if control.isVisible() and not control.property("cut_is_fine"):
            right = control.mapTo(dock, control.rect().topRight()).x()
            assert right <= 300, control.accessibleName()
            if isinstance(control, QPushButton):
                words = control.fontMetrics().horizontalAdvance(control.text())
                assert control.width() >= words, control.text()
    for label in dock.findChildren(QLabel):
        if label.isVisible() and not label.wordWrap():
            words = label.fontMetrics().horizontalAdvance(label.text())
            assert label.width() >= words, label.text()


@pytest.mark.parametrize(
    ("seconds", "clock"),
    [
        (0, "0:00"),
        (7.9, "0:07"),
        (754, "12:34"),
        (3723, "1:02:03"),
        (90000, "25:00:00"),
    ],
)
def test_a_clock(seconds, clock):
    assert clock_in_words(seconds) == clock
