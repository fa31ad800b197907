"""A store whose writer died -> a store that opens, with all that is left of it."""

from .examination import Finding, Report, examine, repair

__all__ = ["Finding", "Report", "examine", "repair"]
