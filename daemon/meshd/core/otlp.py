"""Spans on their way to an OpenTelemetry collector, over OTLP/HTTP, in a thread of their own.

Nothing waits for the collector: what it does not take in time is dropped and counted. The packages
of the extra `otlp` are loaded when an exporter is made, and never otherwise.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from meshd.core.config_otlp import Otlp
from meshd.wire.errors import BadRequest
from meshd.wire.version import VERSION

log = logging.getLogger(__name__)

MAX_BATCHES = 16
"""Batches that wait; with the writer's batches of 500 that is 8,000 spans."""
TIMEOUT = 10.0
"""Seconds that one export may take, tries included."""
LAST = 1.0
"""Seconds that what waits gets when the daemon stops."""
SCOPE = "meshctl"


@dataclass(frozen=True, slots=True)
class CallSpan:
    """One span; times in nanoseconds since the epoch. `parent` is a span of the same trace."""

    name: str
    trace_id: int
    span_id: int
    parent: int | None
    started: int
    ended: int
    failed: bool
    attributes: Mapping[str, str | int | float]


@dataclass(slots=True)
class SpanCounts:
    """What became of spans."""

    exported: int = 0
    failed: int = 0
    """Sent in vain: the collector refused them, or could not be reached."""
    dropped: int = 0
    """Not even sent: too many waited already."""


class Exporter:
    """Sends batches, one after the other."""

    def __init__(self, otlp: Otlp) -> None:
        """Begin at once.

        Raises:
            BadRequest: the extra is not installed.
        """
        self.counts = SpanCounts()
        self._send, self._close = _sender(otlp)
        self._waiting: queue.Queue[Sequence[CallSpan] | None] = queue.Queue(MAX_BATCHES)
        # A daemon thread: a collector that hangs keeps no process alive.
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def offer(self, spans: Sequence[CallSpan]) -> None:
        """Send them later, or drop them. Never waits."""
        try:
            self._waiting.put_nowait(spans)
        except queue.Full:
            self.counts.dropped += len(spans)

    def close(self) -> None:
        """Send what waits, for `LAST` seconds at most, and end."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            pass
        else:
            self._thread.join(LAST)
        self._close()

    def _run(self) -> None:
        well = True
        while (spans := self._waiting.get()) is not None:
            taken = self._send(spans)
            if taken:
                self.counts.exported += len(spans)
            else:
                self.counts.failed += len(spans)
            if taken is not well:
                well = taken
                log.warning("the collector %s traces", "takes" if taken else "does not take")


def _sender(otlp: Otlp) -> tuple[Callable[[Sequence[CallSpan]], bool], Callable[[], None]]:
    """What sends spans and says whether they arrived, and what ends it."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError:
        raise BadRequest(
            "traces need packages that are not installed",
            facts={"because of": "OTEL_EXPORTER_OTLP_ENDPOINT"},
            next="pip install 'meshctl[otlp]'",
        ) from None
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # `_run` tells, once
    about = {"service.name": otlp.service, "service.version": VERSION, **otlp.attributes}
    resource = Resource.create(about)
    headers = {name: value.reveal() for name, value in otlp.headers.items()}
    exporter = OTLPSpanExporter(otlp.endpoint, headers=headers, timeout=TIMEOUT)

    def send(spans: Sequence[CallSpan]) -> bool:
        try:
            done = exporter.export([_readable(span, resource) for span in spans])
        except Exception:  # whatever it is, the next batch has its own luck
            log.exception("spans could not be exported")
            return False
        return done is SpanExportResult.SUCCESS

    return send, exporter.shutdown


def _readable(span: CallSpan, resource: Any) -> Any:
    """The span as the exporter wants it."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

    def context(span_id: int, *, remote: bool) -> SpanContext:
        return SpanContext(span.trace_id, span_id, remote, TraceFlags(TraceFlags.SAMPLED))

    return ReadableSpan(
        name=span.name,
        context=context(span.span_id, remote=False),
        parent=None if span.parent is None else context(span.parent, remote=True),
        resource=resource,
        attributes=dict(span.attributes),
        kind=SpanKind.SERVER,
        instrumentation_scope=InstrumentationScope(SCOPE, VERSION),
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=span.started,
        end_time=span.ended,
    )
