"""The comparison of many runs: a tidy table, figures and one self-contained page."""

from nnexp.report.make import ReportResult, make_report, prepare
from nnexp.report.selection import NothingToReportError, Selection

__all__ = ["NothingToReportError", "ReportResult", "Selection", "make_report", "prepare"]
