"""Only for `pytest -p pretend_windows`: `make test` runs these by themselves."""

import os

import pytest

is_pretended = os.name == "posix" and not hasattr(os, "pread")
collect_ignore_glob = [] if is_pretended else ["test_*.py"]


@pytest.fixture
def no_holes(monkeypatch):
    """A disk of FAT or exFAT."""
    import pretend_kernel

    monkeypatch.setattr(pretend_kernel, "has_holes", False)
