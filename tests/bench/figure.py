"""One measured number beside its target, and the table of them."""

from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """`target` is a ceiling, or a floor where `floor` says so; without one the number is only told."""

    name: str
    measured: float
    unit: str
    target: float | None = None
    floor: bool = False

    @property
    def ratio(self) -> float | None:
        """Measured over target; None without a target."""
        return None if not self.target else self.measured / self.target

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.measured >= self.target if self.floor else self.measured <= self.target


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; raises ValueError for no values."""
    if not values:
        raise ValueError("nothing was measured")
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [("figure", "measured", "target", "ratio", "holds"), ("---", "---:", "---:", "---:", "---")]
    rows += [_row(figure) for figure in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows)


def _row(figure: Figure) -> tuple[str, str, str, str, str]:
    sign = "≥" if figure.floor else "≤"
    target = "" if figure.target is None else f"{sign} {figure.target:g} {figure.unit}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    holds = "" if figure.holds is None else "yes" if figure.holds else "NO"
    return figure.name, f"{figure.measured:.4g} {figure.unit}", target, ratio, holds
