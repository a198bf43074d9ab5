"""What every engine can do for a worker, whoever makes the tokens: a llama.cpp process of our own, or another server."""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

from worker.engine.wire import Embedded, Generate, Loaded, OfRequest, Ranked


class Engine(Protocol):
    """One model. `run` keeps it alive; the other calls may be used by many tasks at once."""

    loaded: Loaded | None
    starts: int

    @property
    def verifiability(self) -> Literal["seeded", "weak"]:
        """Whether its tokens can be replayed from the seed."""

    @property
    def parked(self) -> bool:
        """Whether the model is out of memory on purpose."""

    @property
    def busy(self) -> bool:
        """Whether it works on a request, or one waits for the model."""

    @property
    def pid(self) -> int | None:
        """The process that makes the tokens, where it is ours; None while it is down."""

    async def ready(self) -> Loaded:
        """Waits until the model is loaded, waking the engine if it was parked; raises EngineError where it cannot be."""

    async def run(self) -> None:
        """Keeps the engine up until `stop`; raises EngineError where the model cannot be served."""

    def generate(self, request: Generate) -> AsyncGenerator[OfRequest, None]:
        """Events of one request up to Finished or Failed; its number is given here. Closing the iterator earlier
        cancels the request and frees its slot."""

    async def embed(self, texts: list[str]) -> Embedded:
        """A normalised vector for each text; raises RequestFailedError."""

    async def rank(self, query: str, documents: list[str]) -> Ranked:
        """A score for each document; raises RequestFailedError."""

    def park(self) -> None:
        """Gives the memory back once no request runs, until `wake` or `ready`."""

    def wake(self) -> None:
        """Loads the model again."""

    async def stop(self) -> None:
        """Ends the engine; `run` returns then."""
