"""A span for each tool call, made from its record: the call itself does nothing for it.

Source: OpenTelemetry, semantic conventions for MCP and generative AI (in development).
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from random import Random
from secrets import token_bytes

from meshd.core.config_otlp import Otlp
from meshd.core.otlp import CallSpan, Exporter
from meshd.core.trace_context import Sampler, read_parent
from meshd.services.call_tally import STAGES
from meshd.services.record_rows import Ended
from meshd.services.records import Records
from meshd.wire.metrics import Metric, Sample

METHOD = "tools/call"


class Tracing:
    """Samples calls and offers their spans."""

    def __init__(self, sampler: Sampler, exporter: Exporter) -> None:
        self._sampler = sampler
        self._exporter = exporter
        self._random = Random(token_bytes(32))  # noqa: S311 - ids are no secrets; urandom is slow

    def hear(self, calls: Sequence[Ended]) -> None:
        """Take calls that ended."""
        spans = [span for call in calls if (span := self._span(call)) is not None]
        if spans:
            self._exporter.offer(spans)

    def _span(self, call: Ended) -> CallSpan | None:
        parent = read_parent(call.taken.traceparent)
        trace_id = parent.trace_id if parent else self._random.getrandbits(128)
        if not self._sampler.samples(parent, trace_id):
            return None
        started = call.taken.watch.at * 1000
        took = sum(call.stages_us) * 1000
        return CallSpan(
            name=f"{METHOD} {call.row['tool']}",
            trace_id=trace_id,
            span_id=self._random.getrandbits(64) or 1,
            parent=parent.span_id if parent else None,
            started=started,
            ended=started + took,
            failed=call.kind != "ok",
            attributes=_attributes(call),
        )

    def metrics(self) -> Iterator[Metric]:
        """What became of spans."""
        name, counts = "meshd_spans_total", self._exporter.counts
        yield Metric(
            name=name, type="counter", help="Spans of calls, by what became of them.",
            samples=[
                Sample(name=name, labels={"outcome": word}, value=getattr(counts, word))
                for word in ("exported", "failed", "dropped")
            ],
        )  # fmt: skip


def _attributes(call: Ended) -> dict[str, str | int | float]:
    """No body, no secret, and nothing of what a tool said."""
    row = call.row
    found: dict[str, str | int | float] = {
        "mcp.method.name": METHOD,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": row["tool"],
        "meshctl.call.id": row["id"],
        "meshctl.org.id": row["org_id"],
        "meshctl.connection.id": row["connection_id"],
        "meshctl.connection.name": row["connection"],
        "meshctl.principal.id": row["principal_id"],
        **{
            f"meshctl.stage.{stage}_us": us
            for stage, us in zip(STAGES, call.stages_us, strict=True)
        },
    }
    if call.kind != "ok":
        found["error.type"] = call.kind
    return found


@asynccontextmanager
async def tracing(otlp: Otlp | None, records: Records) -> AsyncIterator[Tracing | None]:
    """Traces of calls while the block runs, where the settings ask for them.

    Raises:
        BadRequest: the extra `otlp` is not installed.
    """
    if otlp is None:
        yield None
        return
    exporter = Exporter(otlp)
    made = Tracing(otlp.sampler, exporter)
    records.on_ended(made.hear)
    records.heeds_traces = True
    try:
        yield made
    finally:
        await asyncio.to_thread(exporter.close)
