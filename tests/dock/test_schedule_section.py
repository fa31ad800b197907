"""A time lapse from the dock."""

from docks import small, start, stop
from windows import wait_until


def test_a_time_lapse_is_said_recorded_and_counted_down(dock, viewer, qtbot):
    widget = dock()
    small(widget)
    widget.interval_s.value, widget.duration_s.value = 1800, 36000
    said = widget.plan_line.value
    assert "20 frames, one every 30 min: 9.5 h" in said
    assert "frames between are not taken, and not lost" in said
    session = start(widget, viewer, qtbot)
    assert not widget.interval_s.enabled
    wait_until(lambda: session.status().frames_committed == 1)
    wait_until(lambda: "next in" in widget.counts.value)
    assert "a frame every 30 min, <b>next in 30 min</b>" in widget.counts.value
    assert widget.progress.max == 20
    status = stop(widget, viewer, qtbot)
    assert status.frames_committed == 1
    assert widget.interval_s.enabled
