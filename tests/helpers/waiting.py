"""Waiting for what other threads and programs do."""

import time

PATIENCE_S = 240
"""A busy machine may take this long for what takes a moment."""


def wait_until(condition, timeout_s=PATIENCE_S, meanwhile=lambda: None):
    """Look every few milliseconds, with `meanwhile` called in between."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        meanwhile()
        time.sleep(0.003)
