"""The folder of LaTeX files beside a report's page."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from nnexp.comparison.citing import Cite, Sentence, written
from nnexp.comparison.sections import Picture, Section, Table
from nnexp.figures.style import save
from nnexp.report.latex.references import bibliography, bibtex
from nnexp.report.latex.tables import floating
from nnexp.report.latex.text import escape
from nnexp.report.page import Page
from nnexp.runs.directory import write_atomically

DOCUMENT, METHODS, BIBTEX = "report.tex", "methods.tex", "references.bib"
P_VALUE = "p"  # in the header of a table of pairs, whose caption says of what its intervals are
TABLES, FIGURES = "tables", "figures"
PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp,lmodern,booktabs,graphicx}
\usepackage[margin=25mm]{geometry}
% Figures are drawn with transparency, and pdfTeX warns where two such stand on a page.
\ifdefined\pdfsuppresswarningpagegroup\pdfsuppresswarningpagegroup=1 \fi
\sloppy\hbadness=10000 % names of settings cannot be hyphenated; loose lines are the price, and no news
\raggedbottom
\setcounter{topnumber}{9}\setcounter{bottomnumber}{9}\setcounter{totalnumber}{20}
\renewcommand{\topfraction}{0.95}\renewcommand{\bottomfraction}{0.95}
\renewcommand{\textfraction}{0.05}\renewcommand{\floatpagefraction}{0.7}
"""
FIGURE = r"""\begin{{figure}}[!htbp]
\centering
\includegraphics[width={width},height=0.7\textheight,keepaspectratio]{{{path}}}
\caption{{{caption}}}\label{{fig:{label}}}
\end{{figure}}
"""
LINE_INCHES = 6.3  # that the document above has; a wider figure is shrunk to the line


def write(page: Page, folder: Path) -> list[Path]:
    r"""Write a report's tables, figures, methods and references, and a document that compiles as it is.

    Parameters
    ----------
    page : Page
    folder : Path
        Made where it is missing. Tables and figures of an earlier report in it are removed, other files stay.

    Returns
    -------
    list of Path
        All that was written: `report.tex`, `methods.tex`, `references.bib`, and the folders `tables` (one file each,
        for ``\input``) and `figures` (PDF).
    """
    for name, suffix in ((TABLES, "tex"), (FIGURES, "pdf")):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for path in (folder / name).glob(f"*.{suffix}"):
            path.unlink()
    of_tables, of_figures, files, body = _Names(), _Names(), [], []
    for section in page.sections:
        body.append(f"\\section*{{{escape(section.title)}}}\n{_paragraph(section.sentences)}")
        for table in section.tables:
            name = of_tables.of(table.file_name)
            files.append(folder / TABLES / f"{name}.tex")
            write_atomically(files[-1], floating(table, caption(table, section, page), name))
            body.append(f"\\input{{{TABLES}/{name}}}\n")
        for picture in section.pictures:
            name = of_figures.of(picture.name)
            files.append(folder / FIGURES / f"{name}.pdf")
            save(picture.figure, files[-1])
            body.append(_figure(picture, name, caption(picture, section, page)))
        body.append("\\clearpage\n")
    methods = "\n".join(f"{_sentences(paragraph)}\n" for paragraph in page.methods)
    parts = [
        f"{PREAMBLE}\\title{{{escape(page.title)}}}\n\\author{{}}\n\\date{{}}\n\\begin{{document}}\n\\maketitle\n",
        _paragraph([page.facts, *([f"Made by {page.command}"] if page.command else [])]),
        _paragraph(page.sentences),
        *body,
        f"\\section*{{Methods}}\n\\input{{{METHODS.removesuffix('.tex')}}}\n" if methods else "",
        _paragraph(page.explanations),
        bibliography(page.cited),
        "\\end{document}\n",
    ]
    for name, text in ((DOCUMENT, "\n".join(parts)), (METHODS, methods), (BIBTEX, bibtex(page.cited))):
        files.append(folder / name)
        write_atomically(files[-1], text)
    return files


def caption(shown: Table | Picture, section: Section, page: Page) -> str:
    """A caption that can stand without the page: with n, the intervals if there are any, and the versions."""
    text = shown.caption if shown.caption.endswith((".", "?", "!")) else f"{shown.caption}."
    is_of_means = "interval" in text and not (isinstance(shown, Table) and P_VALUE in shown.header)
    said = [text, section.replicates * ("n = " not in text), section.intervals * is_of_means, page.made_with]
    return escape(" ".join(filter(None, said)))


def _paragraph(sentences: Iterable[str]) -> str:
    text = " ".join(map(escape, sentences))
    return f"{text}\n\n" if text else ""


def _sentences(sentences: Sequence[Sentence]) -> str:
    return " ".join(written(sentence, escape, _place) for sentence in sentences)


def _place(place: Cite) -> str:
    return f"\\cite{{{','.join(place.keys)}}}"


def _figure(picture: Picture, name: str, text: str) -> str:
    inches = float(picture.figure.get_size_inches()[0])
    width = r"\linewidth" if inches > LINE_INCHES else f"{inches:.3g}in"
    return FIGURE.format(width=width, path=f"{FIGURES}/{name}.pdf", caption=text, label=name)


class _Names:
    """Names of files and labels that are ASCII, and each of its own."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def of(self, name: str) -> str:
        """The name, or a number behind it where it is taken."""
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower()[:60] or "unnamed"
        made, n = stem, 1
        while made in self._used:
            n += 1
            made = f"{stem}-{n}"
        self._used.add(made)
        return made
