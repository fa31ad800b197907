"""What recordings are tried with."""

import contextlib
import threading

import pytest


@pytest.fixture
def no_threads(monkeypatch):
    """A context in which the system refuses threads of a name."""
    start = threading.Thread.start

    @contextlib.contextmanager
    def refused(name):
        def refuse(thread):
            if thread.name == name:
                raise RuntimeError("can't start new thread")
            start(thread)

        with monkeypatch.context() as system:
            system.setattr(threading.Thread, "start", refuse)
            yield

    return refused
