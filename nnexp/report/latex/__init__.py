r"""A report as LaTeX: tables for `\input`, figures as PDF, methods and references, and a document of all of them."""

from nnexp.report.latex.document import DOCUMENT, write

__all__ = ["DOCUMENT", "write"]
