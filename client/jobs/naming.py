"""Which job a person means by an id, or by its beginning."""

import re
from typing import Final
from uuid import UUID

from client.hive import Hive
from client.options import reached
from client.shapes.jobs import Job
from shared.errors import HiveError, NotFound, RequestError

RECENT: Final = 100
LEAST: Final = 4
_WHOLE: Final = re.compile("[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


def named(hive: Hive, text: str) -> UUID:
    """The job of this id; a beginning of at least four digits, also as in a chat's `hive-1a2b3c4d`, is looked for among the
    last 100. Raises HiveError if there is none or more than one."""
    written = text.strip().lower().removeprefix("hive-")
    if _WHOLE.fullmatch(written):
        return UUID(written)
    if len(written) < LEAST:
        raise RequestError(f"{text} is no job's id; 'hive jobs list' shows them.")
    found = [job.id for job in hive.jobs(limit=RECENT).data if str(job.id).startswith(written)]
    if len(found) > 1:
        raise RequestError(f"{len(found)} jobs begin with {text}; give some more digits.")
    if not found:
        raise NotFound(f"None of the last {RECENT} jobs begins with {text}; 'hive jobs list' shows them.")
    return found[0]


def offered(incomplete: str) -> list[tuple[str, str]]:
    """What TAB offers: the last jobs, each with its status; nothing where no Hive answers."""
    try:
        there = reached(None)
        with Hive(there.url, there.key, max_retries=0) as hive:
            found = hive.jobs(limit=RECENT).data
    except HiveError:
        return []
    return [(str(job.id), _about(job)) for job in found if str(job.id).startswith(incomplete.lower())]


def _about(job: Job) -> str:
    return f"{job.status}, {job.model_id}"
