"""The settings for commands to which it does not matter where the machine is: it may have been told by a flag alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.geo.cells import cell_of, format_cell
from worker.settings import Settings, settings

_SOMEWHERE: Final = format_cell(cell_of(0.0, 0.0))


def settings_anywhere(home: Path, environment: Mapping[str, str]) -> Settings:
    """The settings, whose `cell` means nothing; raises SettingsError for any other that is wrong."""
    return settings(home, environment, {"cell": _SOMEWHERE})
