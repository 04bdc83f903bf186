"""Spans by OpenTelemetry, sent to a collector (OTLP over HTTP). Off unless `telemetry.otlp_endpoint` is set (docs/adr/0020).

Whoever traces holds `Spans | None`; None costs a look at a variable per request, batch or attempt, and imports nothing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal

Kind = Literal["server", "consumer", "client"]
Attributes = Mapping[str, str | int]

QUEUED_MAX: Final = 4_096  # spans; when the collector does not keep up, the rest is dropped, never waited for
CLOSE_MS: Final = 2_000
EXPORT_S: Final = 5.0


class Span:
    """One piece of work under way. `traceparent` goes on to whoever comes next; None: nobody keeps this trace."""

    def __init__(self, span: Any) -> None:
        self._span = span
        context = span.get_span_context()
        is_sampled = context.is_valid and context.trace_flags.sampled
        self.traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01" if is_sampled else None

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def failed(self, reason: str) -> None:
        """A stable code, never what somebody sent."""
        from opentelemetry.trace import Status, StatusCode

        self._span.set_status(Status(StatusCode.ERROR, reason))


class Spans:
    """Makes spans and sends them from a thread of its own. Thread-safe. `service` is the process's name."""

    def __init__(self, endpoint: str, service: str, ratio: float = 1.0) -> None:
        """`ratio` of the traces that begin here are kept; of others, what their beginning says. Raises ImportError."""
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)),
            resource=Resource.create({"service.name": f"dujiang-{service}", "service.namespace": "dujiang"}),
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=QUEUED_MAX, schedule_delay_millis=1_000))
        self._tracer = self._provider.get_tracer("dujiang")
        self._extract = TraceContextTextMapPropagator().extract
        self._kinds = {"server": SpanKind.SERVER, "consumer": SpanKind.CONSUMER, "client": SpanKind.CLIENT}

    @contextmanager
    def span(self, name: str, kind: Kind, parent: str | None, attributes: Attributes) -> Iterator[Span]:
        """Around some work; `parent` is a traceparent. An exception ends it as failed and goes on."""
        begun = self._begin(name, kind, parent, attributes, None)
        made = Span(begun)
        try:
            yield made
        except Exception as error:
            made.failed(type(error).__name__)
            raise
        finally:
            begun.end()

    def record(self, name: str, kind: Kind, parent: str, attributes: Attributes, *, began_s: float, ended_s: float) -> None:
        """Work that is over; unix times."""
        self._begin(name, kind, parent, attributes, began_s).end(int(ended_s * 1e9))

    def close(self) -> None:
        """Send what waits, CLOSE_MS at most."""
        self._provider.force_flush(CLOSE_MS)
        self._provider.shutdown()

    def _begin(self, name: str, kind: Kind, parent: str | None, attributes: Attributes, began_s: float | None) -> Any:
        # An empty context rather than the current one: nothing here relies on what runs around it.
        context = self._extract({} if parent is None else {"traceparent": parent}, _empty_context())
        start_ns = None if began_s is None else int(began_s * 1e9)
        return self._tracer.start_span(name, context, self._kinds[kind], dict(attributes), start_time=start_ns)


def _empty_context() -> Any:
    from opentelemetry.context import Context

    return Context()
