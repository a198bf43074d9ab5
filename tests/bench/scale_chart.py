"""The claim's latency over the number of waiting jobs, as an SVG: no library, so that the file stays small and readable."""

from collections.abc import Sequence

from tests.bench.figure import Figure

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 320, 60, 50, 50
HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">\n'
    '<rect width="100%" height="100%" fill="white"/>\n'
)
LINES = (("p50", "#2563eb"), ("p99", "#dc2626"))


def chart(figures: Sequence[Figure], rows: Sequence[int]) -> str:
    """A line for p50 and one for p99, in ms, and the target."""
    found = {which: [_of(figures, many, which) for many in rows] for which, _ in LINES}
    target = max(figure.target or 0 for figures in found.values() for figure in figures)
    highest = max([target, *(figure.measured for figures in found.values() for figure in figures)]) * 1.1
    parts = [HEAD, _text(LEFT, 24, "A claim, in ms, by how many jobs wait (a transaction is open all the while)")]
    load = figures[0]
    parts.append(_text(LEFT, 42, f"{load.name}: {load.measured:.1f} {load.unit}", "#777"))
    for at in range(0, int(highest) + 1, max(1, int(highest) // 5)):
        y = _y(at, highest)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 20}" stroke="#ddd"/>\n{_text(20, y + 4, str(at))}')
    y = _y(target, highest)
    parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - 20}" stroke="#555" stroke-dasharray="6 4"/>\n')
    parts += [
        _text(_x(place, rows) - 24, HEIGHT - 24, f"{many:,}".replace(",", " ")) for place, many in enumerate(rows)
    ]
    for which, colour in LINES:
        points = [(_x(place, rows), _y(f.measured, highest)) for place, f in enumerate(found[which])]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>\n')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>\n' for x, y in points]
        x, y = points[-1]
        parts.append(_text(x - 30, y - 10, which, colour))
    return "".join([*parts, "</svg>\n"])


def _of(figures: Sequence[Figure], many: int, which: str) -> Figure:
    return next(f for f in figures if f.name.startswith(f"{many} jobs") and f.name.endswith(f"claim, {which}"))


def _x(place: int, rows: Sequence[int]) -> float:
    return LEFT + 40 + place * (WIDTH - LEFT - 100) / max(1, len(rows) - 1)


def _y(ms: float, highest: float) -> float:
    return HEIGHT - BOTTOM - ms / highest * (HEIGHT - BOTTOM - TOP)


def _text(x: float, y: float, said: str, colour: str = "#222") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{colour}">{said}</text>\n'
