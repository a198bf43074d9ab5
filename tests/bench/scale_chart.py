"""The claim's latency over the number of waiting jobs, as an SVG: no library, so that the file stays small and readable."""

from collections.abc import Sequence
from math import log10
from typing import Final

from tests.bench.figure import Figure

WIDTH, HEIGHT, LEFT, RIGHT, BOTTOM, TOP = 760, 380, 64, 64, 64, 84
HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
    'font-family="system-ui, sans-serif" font-size="13">\n<rect width="100%" height="100%" rx="8" fill="#fff"/>\n'
)
LINES: Final = (("p50", "#2563eb"), ("p99", "#dc2626"))
DARK, PALE, RULE = "#1f2937", "#6b7280", "#e5e7eb"


def chart(figures: Sequence[Figure], rows: Sequence[int]) -> str:
    """A line for p50 and one for p99, in ms, each with its values, and the target."""
    found = {which: [_of(figures, many, which) for many in rows] for which, _ in LINES}
    target = max(figure.target or 0 for figures in found.values() for figure in figures)
    highest = max([target, *(figure.measured for figures in found.values() for figure in figures)]) * 1.15
    load = figures[0]
    parts = [
        HEAD,
        _text(LEFT, 30, "What a claim costs, by how many jobs wait", size=17, weight=600),
        _text(LEFT, 52, _told(figures, rows), PALE),
        _text(LEFT, HEIGHT - 12, "jobs that wait", PALE, size=11),
        _text(WIDTH - RIGHT, HEIGHT - 12, f"{load.name}: {load.measured:.1f} {load.unit}", PALE, anchor="end", size=11),
    ]
    for at in _steps(highest):
        y = _y(at, highest)
        parts += [_across(y, RULE), _text(LEFT - 10, y + 4, f"{at:g} ms", PALE, anchor="end")]
    y = _y(target, highest)
    parts += [_across(y, DARK, dashed=True), _text(WIDTH / 2, y - 6, "target for p99", DARK, anchor="middle", size=11)]
    for many in rows:
        parts.append(_text(_x(many, rows), HEIGHT - BOTTOM + 24, f"{many:,}".replace(",", " "), DARK, anchor="middle"))
    for which, colour in LINES:
        parts += _line(
            which, colour, [(_x(many, rows), f) for many, f in zip(rows, found[which], strict=True)], highest
        )
    return "".join([*parts, "</svg>\n"])


def _line(which: str, colour: str, points: Sequence[tuple[float, Figure]], highest: float) -> list[str]:
    places = [(x, _y(figure.measured, highest)) for x, figure in points]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2.5"/>\n']
    for (x, y), (_, figure) in zip(places, points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>\n')
        parts.append(_text(x, y - 10, f"{figure.measured:.1f}", colour, anchor="middle", size=12, weight=600))
    x, y = places[-1]
    return [*parts, _text(x + 12, y + 5, which, colour, weight=600)]


def _told(figures: Sequence[Figure], rows: Sequence[int]) -> str:
    """What was measured, from the name of a figure: "… jobs waiting, … s beside an idle transaction: …"."""
    seconds = _of(figures, rows[0], "p99").name.partition("waiting, ")[2].partition(" s ")[0]
    return f"{seconds} s at each size, up to 64 jobs of 7 500 kinds a claim, beside a transaction that is open all the while"


def _of(figures: Sequence[Figure], many: int, which: str) -> Figure:
    return next(f for f in figures if f.name.startswith(f"{many} jobs") and f.name.endswith(f"claim, {which}"))


def _steps(highest: float) -> list[float]:
    """The marks of the scale: some five, round."""
    step = next(step for step in (0.5, 1, 2, 5, 10, 20, 50, 100, 1e9) if highest / step <= 8)
    return [n * step for n in range(int(highest / step) + 1)]


def _x(many: int, rows: Sequence[int]) -> float:
    """By its logarithm."""
    least, most = log10(min(rows)), log10(max(rows))
    share = (log10(many) - least) / (most - least) if most > least else 0.5
    return LEFT + 40 + share * (WIDTH - LEFT - RIGHT - 80)


def _y(ms: float, highest: float) -> float:
    return HEIGHT - BOTTOM - ms / highest * (HEIGHT - BOTTOM - TOP)


def _across(y: float, colour: str, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{colour}"{dashes}/>\n'


def _text(
    x: float, y: float, said: str, colour: str = DARK, *, anchor: str = "start", size: int = 13, weight: int = 400
) -> str:
    how = f'fill="{colour}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {how}>{said}</text>\n'
