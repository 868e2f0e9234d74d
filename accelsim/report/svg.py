"""SVG by hand: a list of elements with the few shapes that diagrams need.

Colours of `accelsim.report.palette` that are not data (ink, muted, rule, ground) are written as CSS variables
with that colour as fallback, so the picture follows the page that it stands in and stands alone as well.
"""

from __future__ import annotations

from html import escape

from accelsim.report.palette import GROUND, INK, MUTED, RULE

_VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", GROUND: "--ground"}

#: Width of an average letter over the font size, for fitting text into boxes; on the safe side for sans-serif
#: fonts.
LETTER = 0.58


def paint(colour: str) -> str:
    """A colour as CSS.

    >>> paint("#1b2330"), paint("#0072b2")
    ('var(--ink, #1b2330)', '#0072b2')
    """
    return f"var({_VARIABLES[colour]}, {colour})" if colour in _VARIABLES else colour


def fit(text: str, *, width: float, size: float) -> str:
    """The text, cut at its end where it would be wider.

    >>> fit("weight_buffer", width=60, size=10)
    'weight_bu…'
    """
    most = max(1, int(width / (size * LETTER)))
    return text if len(text) <= most else f"{text[: most - 1]}…"


class Drawing:
    """Elements in the order in which they cover one another."""

    def __init__(self, *, width: float, height: float, title: str) -> None:
        self._width, self._height, self._title = width, height, title
        self._elements: list[str] = []

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = GROUND,
        stroke: str = INK,
        radius: float = 6,
        opacity: float = 1.0,
        is_dashed: bool = False,
        thickness: float = 1.3,
    ) -> None:
        dash = ' stroke-dasharray="7 5"' if is_dashed else ""
        inside = "none" if fill == "none" else paint(fill)
        self._elements.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" '
            f'style="fill:{inside};stroke:{paint(stroke)};fill-opacity:{opacity:g}" '
            f'stroke-width="{thickness:g}"{dash}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 12,
        anchor: str = "middle",
        colour: str = INK,
        is_bold: bool = False,
        turn: int = 0,
    ) -> None:
        weight = ' font-weight="600"' if is_bold else ""
        turned = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn else ""
        self._elements.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{weight}{turned} '
            f'style="fill:{paint(colour)}">{escape(text)}</text>'
        )

    def path(
        self,
        points: list[tuple[float, float]],
        *,
        colour: str = INK,
        thickness: float = 2.0,
        is_arrow: bool = True,
        is_two_way: bool = False,
    ) -> None:
        """Straight pieces from point to point, with a head at the end (and one at the beginning)."""
        way = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._elements.append(
            f'<path d="M{way}" fill="none" stroke-linejoin="round" stroke-width="{thickness:g}" '
            f'style="stroke:{paint(colour)}"/>'
        )
        if is_arrow:
            self._head(points[-2], points[-1], colour, thickness)
        if is_two_way:
            self._head(points[1], points[0], colour, thickness)

    def _head(self, tail: tuple[float, float], tip: tuple[float, float], colour: str, thickness: float) -> None:
        length = max(abs(tip[0] - tail[0]), abs(tip[1] - tail[1])) or 1.0
        along = ((tip[0] - tail[0]) / length, (tip[1] - tail[1]) / length)
        size = 2.2 + 2.2 * thickness
        back = (tip[0] - along[0] * size * 1.3, tip[1] - along[1] * size * 1.3)
        side = (-along[1] * size * 0.62, along[0] * size * 0.62)
        corners = [tip, (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        self._elements.append(f'<polygon points="{text}" style="fill:{paint(colour)}"/>')

    def circle(self, x: float, y: float, radius: float, *, colour: str) -> None:
        self._elements.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" style="fill:{paint(colour)}"/>')

    def to_svg(self) -> str:
        """The whole document."""
        body = "\n".join(self._elements)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width:g} {self._height:g}" '
            f'width="{self._width:g}" height="{self._height:g}" role="img" '
            f"font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">\n"
            f"<title>{escape(self._title)}</title>\n"
            f'<rect width="100%" height="100%" style="fill:{paint(GROUND)}"/>\n{body}\n</svg>\n'
        )
