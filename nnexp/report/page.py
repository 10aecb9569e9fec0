"""One self-contained HTML page: no scripts, nothing fetched, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

POINT = 4 / 3  # CSS pixels
LONG = 30  # letters; a longer text may be broken in a table
READABLE = 560  # pixels; narrower screens scroll a figure rather than shrink it beyond reading

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1d2023; --soft: #5d666e; --line: #d9dde1; --card: #f6f7f8;
  --accent: #0b5f95; --shade: #0007; }
@media (prefers-color-scheme: dark) { :root { --ground: #16191c; --ink: #e6e8ea; --soft: #9aa4ad; --line: #3a4148;
  --card: #1e2226; --accent: #6db7ea; --shade: #fff7; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1200px; padding: 1.5rem 1rem 4rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-top: .9rem; border-top: 1px solid var(--line); }
p.facts { color: var(--soft); margin: 0 0 1.2rem; font-size: .92rem; }
code { font-size: .88em; background: var(--card); padding: .1em .35em; border-radius: 4px; }
ul.says { padding-left: 1.15rem; margin: .4rem 0 1.2rem; } ul.says li { margin: .3rem 0; }
/* A shade at an edge says that there is more to scroll to: it stands still, what hides it moves with the content. */
.scroll { margin: 0 0 .9rem; overflow-x: auto; scrollbar-width: thin; background:
  linear-gradient(var(--ground), var(--ground)) left / 18px calc(100% + 2px) no-repeat local,
  linear-gradient(var(--ground), var(--ground)) right / 18px calc(100% + 2px) no-repeat local,
  linear-gradient(to right, var(--shade), transparent) left / 18px 100% no-repeat scroll,
  linear-gradient(to left, var(--shade), transparent) right / 18px 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
caption, figcaption { text-align: left; color: var(--soft); font-size: .88rem; padding: .2rem 0 .5rem; }
th, td { padding: .28rem .6rem .28rem 0; text-align: right; border-bottom: 1px solid var(--line); vertical-align: top;
  white-space: nowrap; }
th { white-space: normal; overflow-wrap: normal; }
td.long { white-space: normal; min-width: min(14rem, 40vw); overflow-wrap: normal; }
th { font-weight: 600; color: var(--soft); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
td.text, th.text { text-align: left; }
tr.best td { font-weight: 600; color: var(--accent); }
figure { margin: 1.6rem 0; } figure svg { display: block; height: auto; }
/* A table's caption stays in view, at the width of the page, when the table is wider and scrolls. */
caption span { display: block; position: sticky; left: 0; max-width: min(100%, calc(100vw - 2rem)); }
figcaption { padding-top: .4rem; max-width: 62rem; }
details { margin: 1rem 0; } summary { cursor: pointer; color: var(--accent); }
@media print { details > * { display: block; } body { max-width: none; } }
"""


@dataclass(frozen=True)
class Table:
    """A table: cells as text; `texts` are the columns set flush left; `best` is the row to be marked."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[int] = frozenset({0})
    best: int | None = None


@dataclass(frozen=True)
class Picture:
    """A figure as SVG, with its caption."""

    svg: str
    caption: str


@dataclass
class Section:
    """A part of the page."""

    title: str
    sentences: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """All that a page shows."""

    title: str
    facts: str
    command: str | None
    sentences: Sequence[str]
    sections: Sequence[Section]
    runs: Table
    method: Sequence[str]

    def html(self) -> str:
        """The page as one HTML document."""
        command = f"<br>Made by <code>{escape(self.command)}</code>" if self.command else ""
        parts = [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}{self._palette()}</style>\n</head>\n<body>",
            f'<h1>{escape(self.title)}</h1>\n<p class="facts">{escape(self.facts)}{command}</p>',
            _sentences(self.sentences),
            *map(_section, self.sections),
            f"<h2>All runs</h2>\n<details><summary>{escape(self.runs.caption)}</summary>",
            _table(self.runs, bare=True) + "</details>",
            "<h2>How the numbers are made</h2>",
            _sentences(self.method),
            "</body>\n</html>\n",
        ]
        return "\n".join(parts)

    def _palette(self) -> str:
        """The dark colours of the figures, and lighter ones in their place on a dark ground."""
        svgs = "".join(picture.svg for section in self.sections for picture in section.pictures)
        used = sorted(set(re.findall(r"var\(--c([0-9a-f]{6})\)", svgs)))
        light = "".join(f"--c{color}: #{color};" for color in used)
        dark = "".join(f"--c{color}: {lighter(color)};" for color in used)
        return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def lighter(color: str) -> str:
    """A colour of six hexadecimal digits, half way to white."""
    return "#" + "".join(f"{(int(color[i : i + 2], 16) + 255) // 2:02x}" for i in (0, 2, 4))


def _sentences(sentences: Sequence[str]) -> str:
    if not sentences:
        return ""
    return '<ul class="says">\n' + "\n".join(f"<li>{escape(text)}</li>" for text in sentences) + "\n</ul>"


def _section(section: Section) -> str:
    tables, pictures = map(_table, section.tables), map(_picture, section.pictures)
    return "\n".join([f"<h2>{escape(section.title)}</h2>", _sentences(section.sentences), *tables, *pictures])


def _table(table: Table, *, bare: bool = False) -> str:
    def cell(column: int, text: str, tag: str) -> str:
        kind = ("text long" if len(text) > LONG else "text") if column in table.texts else ""
        mark = f' class="{kind}"' if kind else ""
        return f"<{tag}{mark}>{escape(text)}</{tag}>"

    def row(cells: Sequence[str], tag: str, mark: str = "") -> str:
        return f"<tr{mark}>" + "".join(cell(i, text, tag) for i, text in enumerate(cells)) + "</tr>"

    body = [row(cells, "td", ' class="best"' if i == table.best else "") for i, cells in enumerate(table.rows)]
    caption = "" if bare else f"<caption><span>{escape(table.caption)}</span></caption>"
    head = f"<thead>{row(table.header, 'th')}</thead>"
    return f'<div class="scroll"><table>{caption}{head}\n<tbody>\n' + "\n".join(body) + "\n</tbody></table></div>"


def _picture(picture: Picture) -> str:
    found = re.search(r'data-width="([\d.]+)"', picture.svg)
    width = round(POINT * float(found.group(1))) if found else 900
    size = f"width: {width}px; max-width: max(100%, {min(width, READABLE)}px)"
    label = f'role="img" aria-label="{escape(picture.caption, quote=True)}"'
    svg = picture.svg.replace("<svg ", f'<svg {label} style="{size}" ', 1)
    return f'<figure><div class="scroll">{svg}</div>\n<figcaption>{escape(picture.caption)}</figcaption></figure>'
