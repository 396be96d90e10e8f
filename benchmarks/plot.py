"""The history as an SVG: a panel a figure, its median by night within the band of its spread, and its aim dashed."""

from collections.abc import Sequence
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from benchmarks.history import Night, Point

COLUMNS = 2
WIDTH, HEIGHT = 460, 150  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 30, 24  # around what is drawn in it
INK, BAND, AIM = "#1f4e79", "#b9d3ea", "#b3261e"

Series = list[tuple[datetime, Point]]


def plotted(nights: Sequence[Night]) -> str:
    """All figures of all nights, in the order in which the last night that has them does."""
    names = list(dict.fromkeys(name for night in reversed(nights) for name in night.points))
    rows = -(-len(names) // COLUMNS)
    width, height = COLUMNS * WIDTH, max(rows, 1) * HEIGHT
    root = Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}", width=str(width))
    root.set("height", str(height))
    root.set("font-family", "sans-serif")
    SubElement(root, "rect", width=str(width), height=str(height), fill="white")
    for number, name in enumerate(names):
        row, column = divmod(number, COLUMNS)
        panel = SubElement(root, "g", transform=f"translate({column * WIDTH} {row * HEIGHT})")
        _draw(panel, name, [(night.time, night.points[name]) for night in nights if name in night.points])
    return tostring(root, encoding="unicode") + "\n"


class _Axes:
    """Where a moment and a value are in a panel."""

    def __init__(self, series: Series) -> None:
        values = [each for _, point in series for each in (point.least, point.most, point.aim) if each is not None]
        self.low, self.high = min(0.0, *values), max(values)
        self.first, self.last = series[0][0], series[-1][0]

    def x(self, time: datetime) -> float:
        """One night alone stands in the middle."""
        span = (self.last - self.first).total_seconds()
        share = (time - self.first).total_seconds() / span if span else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        """From zero, so that a small change does not look like a great one."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _draw(panel: Element, name: str, series: Series) -> None:
    axes = _Axes(series)
    latest = series[-1][1]
    _text(panel, LEFT, 18, f"{name}: {latest.median:.3g} {latest.unit}", size=12)
    for value in {axes.low, axes.high}:
        _text(panel, LEFT - 6, axes.y(value) + 4, f"{value:.3g}", anchor="end")
        _line(panel, axes.y(value), stroke="#dddddd")
    if latest.aim is not None:
        _line(panel, axes.y(latest.aim), stroke=AIM, dashes="4 3")
    band = [(axes.x(time), axes.y(point.most)) for time, point in series]
    band += [(axes.x(time), axes.y(point.least)) for time, point in reversed(series)]
    SubElement(panel, "polygon", points=_points(band), fill=BAND, stroke=BAND)
    line = [(axes.x(time), axes.y(point.median)) for time, point in series]
    SubElement(panel, "polyline", points=_points(line), fill="none", stroke=INK)
    for (time, point), (x, y) in zip(series, line, strict=True):
        dot = SubElement(panel, "circle", cx=str(x), cy=str(y), r="2.5", fill=INK)
        SubElement(dot, "title").text = f"{time:%Y-%m-%d}: {point.median:.3g} ({point.least:.3g} to {point.most:.3g})"
    ends = {"start": axes.first, "end": axes.last} if axes.first != axes.last else {"middle": axes.first}
    for anchor, time in ends.items():
        _text(panel, axes.x(time), HEIGHT - 8, f"{time:%Y-%m-%d}", anchor=anchor)


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def _text(panel: Element, x: float, y: float, text: str, *, anchor: str = "start", size: int = 10) -> None:
    attributes = {"x": f"{x:g}", "y": f"{y:g}", "text-anchor": anchor, "font-size": str(size)}
    SubElement(panel, "text", attributes).text = text


def _line(panel: Element, y: float, *, stroke: str, dashes: str = "none") -> None:
    attributes = {"x1": str(LEFT), "x2": str(WIDTH - RIGHT), "y1": f"{y:g}", "y2": f"{y:g}"}
    SubElement(panel, "line", attributes | {"stroke": stroke, "stroke-dasharray": dashes})
