"""Signals while recordings go on, one after another and at once."""

import itertools
import signal

import pytest

from napari_zarr_stream._recording.interrupt import Interrupt


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
