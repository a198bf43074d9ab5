"""The two clients, made from one description of the routes: `Hive` answers, `AsyncHive` is awaited."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import update_wrapper
from random import random
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar, overload
from uuid import UUID

import httpx

from client import routes
from client.call import Call
from client.events import Done, Event, Failed
from client.following import Following
from client.retries import pause_s
from client.shapes.jobs import Job
from client.wire import Wire
from shared.errors import HiveError
from shared.home import hive_home
from shared.reach import reach

P = ParamSpec("P")
T = TypeVar("T")
MAX_RETRIES: Final = 2
_FAILURES: Final = (HiveError, httpx.TransportError)


class Route(Generic[P, T]):
    """A route as a method of both clients: of `Hive` it answers with T, of `AsyncHive` with something to await for T."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self.describe = describe
        self.__doc__ = describe.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: "Hive", owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncHive", owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """The method of this client."""
        if client is None:
            return self
        return update_wrapper(lambda *args, **kwargs: client.send(self.describe(*args, **kwargs)), self.describe)


class Routes:
    """Every route that both clients have, and the Hive that is asked: `base_url` and `api_key`, else HIVE_BASE_URL and
    HIVE_API_KEY, else the swarm that `hive up` runs on this machine."""

    submit = Route(routes.submit)
    job = Route(routes.job)
    why = Route(routes.why)
    jobs = Route(routes.jobs)
    cancel = Route(routes.cancel)
    status = Route(routes.status)
    models = Route(routes.models)
    workers = Route(routes.workers)
    worker = Route(routes.worker)
    receipt = Route(routes.receipt)
    guards = Route(routes.guards)
    key = Route(routes.key)
    usage = Route(routes.usage)
    balance = Route(routes.balance)
    callbacks = Route(routes.callbacks)
    replay_callback = Route(routes.replay_callback)
    webhook_secret = Route(routes.webhook_secret)
    rotate_webhook_secret = Route(routes.rotate_webhook_secret)

    def __init__(self, base_url: str | None = None, api_key: str | None = None, max_retries: int = MAX_RETRIES) -> None:
        found = reach(base_url, os.environ, hive_home())
        self._wire = Wire(found.url, api_key or found.key)
        self._max_retries = max_retries

    def _pause_s(self, error: HiveError | httpx.TransportError, tries: int, call: Call[Any]) -> float:
        """The seconds until the next try; raises what a caller is told if there is none."""
        failed = self._wire.failed(error)
        pause = pause_s(failed, tries, self._max_retries, random(), safe=call.safe)  # noqa: S311 - jitter, no secret
        if pause is None:
            raise failed from error
        return pause

    def _resume_s(self, following: Following, error: HiveError | httpx.TransportError | None) -> float:
        """The seconds until a stream is opened again; raises what a caller is told if it is not."""
        failed = self._wire.failed(error) if error is not None else None
        return following.pause_s(failed, random())  # noqa: S311 - jitter, no secret


class Hive(Routes):
    """The client that waits for each answer; one for each thread. Raises `shared.errors.HiveError`."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        max_retries: int = MAX_RETRIES,
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(base_url, api_key, max_retries)
        self._http = http or httpx.Client(**self._wire.options())
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """The answer to any call; a failed one is sent again where that is safe."""
        tries = 0
        while True:
            try:
                return self._wire.read(call, self._http.request(**self._wire.request(call)))
            except _FAILURES as e:
                tries += 1
                pause = self._pause_s(e, tries, call)
            self._sleep(pause)

    def events(self, job_id: UUID | str, last_id: int | None = None) -> Iterator[Event]:
        """The job's events until its end, over broken connections too; `last_id` goes on after an earlier one. Leaving
        changes nothing for the job."""
        following, url = Following(last_id), self._wire.url + routes.events(job_id)
        while True:
            broke: HiveError | httpx.TransportError | None = None
            try:
                with self._http.stream("GET", url, headers=self._wire.headers() | following.headers()) as answer:
                    if not answer.is_success:
                        raise self._wire.refusal(answer, answer.read())
                    for data in answer.iter_bytes():
                        yield from following.feed(data)
            except _FAILURES as e:
                broke = e
            if following.ended:
                return
            self._sleep(self._resume_s(following, broke))

    def wait(self, job_id: UUID | str) -> Job:
        """The job once it has ended, well or not."""
        for event in self.events(job_id):
            if isinstance(event, Done | Failed):
                return event.job
        raise AssertionError("events end with the job's end")


class AsyncHive(Routes):
    """The same for asyncio."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        max_retries: int = MAX_RETRIES,
        http: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(base_url, api_key, max_retries)
        self._http = http or httpx.AsyncClient(**self._wire.options())
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """See `Hive.send`."""
        tries = 0
        while True:
            try:
                return self._wire.read(call, await self._http.request(**self._wire.request(call)))
            except _FAILURES as e:
                tries += 1
                pause = self._pause_s(e, tries, call)
            await self._sleep(pause)

    async def events(self, job_id: UUID | str, last_id: int | None = None) -> AsyncIterator[Event]:
        """See `Hive.events`."""
        following, url = Following(last_id), self._wire.url + routes.events(job_id)
        while True:
            broke: HiveError | httpx.TransportError | None = None
            try:
                headers = self._wire.headers() | following.headers()
                async with self._http.stream("GET", url, headers=headers) as answer:
                    if not answer.is_success:
                        raise self._wire.refusal(answer, await answer.aread())
                    async for data in answer.aiter_bytes():
                        for event in following.feed(data):
                            yield event
            except _FAILURES as e:
                broke = e
            if following.ended:
                return
            await self._sleep(self._resume_s(following, broke))

    async def wait(self, job_id: UUID | str) -> Job:
        """See `Hive.wait`."""
        async for event in self.events(job_id):
            if isinstance(event, Done | Failed):
                return event.job
        raise AssertionError("events end with the job's end")
