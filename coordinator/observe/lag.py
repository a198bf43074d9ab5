"""How late the event loop comes back to whoever waits: whatever holds it holds every stream and every worker."""

import asyncio
from typing import Final

from coordinator.observe.series import LAG

EVERY_S: Final = 0.25


async def run() -> None:
    """Looks for ever."""
    now = asyncio.get_running_loop().time
    while True:
        due = now() + EVERY_S
        await asyncio.sleep(EVERY_S)
        LAG.observe(max(0.0, now() - due))
