"""Bars with whiskers as an SVG, written by hand: a picture of a table needs no library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.measure import Spread

COLOURS = ("#2f6f8f", "#b0b7bd", "#d9a441")
BAR, GAP, LEFT, WIDTH, RIGHT = 16, 14, 250, 440, 120


@dataclass(frozen=True, slots=True)
class Bars:
    """One group of bars for each label; `series` names those of every group."""

    title: str
    unit: str
    series: tuple[str, ...]
    groups: Sequence[tuple[str, Sequence[Spread]]]


def svg(charts: Sequence[Bars]) -> str:
    """All charts below each other. Bars are medians, whiskers reach from the lowest to the highest measurement."""
    parts: list[str] = []
    y = 10
    for chart in charts:
        y = _chart(chart, y, parts) + 30
    width = LEFT + WIDTH + RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" '
        f'font-family="sans-serif" font-size="12"><rect width="{width}" height="{y}" fill="white"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _chart(chart: Bars, y: int, parts: list[str]) -> int:
    """Appends a chart whose top is at `y`; its bottom."""
    longest = max((spread.max for _, spreads in chart.groups for spread in spreads), default=1.0) or 1.0
    scale = WIDTH / longest
    parts.append(_text(10, y + 14, f"{chart.title} ({chart.unit})", "start", "bold"))
    x = LEFT
    for name, colour in zip(chart.series, COLOURS, strict=False):
        parts.append(f'<rect x="{x}" y="{y + 26}" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(x + 15, y + 35, name, "start"))
        x += 40 + 7 * len(name)
    y += 48
    for label, spreads in chart.groups:
        parts.append(_text(LEFT - 10, y + BAR * len(spreads) // 2 + 4, label, "end"))
        for spread, colour in zip(spreads, COLOURS, strict=False):
            middle = y + BAR // 2
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{spread.median * scale:.1f}" height="{BAR - 2}" fill="{colour}"/>'
                f'<path d="M{LEFT + spread.min * scale:.1f} {middle}H{LEFT + spread.max * scale:.1f}" stroke="#333"/>'
            )
            parts.append(_text(LEFT + spread.max * scale + 6, middle + 4, f"{spread.median:,.4g}", "start"))
            y += BAR
        y += GAP
    return y


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
