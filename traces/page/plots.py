"""Plots as SVG text for a page without scripts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opencodeinterpreter.traces.page.markup import as_html

_WIDTH, _ROW, _LABELS, _MARGIN = 720, 26, 240, 16
_HEIGHT = 300
_TICKS = 5


@dataclass(frozen=True)
class Mark:
    """A value with its interval; each mark has its own row."""

    label: str
    value: float
    low: float
    high: float
    hollow: bool = False
    """Drawn hollow: to be read with care."""


@dataclass(frozen=True)
class Point:
    """A point with its name."""

    label: str
    x: float
    y: float
    hollow: bool = False


@dataclass(frozen=True)
class _Axis:
    """Places values between two ends of a line."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return round values between the ends."""
        raw = (self.high - self.low) / _TICKS
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(each * power for each in (1, 2, 5, 10) if each * power >= raw)
        first = math.ceil(self.low / step)
        return [step * number for number in range(first, math.floor(self.high / step) + 1)]


def interval_plot(marks: Sequence[Mark], unit: str, *, zero: bool = False) -> str:
    """Return a row for each mark: a dot for its value and a line for its interval.

    With `zero` the axis holds 0, with a line there.
    """
    ends = [end for mark in marks for end in (mark.low, mark.high)] + ([0.0] if zero else [])
    axis = _axis(ends, _LABELS, _WIDTH - _MARGIN)
    height = _ROW * len(marks) + 2 * _ROW
    parts = [_grid(axis, _ROW * len(marks) + 8)]
    if zero:
        parts.append(_line(axis.at(0), 0, axis.at(0), _ROW * len(marks) + 8, "zero"))
    for number, mark in enumerate(marks):
        y = _ROW * number + _ROW / 2
        parts += [
            _text(_LABELS - 12, y + 4, mark.label, "end"),
            _line(axis.at(mark.low), y, axis.at(mark.high), y, "interval"),
            _dot(axis.at(mark.value), y, _told(mark, unit), hollow=mark.hollow),
        ]
    parts.append(_text((_LABELS + _WIDTH) / 2, height - 4, unit, "middle"))
    return _svg(height, parts, f"{unit} by setting, with 95 % intervals")


def scatter_plot(points: Sequence[Point], x_unit: str, y_unit: str) -> str:
    """Return points with their names."""
    x = _axis([point.x for point in points], 60, _WIDTH - _MARGIN)
    y = _axis([point.y for point in points], _HEIGHT - 50, 16)
    parts = [_grid(x, _HEIGHT - 44)]
    for tick in y.ticks():
        parts += [
            _line(60, y.at(tick), _WIDTH - _MARGIN, y.at(tick), "grid"),
            _text(52, y.at(tick) + 4, f"{tick:.5g}", "end"),
        ]
    for point in points:
        left, top = x.at(point.x), y.at(point.y)
        parts += [
            _dot(
                left,
                top,
                f"{point.label}: {point.x:.0f} {x_unit}, {point.y:.1f} {y_unit}",
                hollow=point.hollow,
            ),
            _beside(left, top + 4, point.label),
        ]
    parts.append(_text(_WIDTH / 2, _HEIGHT - 4, x_unit, "middle"))
    return _svg(_HEIGHT, parts, f"{y_unit} over {x_unit}")


def _told(mark: Mark, unit: str) -> str:
    return f"{mark.label}: {mark.value:.1f} {unit} [{mark.low:.1f}, {mark.high:.1f}]"


def _beside(x: float, y: float, label: str) -> str:
    """Return a point's name on the side where there is room for it."""
    return _text(x + 9, y, label, "start") if x < _WIDTH / 2 else _text(x - 9, y, label, "end")


def _dot(x: float, y: float, title: str, *, hollow: bool) -> str:
    kind = ' class="hollow"' if hollow else ""
    return (
        f'<circle{kind} cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{as_html(title)}</title></circle>'
    )


def _axis(values: Sequence[float], start: float, end: float) -> _Axis:
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or max(abs(high), 1.0) * 0.06
    return _Axis(low - room, high + room, start, end)


def _grid(axis: _Axis, bottom: float) -> str:
    lines = []
    for tick in axis.ticks():
        lines += [
            _line(axis.at(tick), 0, axis.at(tick), bottom, "grid"),
            _text(axis.at(tick), bottom + 14, f"{tick:.5g}", "middle"),
        ]
    return "".join(lines)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{as_html(text)}</text>'


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{as_html(title)}">'
        f"{''.join(parts)}</svg>"
    )
