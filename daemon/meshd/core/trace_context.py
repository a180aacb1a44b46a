"""Which trace a call belongs to, and whether it is shown. Pure.

Source: W3C Trace Context, section 3.2; OpenTelemetry's sampler names.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

SamplerName = Literal[
    "always_on", "always_off", "traceidratio",
    "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio",
]  # fmt: skip

HEADER = "traceparent"
"""The header in which a caller says it. It is never sent on to a server."""
MAX_HEADER = 512
"""Characters; a longer one is no `traceparent` of any version that there is."""
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
_BOUND = 1 << 64


class Parent(NamedTuple):
    """What a caller said of the span that it called from."""

    trace_id: int
    span_id: int
    sampled: bool


def read_parent(header: str | None) -> Parent | None:
    """The parent that a `traceparent` names; None for what is not valid, as if nothing was said."""
    match = _TRACEPARENT.fullmatch(header) if header and len(header) <= MAX_HEADER else None
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    trace_id, span_id = int(trace, 16), int(span, 16)
    if version == "ff" or (version == "00" and more) or not trace_id or not span_id:
        return None
    return Parent(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


@dataclass(frozen=True, slots=True)
class Sampler:
    """Decides at the beginning of a trace; with a `parentbased_…` name, as the caller decided."""

    name: SamplerName = "parentbased_always_on"
    ratio: float = 1.0

    def samples(self, parent: Parent | None, trace_id: int) -> bool:
        """Whether a span is made."""
        if parent is not None and self.name.startswith("parentbased_"):
            return parent.sampled
        if self.name.endswith("traceidratio"):
            # As every SDK has it, so that all of them keep the same traces.
            return trace_id % _BOUND < round(self.ratio * _BOUND)
        return self.name.endswith("always_on")
