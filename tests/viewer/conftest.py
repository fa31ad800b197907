"""The fixtures of tests in real windows."""

from docks import dock, let, viewer, widget  # noqa: F401
