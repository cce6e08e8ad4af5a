"""One picture of the path in the kernel: bars of the networks, a panel for each figure, as SVG written by hand.

No drawing library: a bar is a rectangle. Each panel has its own scale, which begins at 0; more is better in all of
them, so that longer bars are better ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

_ROW, _BAR, _PANEL, _NAMES, _GAP, _TOP = 22, 15, 210, 230, 24, 58
_COLOURS = (("inband eBPF", "#1a7f5a"), ("inband", "#7fbf9f"), ("Open vSwitch", "#c9772f"), ("", "#8a8f98"))


def draw(title: str, names: Sequence[str], panels: Mapping[str, Mapping[str, tuple[float, str]]]) -> str:
    """The picture: ``panels`` are heading to (name to value and its text); what has no value has no bar."""
    width = _NAMES + len(panels) * (_PANEL + _GAP)
    height = _TOP + len(names) * _ROW + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
        '  font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for row, name in enumerate(names):
        parts.append(f'<text x="{_NAMES - 10}" y="{_y(row) + 12}" text-anchor="end">{escape(name)}</text>')
    for column, (heading, values) in enumerate(panels.items()):
        parts += _panel(_NAMES + column * (_PANEL + _GAP), heading, names, values)
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: int, heading: str, names: Sequence[str], values: Mapping[str, tuple[float, str]]) -> list[str]:
    longest = max((value for value, _ in values.values()), default=0) or 1
    parts = [f'<text x="{left}" y="{_TOP - 12}" font-weight="bold">{escape(heading)}</text>']
    for row, name in enumerate(names):
        if name not in values:
            continue
        value, text = values[name]
        # A quarter of the panel is left for the longest bar's text.
        length = value / longest * _PANEL * 0.75
        place = f'x="{left}" y="{_y(row)}" width="{length:.1f}" height="{_BAR}"'
        parts.append(f'<rect {place} fill="{_colour(name)}"/>')
        parts.append(f'<text x="{left + length + 5:.1f}" y="{_y(row) + 12}" fill="#444444">{escape(text)}</text>')
    return parts


def _y(row: int) -> int:
    return _TOP + row * _ROW


def _colour(name: str) -> str:
    return next(colour for start, colour in _COLOURS if name.startswith(start))
