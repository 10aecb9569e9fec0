r"""Tables for `\input`: booktabs, numbers under each other, the best row bold, never wider or higher than the page."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnexp.comparison.sections import Table
from nnexp.report.latex.text import escape

NUMBER = r"[-\u2212+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
WITH_INTERVAL = re.compile(rf"({NUMBER}) \[({NUMBER}), ({NUMBER})\]")
PLAIN_NUMBER = re.compile(r"([-\u2212+]?[\d,]+)(\.\d+)?")
LONGEST = 36  # letters of a cell of text; a longer one is broken into lines
SHORT = 12  # letters of a column's name that stay in one line
LONG_WIDTH = 0.4  # of the line, for a column of such cells
# Scaled down where it is wider than the line, or higher than a page with its caption has room for.
FIT = r"""\ifdim\wd0>\linewidth\sbox0{\resizebox{\linewidth}{!}{\usebox0}}\fi
\ifdim\dimexpr\ht0+\dp0\relax>0.75\textheight\sbox0{\resizebox*{!}{0.75\textheight}{\usebox0}}\fi
\usebox0"""


def floating(table: Table, caption: str, label: str) -> str:
    """A table with its caption, which is LaTeX already, as a float."""
    return (
        "% Needs the packages booktabs and graphicx.\n\\begin{table}[!htbp]\n\\centering\n"
        "\\setlength{\\abovecaptionskip}{0pt}\\setlength{\\belowcaptionskip}{6pt}\\setlength{\\tabcolsep}{4pt}\n"
        f"\\caption{{{caption}}}\\label{{tab:{label}}}\n\\sbox0{{%\n{tabular(table)}}}%\n{FIT}\n\\end{{table}}\n"
    )


def tabular(table: Table) -> str:
    """The tabular alone."""
    columns = [_column(table, i) for i in range(len(table.header))]
    header = " & ".join(_head(name, kind) for name, (kind, _) in zip(table.header, columns, strict=True))
    rows = [[cells[i] for _, cells in columns] for i in range(len(table.rows))]
    if table.best is not None:
        rows[table.best] = [rf"\bfseries {cell}" for cell in rows[table.best]]
    body = "".join(f"{' & '.join(row)} \\\\\n" for row in rows)
    kinds = "".join(kind for kind, _ in columns)
    return (
        f"\\begin{{tabular}}{{@{{}}{kinds}@{{}}}}\n\\toprule\n{header} \\\\\n\\midrule\n{body}\\bottomrule\n"
        "\\end{tabular}"
    )


def _column(table: Table, i: int) -> tuple[str, list[str]]:
    """The kind of a column, and its cells."""
    cells = [row[i] for row in table.rows]
    if i in table.texts:
        if all(len(cell) <= LONGEST for cell in cells):
            return "l", [escape(cell) for cell in cells]
        # Not in the column's kind, which would need the package array.
        return rf"p{{{LONG_WIDTH}\linewidth}}", [rf"\raggedright\let\\\tabularnewline {escape(cell)}" for cell in cells]
    if any(WITH_INTERVAL.fullmatch(cell) for cell in cells):
        return "r", _with_intervals(cells)
    return "r", _aligned(cells)


def _with_intervals(cells: Sequence[str]) -> list[str]:
    """Means with intervals, each of the three numbers under those of the other rows."""
    found = [WITH_INTERVAL.fullmatch(cell) for cell in cells]
    numbers = [_aligned([each[i] if each else cell for each, cell in zip(found, cells, strict=True)], pad_left=i > 1)
               for i in (1, 2, 3)]  # fmt: skip
    width = max((cell for cell, each in zip(cells, found, strict=True) if each), key=len)
    interval = rf"\phantom{{ {escape(width[width.index('[') :])}}}"
    return [
        f"{mean} {{[}}{low}, {high}{{]}}" if each else mean + interval
        for each, mean, low, high in zip(found, *numbers, strict=True)
    ]


def _head(text: str, kind: str) -> str:
    """The name of a column, its unit in a second line; of a column of paragraphs on the left."""
    side = "r" if kind == "r" else "l"
    name, bracket, unit = text.partition(" (")
    if not bracket or len(text) < SHORT:
        return escape(text)
    return rf"\begin{{tabular}}[b]{{@{{}}{side}@{{}}}}{escape(name)}\\{escape(f'({unit}')}\end{{tabular}}"


def _aligned(cells: Sequence[str], *, pad_left: bool = False) -> list[str]:
    """Cells of a column set flush right, numbers with room for the digits that others have more."""
    parts = [found.groups() if (found := PLAIN_NUMBER.fullmatch(cell)) else None for cell in cells]
    before, after = (max((each[k] or "" for each in parts if each), default="", key=len) for k in (0, 1))
    aligned: list[str] = []
    for cell, part in zip(cells, parts, strict=True):
        if part is None:
            aligned.append(_number(cell))
            continue
        whole, decimals = part[0], part[1] or ""
        left = _phantom(before[: len(before) - len(whole)]) if pad_left else ""
        aligned.append(left + _number(cell) + _phantom(after[len(decimals) :]))
    return aligned


def _phantom(text: str) -> str:
    return rf"\phantom{{{_number(text)}}}" if text else ""


def _number(cell: str) -> str:
    r"""A cell with what is a number in it as such: 1.5e-05 as 1.5 \times 10^{-5}, and a minus that is one."""
    if not re.fullmatch(rf"{NUMBER}(?: s| %)?", cell):
        return escape(cell)
    mantissa, e, rest = cell.replace("-", "\u2212", 1).partition("e")
    if not e:
        return escape(mantissa)
    exponent, space, unit = rest.replace("\u2212", "-").partition(" ")
    power = rf"\ensuremath{{\times10^{{{int(exponent)}}}}}"
    return f"{escape(mantissa)}{power}{escape(space + unit)}"
