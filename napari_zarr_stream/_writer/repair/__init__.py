"""A store whose writer died -> a store that opens, with all that is left of it."""

from .examination import Finding, Report, examine, is_left_open, repair

__all__ = ["Finding", "Report", "examine", "is_left_open", "repair"]
