"""Pages that are made from code say what the code says now."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {"docs/LIFECYCLE.md": "coordinator.queue.lifecycle"}


@pytest.mark.parametrize("page", PAGES)
def test_page_is_current(page: str) -> None:
    told = subprocess.run([sys.executable, "-m", PAGES[page]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (ROOT / page).read_text() == told.stdout, f"run: python -m {PAGES[page]} > {page}"
