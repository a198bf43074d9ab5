"""What the pages say of the bundled model is what was measured of this very file."""

import hashlib
import re

from shared.catalogue import catalogue
from tests.house.test_source import ROOT

FOLDER = ROOT / "deploy" / "nano"
GOAL = 90


def table_in(page: str) -> list[str]:
    return [re.sub(r"\s+", " ", line) for line in page.splitlines() if re.match(r"\|.*\|\s*\d+\s*\|\s*\d+\s*\|", line)]


def test_the_table_is_the_same_on_every_page_and_of_this_file() -> None:
    measured = (FOLDER / "EVAL.md").read_text()
    digest = hashlib.sha256(catalogue()["hive-nano"].path.read_bytes()).hexdigest()
    assert digest in measured
    told = table_in(measured)
    assert len(told) > 10
    assert table_in((ROOT / "README.md").read_text()) == told
    assert table_in((FOLDER / "README.md").read_text()) == told


def test_held_out_wordings_are_answered_as_well_as_was_asked_for() -> None:
    (whole,) = [row for row in table_in((FOLDER / "EVAL.md").read_text()) if "**all**" in row]
    _, asked, right, percent, ended = [cell.strip() for cell in whole.strip("|").split("|")]
    assert int(percent) >= GOAL
    assert round(100 * int(right) / int(asked)) == int(percent)
    assert int(ended) >= int(asked) - 2
