"""The dashboard shows what a coordinator counts: each metric and label that it names is there, and each metric is shown."""

import json
import re
from pathlib import Path
from typing import Any

import coordinator.api.metrics  # noqa: F401 - its series are in the registry once it is loaded
from coordinator.observe.series import REGISTRY

BOARD: dict[str, Any] = json.loads((Path(__file__).parents[2] / "deploy/grafana/hive.json").read_text())
PANELS: list[dict[str, Any]] = BOARD["panels"]
FROM_PROMETHEUS = {"le", "instance"}
"""Labels that the scraper and the format add."""


def known() -> dict[str, set[str]]:
    """The names under which samples are told, each with its labels."""
    found: dict[str, set[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        kind = getattr(collector, "_type", "")
        for name in names:
            told = name.endswith({"counter": "_total", "histogram": ("_bucket", "_sum", "_count")}.get(kind, ""))  # type: ignore[arg-type]
            if told:
                found[name] = labels
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel.get("targets", [])]


def test_every_metric_that_it_names_is_there() -> None:
    names = {name for expression in expressions() for name in re.findall(r"\bhive_\w+", expression)}
    assert names
    assert names - known().keys() == set()
    (variable,) = [one for one in BOARD["templating"]["list"] if one["name"] == "coordinator"]
    assert re.findall(r"hive_\w+", variable["query"])[0] in known()


def test_every_label_that_it_names_is_one_of_its_metric() -> None:
    for panel in PANELS:
        for target in panel.get("targets", []):
            expression = target["expr"]
            (metric,) = set(re.findall(r"\bhive_\w+", expression))
            asked = [part for group in re.findall(r"by \(([^)]*)\)", expression) for part in re.split(r", *", group)]
            asked += re.findall(r"[{,] *(\w+)=~?", expression) + re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])
            assert set(asked) - FROM_PROMETHEUS - known()[metric] == set(), expression


def test_every_metric_is_shown() -> None:
    shown = " ".join(expressions())
    missing = {re.sub("_(bucket|sum|count)$", "", name) for name in known() if not re.search(rf"\b{name}\b", shown)}
    whole = {re.sub("_(bucket|sum|count)$", "", name) for name in known() if re.search(rf"\b{name}\b", shown)}
    assert missing - whole == set()


def test_panels_have_their_own_ids_and_places() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert at["x"] + at["w"] <= 24
    sources = {target["datasource"]["uid"] for panel in PANELS for target in panel.get("targets", [])}
    assert sources == {"${datasource}"}
