"""Steps of the window's thread, each in a turn of its own."""

import pytest
from qtpy.QtCore import QObject, QTimer
from waiting import PATIENCE_S
from windows import wait_until

from napari_zarr_stream._viewer.turns import SOON_MS, Turns


@pytest.fixture
def turns(qapp):
    parent = QObject()
    yield Turns(parent)
    parent.deleteLater()


def steps(done, count=3):
    for number in range(count):
        done.append(number)
        yield SOON_MS
    done.append("end")


def test_others_have_their_turn_between_two_steps(turns):
    done = []
    turns.begin(steps(done))
    assert done == [0]
    assert not turns.is_over
    QTimer.singleShot(0, lambda: done.append("other"))
    wait_until(lambda: turns.is_over)
    assert done.index("other") < done.index("end")
    assert [each for each in done if each != "other"] == [0, 1, 2, "end"]


def test_all_that_is_left_is_done_at_once_where_somebody_waits(turns):
    done = []
    turns.begin(steps(done))
    turns.finish()
    assert done == [0, 1, 2, "end"]
    assert turns.is_over


def test_a_step_that_waits_for_all_of_them_waits_for_nothing(turns):
    done = []

    def asking():
        turns.finish()
        done.append("asked")
        yield SOON_MS
        done.append("end")

    turns.begin(asking())
    assert done == ["asked"]
    turns.finish()
    assert done == ["asked", "end"]


def test_what_is_given_up_goes_no_further(turns, qtbot):
    done = []

    def giving_up():
        turns.give_up()
        done.append("given up")
        yield SOON_MS
        done.append("end")

    for work in (steps(done), giving_up()):
        turns.begin(work)
        turns.give_up()
        assert turns.is_over
        qtbot.wait(PATIENCE_S)
    assert done == [0, "given up"]


def test_what_a_step_raises_is_raised_there_and_ends_it(turns):
    def failing():
        yield SOON_MS
        raise OSError("of the second step")

    turns.begin(failing())
    with pytest.raises(OSError, match="of the second step"):
        turns.finish()
    assert turns.is_over
    done = []
    turns.begin(steps(done))
    turns.finish()
    assert done == [0, 1, 2, "end"]
