"""One self-contained HTML page: no scripts, nothing fetched, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from nnexp.comparison.citing import Sentence, cited, written
from nnexp.comparison.drawing import GRID, INK
from nnexp.comparison.sections import Picture, Section, Table
from nnexp.report.references import REFERENCES, works
from nnexp.report.rendering import render
from nnexp.terminal import visible

TEMPLATE = "page.html.j2"
PIXELS_PER_POINT = 4 / 3
READABLE = 560  # pixels; narrower screens scroll a figure rather than shrink it beyond reading


@dataclass(frozen=True)
class Page:
    """All that a page shows."""

    title: str
    facts: str
    command: str | None
    sentences: Sequence[str]
    sections: Sequence[Section]
    runs: Table
    methods: Sequence[Sequence[Sentence]]  # a paragraph each
    explanations: Sequence[str]
    made_with: str = ""  # versions, for captions that stand without the page
    svgs: Mapping[str, str] = field(
        default_factory=dict[str, str]
    )  # of pictures that are drawn already, by their names

    def html(self) -> str:
        """The page as one HTML document."""
        pictures = [picture for section in self.sections for picture in section.pictures]
        svgs = {picture.name: _svg(picture, self.svgs.get(picture.name)) for picture in pictures}
        html = template().render(
            page=self,
            palette=_palette("".join(svgs.values())),
            svg_of=lambda picture: svgs[picture.name],
            paragraphs=[" ".join(map(_plain, paragraph)) for paragraph in self.methods],
            references=[work for _, work in works(self.cited)],
        )
        return visible(html)  # no HTML has control characters, and whoever prints the file is not commanded by it

    @property
    def cited(self) -> list[str]:
        """The keys of the works that the methods cite, by their authors."""
        keys = cited(sentence for paragraph in self.methods for sentence in paragraph)
        return sorted(keys, key=lambda key: REFERENCES[key].short)


@cache
def template() -> Template:
    """What the page is made by: to read it takes as long as to fill it."""
    templates = Environment(
        loader=PackageLoader("nnexp.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return templates.get_template(TEMPLATE)


def _plain(sentence: Sentence) -> str:
    """A sentence with its works as authors and years."""
    return written(sentence, str, lambda place: f"({'; '.join(REFERENCES[key].short for key in place.keys)})")


def _palette(svgs: str) -> str:
    """The dark colours of the figures, and lighter ones in their place on a dark ground."""
    used = sorted(set(re.findall(r"var\(--c([0-9a-f]{6})\)", svgs)))
    light = "".join(f"--c{color}: #{color};" for color in used)
    dark = "".join(f"--c{color}: {lighter(color)};" for color in used)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def lighter(color: str) -> str:
    """A colour of six hexadecimal digits, half way to white."""
    return "#" + "".join(f"{(int(color[i : i + 2], 16) + 255) // 2:02x}" for i in (0, 2, 4))


def _svg(picture: Picture, drawn: str | None) -> str:
    """The figure as an SVG element, as wide as it was drawn where there is room, with its caption for a reader."""
    svg = embedded(drawn or render(picture.drawing)[0], picture.name)
    found = re.search(r'data-width="([\d.]+)"', svg)
    width = round(PIXELS_PER_POINT * float(found.group(1))) if found else 900
    size = f"width: {width}px; max-width: max(100%, {min(width, READABLE)}px)"
    label = f'role="img" aria-label="{escape(picture.caption, quote=True)}"'
    return svg.replace("<svg ", f'<svg {label} style="{size}" ', 1)


DARK = 70  # of 255; a darker colour is lost on a dark page


def embedded(svg: str, prefix: str) -> str:
    """An SVG document as an element to stand in a page: ids of its own, its ink the page's."""
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r"\bxlink:href=", "href=", text)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r' d="([^"]+)"', lambda path: f' d="{_rounded(path.group(1))}"', text)
    text = re.sub(
        r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"',
        r'<svg \1data-width="\2" stroke-linejoin="round"',
        text,
        count=1,
    )
    text = text.replace(INK, "currentColor").replace(GRID, "var(--line)")
    text = re.sub(r"(stroke|fill): #([0-9a-f]{6})", _themed, text)
    return re.sub(r"\s*\n\s*", "\n", text)


def _themed(found: re.Match[str]) -> str:
    """A dark colour as a variable of the page, which has a lighter one for a dark ground."""
    red, green, blue = (int(found.group(2)[i : i + 2], 16) for i in (0, 2, 4))
    is_dark = 0 < 0.21 * red + 0.72 * green + 0.07 * blue < DARK
    return f"{found.group(1)}: var(--c{found.group(2)})" if is_dark else found.group()


def _rounded(path: str) -> str:
    """Coordinates of a path to a hundredth of a point."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number.group()):.2f}", " ".join(path.split()))
