"""The ASGI application."""

from litestar import Litestar
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from deploy.devledger.faults import Faults
from deploy.devledger.horizon.problems import Problem, missing
from deploy.devledger.horizon.reads import READS
from deploy.devledger.horizon.replies import AnyRequest, Reply, read_paging, reply
from deploy.devledger.horizon.writes import WRITES
from deploy.devledger.node import Node

PATIENCE = 30.0
"""Seconds that a submission waits for a ledger before it is answered with 504, as Horizon's."""


def build_app(node: Node, patience: float = PATIENCE) -> Litestar:
    """Return Horizon's face on a node; the patience of synchronous submissions in seconds."""
    faults = Faults()
    handlers: list[ControllerRouterHandler] = [*READS, *WRITES]
    return Litestar(
        handlers,
        dependencies={
            "paging": Provide(read_paging, sync_to_thread=False),
            "node": Provide(lambda: node, sync_to_thread=False),
            "faults": Provide(lambda: faults, sync_to_thread=False),
            "patience": Provide(lambda: patience, sync_to_thread=False),
        },
        exception_handlers={HTTPException: _refused},
        openapi_config=None,
        logging_config=None,
    )


def _refused(_request: AnyRequest, error: HTTPException) -> Reply:
    if error.status_code == 404:
        return reply(missing())
    return reply(Problem(error.status_code, "bad_request", "Bad Request", error.detail))
