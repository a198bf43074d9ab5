"""Records `hive demo` as the README's picture: `python -m deploy.picture docs/demo.svg`."""

import re
import sys
from pathlib import Path

from rich.console import Console

from deploy.demo import present


def record(file: Path) -> None:
    """Runs the demonstration and writes what the terminal showed as an SVG."""
    console = Console(record=True, width=150, highlight=False, force_terminal=True)
    console.print("[bold]$ make demo[/bold]")
    present(console)
    # Without the fonts that Rich would have the reader's browser fetch from elsewhere.
    file.write_text(re.sub(r"@font-face \{.*?\}\n", "", console.export_svg(title="make demo"), flags=re.DOTALL))


if __name__ == "__main__":
    record(Path(sys.argv[1]))
