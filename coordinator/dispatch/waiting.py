"""How the loops of dispatch wait between their rounds."""

import asyncio


async def wait_at_most(event: asyncio.Event, seconds: float) -> None:
    """Waits until the event is set, or so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
