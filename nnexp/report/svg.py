"""A figure as an SVG element that stands in a page."""

from __future__ import annotations

import io
import re

from matplotlib.figure import Figure

from nnexp.comparison.drawing import GRID, INK, drawn

DARK = 70  # of 255; a darker colour is lost on a dark page


@drawn
def to_svg(figure: Figure, prefix: str) -> str:
    """The figure as an SVG element to stand in a page: ids of its own, no ground, its ink the page's."""
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
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
