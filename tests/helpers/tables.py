"""Rows of a table of which a few run always, and the others when there is time."""

import pytest


def long_but(rows, *quick):
    """Rows for `parametrize`: those that are not in `quick` are under `long`."""
    return [
        row if row in quick else pytest.param(row, marks=pytest.mark.long)
        for row in rows
    ]
