"""Signals while recordings go on, one after another and at once."""

import itertools
import signal
import threading

import pytest
from waiting import PATIENCE_S

from napari_zarr_stream._recording.interrupt import (
    CLOSED,
    ENDS,
    Interrupt,
    console_ends,
)


@pytest.fixture
def before():
    """What is there before: a handler that takes notes."""
    heard = []

    def handler(number, frame):
        heard.append(number)

    kept = signal.signal(signal.SIGTERM, handler)
    yield handler, heard
    signal.signal(signal.SIGTERM, kept)


def interrupt(said, name):
    return Interrupt(
        lambda: said.append(name),
        lambda: said.append(f"{name} again"),
        [signal.SIGTERM],
    )


def test_the_first_signal_and_those_after_it(before):
    said = []
    with interrupt(said, "a") as only:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
    assert said == ["a", "a again", "a again"]
    assert only.count == 3


@pytest.mark.parametrize("ending", list(itertools.permutations(range(3))))
def test_several_that_overlap_end_in_any_order(before, ending):
    """As recordings in several windows do."""
    handler, heard = before
    said = []
    each = [interrupt(said, name) for name in "abc"]
    for one in each:
        one.__enter__()
    left = list("abc")
    for number in ending:
        each[number].__exit__(None, None, None)
        left.remove("abc"[number])
        said.clear()
        signal.raise_signal(signal.SIGTERM)
        assert [name.split()[0] for name in said] == left
    assert signal.getsignal(signal.SIGTERM) is handler
    assert heard == [signal.SIGTERM]


def test_a_handler_that_came_meanwhile_stays(before):
    handler, _ = before
    with interrupt([], "a"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    signal.signal(signal.SIGTERM, handler)


def test_what_is_heard_unless_it_was_said_otherwise():
    """Ctrl-C, SIGTERM, and that the terminal was closed: SIGBREAK on Windows."""
    before = signal.signal(CLOSED, signal.SIG_DFL)  # tests may run behind nohup(1)
    try:
        with Interrupt() as interrupt:
            for number in (signal.SIGINT, *ENDS):
                signal.raise_signal(number)
    finally:
        signal.signal(CLOSED, before)
    assert interrupt.count == 3


def test_who_ignores_that_the_terminal_is_closed_lives_on():
    """nohup(1)."""
    before = signal.signal(CLOSED, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(CLOSED)
        assert not interrupt.count
        assert signal.getsignal(CLOSED) is signal.SIG_IGN
    finally:
        signal.signal(CLOSED, before)


CTRL_C, CTRL_BREAK, CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN = 0, 1, 2, 5, 6


@pytest.mark.parametrize("event", [CTRL_CLOSE, CTRL_LOGOFF, CTRL_SHUTDOWN])
def test_a_console_that_is_closed_waits_for_the_end(event):
    """Windows ends the program when the handler returns."""
    asked, ended, answers = threading.Event(), [], []
    with Interrupt(asked.set):
        console = threading.Thread(
            target=lambda: answers.append((console_ends(event), list(ended)))
        )
        console.start()
        assert asked.wait(PATIENCE_S)
        assert not answers
        ended.append("all is written")
    console.join()
    assert answers == [(True, ["all is written"])]


@pytest.mark.parametrize("event", [CTRL_C, CTRL_BREAK, CTRL_CLOSE])
def test_a_console_that_nobody_listens_to_is_left_to_others(event):
    assert not console_ends(event)
    if event != CTRL_CLOSE:
        with Interrupt() as interrupt:
            assert not console_ends(event), "they come as signals"
        assert not interrupt.count
