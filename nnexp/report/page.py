"""One self-contained HTML page: no scripts, nothing fetched, light and dark, wide and narrow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from nnexp.comparison.sections import Picture, Section, Table
from nnexp.report.svg import to_svg

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
    method: Sequence[str]

    def html(self) -> str:
        """The page as one HTML document."""
        from jinja2 import Environment, PackageLoader, StrictUndefined

        templates = Environment(
            loader=PackageLoader("nnexp.report", ""), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        svgs = {picture.name: _svg(picture) for section in self.sections for picture in section.pictures}
        return templates.get_template(TEMPLATE).render(
            page=self, palette=_palette("".join(svgs.values())), svg_of=lambda picture: svgs[picture.name]
        )


def _palette(svgs: str) -> str:
    """The dark colours of the figures, and lighter ones in their place on a dark ground."""
    used = sorted(set(re.findall(r"var\(--c([0-9a-f]{6})\)", svgs)))
    light = "".join(f"--c{color}: #{color};" for color in used)
    dark = "".join(f"--c{color}: {lighter(color)};" for color in used)
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"


def lighter(color: str) -> str:
    """A colour of six hexadecimal digits, half way to white."""
    return "#" + "".join(f"{(int(color[i : i + 2], 16) + 255) // 2:02x}" for i in (0, 2, 4))


def _svg(picture: Picture) -> str:
    """The figure as an SVG element, as wide as it was drawn where there is room, with its caption for a reader."""
    svg = to_svg(picture.figure, picture.name)
    found = re.search(r'data-width="([\d.]+)"', svg)
    width = round(PIXELS_PER_POINT * float(found.group(1))) if found else 900
    size = f"width: {width}px; max-width: max(100%, {min(width, READABLE)}px)"
    label = f'role="img" aria-label="{escape(picture.caption, quote=True)}"'
    return svg.replace("<svg ", f'<svg {label} style="{size}" ', 1)
