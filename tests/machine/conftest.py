"""The fixture `world`, in which workers are paid; and daemons that do not wait for their first beat."""

import pytest

from tests.machine.payout_world import world
from worker import daemon

__all__ = ["beats_at_once", "world"]


@pytest.fixture(autouse=True)
def beats_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a daemon waits that has not heard yet how often it is to beat: the coordinators here tell it 0.2 s."""
    monkeypatch.setattr(daemon, "HEARTBEAT_S", 0.2)
