"""The fixtures of tests in real windows."""

from docks import dock, viewer, widget  # noqa: F401
