"""The works that are cited, as a bibliography that needs no BibTeX, and as a file for those who use it."""

from __future__ import annotations

from collections.abc import Sequence

from nnexp.report.latex.text import escape
from nnexp.report.references import Reference, works


def bibliography(keys: Sequence[str]) -> str:
    """An environment `thebibliography` of works in this order; empty for none."""
    if not keys:
        return ""
    items = "".join(f"\\bibitem{{{key}}} {escape(work.text)}{_place(work)}\n" for key, work in works(keys))
    return f"\\begin{{thebibliography}}{{{len(keys)}}}\n{items}\\end{{thebibliography}}\n"


def _place(work: Reference) -> str:
    # Not \url, which takes the text as it is and could not stand in an argument: a DOI may have any sign.
    return f" {escape(work.place)}" if work.place else ""


def bibtex(keys: Sequence[str]) -> str:
    """The same works as a file of BibTeX."""
    return "\n".join(_entry(key, work) for key, work in works(keys))


def _entry(key: str, work: Reference) -> str:
    kind = "book" if work.is_book else "inproceedings" if work.in_proceedings else "article"
    venue = "publisher" if work.is_book else "booktitle" if work.in_proceedings else "journal"
    volume, _, number = work.volume.removesuffix(")").partition("(")
    people = [f"{{{escape(family)}}}, {escape(given)}" for given, family in work.authors]
    fields = {
        "author": " and ".join(people + ["others"] * work.and_others),
        "title": f"{{{escape(work.title)}}}",
        venue: escape(work.venue),
        "year": str(work.year),
        "volume": volume,
        "number": number,
        "pages": work.pages.replace("–", "--"),
        "doi": work.doi,
        "url": f"https://{work.address}" if work.address else "",
    }
    written = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@{kind}{{{key},\n{written}}}\n"
