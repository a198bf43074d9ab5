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
    file.write_text(without_fonts(console.export_svg(title="make demo")))


def without_fonts(svg: str) -> str:
    """The picture without the fonts that Rich would have the reader's browser fetch from elsewhere."""
    return re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    record(Path(sys.argv[1]))
