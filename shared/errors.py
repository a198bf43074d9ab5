"""One error tree: each error knows its stable code, its status and whose fault it is."""

from collections.abc import Mapping
from typing import Any, ClassVar


class HiveError(Exception):
    """Something that a caller is told; `code` is stable, `retryable` says whether the same request may succeed later, and a
    client knows by `request_id` which of its requests it was."""

    status: ClassVar[int] = 500
    code: str = "internal_error"
    type: ClassVar[str] = "server_error"
    retryable: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after_s: int | None = None,
        dispatched: bool = False,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.param = param
        self.details = details
        self.retry_after_s = retry_after_s
        self.dispatched = dispatched
        self.request_id = request_id


class RequestError(HiveError):
    """The request is wrong; sending it again changes nothing."""

    status = 400
    code = "invalid_request"
    type = "invalid_request_error"
    retryable = False


class Unauthorized(RequestError):
    """No key, or a bad one."""

    status = 401
    code = "unauthorized"
    type = "authentication_error"


class BudgetExceeded(RequestError):
    """The key's budget is spent."""

    status = 402
    code = "budget_exceeded"
    type = "budget_exceeded"


class Forbidden(RequestError):
    """The account, key or a guard does not allow it: `insufficient_balance`, `model_not_allowed`."""

    status = 403
    code = "insufficient_balance"
    type = "permission_error"


class NotFound(RequestError):
    """No such job, file or route."""

    status = 404
    code = "not_found"


class MethodNotAllowed(RequestError):
    """The route is there, the method is not."""

    status = 405
    code = "method_not_allowed"


class Conflict(RequestError):
    """`idempotency_conflict` or `not_cancellable`."""

    status = 409
    code = "not_cancellable"


class TooLarge(RequestError):
    """The body is larger than the route takes."""

    status = 413
    code = "request_too_large"


class RateLimited(HiveError):
    """The key's requests or tokens of this minute or day are used up: `rate_limit_exceeded`, or `queue_full`."""

    status = 429
    code = "rate_limit_exceeded"
    type = "rate_limit_error"


class JobFailed(HiveError):
    """The job failed on its workers."""

    status = 502
    code = "job_failed"


class Unavailable(HiveError):
    """Nobody can take it now: `no_workers`, `model_loading`, or the database is away."""

    status = 503
    code = "no_workers"
    type = "service_unavailable"


class ModelLoading(Unavailable):
    """A worker is loading the model for longer than a client waits."""

    code = "model_loading"


class JobTimeout(HiveError):
    """The job was claimed but not completed in time."""

    status = 504
    code = "job_timeout"
