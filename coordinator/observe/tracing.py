"""Traces for OpenTelemetry, where an endpoint for them is set: a request, its submit, and of each job the wait, the attempts and
the end, whichever coordinator has them. A job carries the trace that it belongs to; where no endpoint is set nothing is imported
or done. No span says what was asked or answered, nor an error in words, which may quote it."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

import msgspec
import structlog

from coordinator.dispatch.attempts import Attempt

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
SERVICE: Final = "hive-coordinator"
PATIENCE_S: Final = 2.0
MOST: Final = 512
"""So long a traceparent may be; the library logs each that is longer."""
_MS: Final = 1_000_000
_SILENT: Final = {"record_exception": False, "set_status_on_exception": False}

log = structlog.get_logger()


class _Traced(msgspec.Struct):
    """What of a job's request is read here."""

    trace: str | None = None


_DECODER: Final = msgspec.json.Decoder(_Traced)


class _Said(logging.Handler):
    """Puts what the library has to say into our log."""

    def emit(self, record: logging.LogRecord) -> None:
        log.warning("traces", said=record.getMessage()[:300])


class Tracing:
    """What is known once it is started; the rest of OpenTelemetry's settings are read by its own library."""

    def __init__(self) -> None:
        self._tracer: Any = None
        self._provider: Any = None

    def start(self, environment: Mapping[str, str]) -> None:
        """Sends traces from now on, if an endpoint is named and the library is there."""
        if not any(environment.get(name) for name in ENDPOINTS):
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - optional
            from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415 - the same
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - the same
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - the same
        except ImportError:
            log.warning(
                "an endpoint for traces is set, but OpenTelemetry is not installed: pip install 'hive-swarm[otel]'"
            )
            return
        name = environment.get("OTEL_SERVICE_NAME") or SERVICE
        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("hive")
        said = logging.getLogger("opentelemetry")
        said.handlers, said.propagate = [_Said()], False

    def stop(self) -> None:
        """Sends what is left, for a moment at most: whoever receives it may be gone. Nothing is traced any more."""
        if self._provider is not None:
            closing = Thread(target=self._provider.shutdown, daemon=True)
            closing.start()
            closing.join(PATIENCE_S)
        self._tracer = self._provider = None

    @contextmanager
    def request(self, scope: Any, traceparent: str | None) -> Iterator[None]:
        """A request until its answer is out, under the caller's own trace if it names one."""
        if self._tracer is None:
            yield
            return
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - optional

        kind, context = SpanKind.SERVER, _context(traceparent)
        with self._tracer.start_as_current_span(scope["method"], context=context, kind=kind, **_SILENT) as span:
            try:
                yield
            finally:
                route = str(scope.get("path_template") or "none")
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)

    @contextmanager
    def submit(self) -> Iterator[str | None]:
        """From a request to the commit of its jobs; the trace that these are to carry, None where nothing is traced."""
        if self._tracer is None:
            yield None
            return
        with self._tracer.start_as_current_span("submit", **_SILENT) as span:
            at = span.get_span_context()
            yield f"00-{at.trace_id:032x}-{at.span_id:016x}-{int(at.trace_flags):02x}"

    def attempt(self, attempt: Attempt, outcome: str, reason: str, now: int) -> None:
        """An attempt that is over at `now` (ms), for a reason that is not in a worker's words: the wait before it if it was the
        first, itself, and the end that it made."""
        if self._tracer is None:
            return
        context = _context(_DECODER.decode(attempt.job.request).trace)
        told = {"hive.job": str(attempt.job_id), "hive.model": attempt.body.model_id}
        if attempt.body.attempt == 1:
            since = round(attempt.job.since.timestamp() * 1000)
            self._span("queue", context, since, max(since, attempt.offered_at), told)
        tried = told | {
            "hive.attempt": attempt.body.attempt, "hive.worker": attempt.body.worker_pk, "hive.outcome": outcome,
            "hive.reason": reason, "hive.tokens": attempt.reach[1] if attempt.started else 0,
        }  # fmt: skip
        done = attempt.progress_at if outcome == "complete" else now
        self._span("attempt", context, attempt.offered_at, max(attempt.offered_at, done), tried)
        if outcome == "complete":
            self._span("end", context, done, max(done, now), told)

    def _span(self, name: str, context: Any, start: int, end: int, attributes: Mapping[str, object]) -> None:
        span = self._tracer.start_span(name, context=context, start_time=start * _MS, attributes=attributes)
        span.end(end * _MS)


def _context(traceparent: str | None) -> Any:
    """OpenTelemetry's context of a trace as W3C writes it; that of nobody where it is none."""
    from opentelemetry.context import Context  # noqa: PLC0415 - optional
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415 - the same

    return TraceContextTextMapPropagator().extract({"traceparent": (traceparent or "")[:MOST]}, context=Context())


TRACING: Final = Tracing()
"""One per process, as its spans are the process's."""
