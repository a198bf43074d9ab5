"""The fixture `world`, in which workers are paid."""

from tests.machine.payout_world import world

__all__ = ["world"]
