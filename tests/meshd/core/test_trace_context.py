"""Which trace a call belongs to, and which calls leave one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from meshd.core.trace_context import Parent, Sampler, read_parent

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = Parent(int(TRACE, 16), int(SPAN, 16), sampled=True)


@pytest.mark.parametrize(
    ("header", "parent"),
    [
        (f"00-{TRACE}-{SPAN}-01", PARENT),
        (f"00-{TRACE}-{SPAN}-00", PARENT._replace(sampled=False)),
        (f"00-{TRACE}-{SPAN}-03", PARENT),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-bring", PARENT),
        (None, None),
        ("", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        (f" 00-{TRACE}-{SPAN}-01", None),
        (f"cc-{TRACE}-{SPAN}-01-" + "x" * 1000, None),
        (f"00-{'١' * 32}-{SPAN}-01", None),
    ],
)
def test_a_traceparent_is_read_or_is_as_if_not_said(
    header: str | None, parent: Parent | None
) -> None:
    assert read_parent(header) == parent


UNSAMPLED = PARENT._replace(sampled=False)


@pytest.mark.parametrize(
    ("name", "alone", "under_sampled", "under_unsampled"),
    [
        ("always_on", True, True, True),
        ("always_off", False, False, False),
        ("parentbased_always_on", True, True, False),
        ("parentbased_always_off", False, True, False),
    ],
)
def test_each_sampler_decides_as_its_name_says(name, alone, under_sampled, under_unsampled) -> None:
    sampler = Sampler(name)
    found = [sampler.samples(parent, 7) for parent in (None, PARENT, UNSAMPLED)]
    assert found == [alone, under_sampled, under_unsampled]


@given(st.integers(1, (1 << 128) - 1), st.floats(0, 1))
def test_a_ratio_keeps_the_same_traces_as_every_sdk(trace_id: int, ratio: float) -> None:
    theirs = TraceIdRatioBased(ratio).should_sample(None, trace_id, "x").decision.is_sampled()
    assert Sampler("traceidratio", ratio).samples(UNSAMPLED, trace_id) is theirs
    assert Sampler("parentbased_traceidratio", ratio).samples(None, trace_id) is theirs
    assert Sampler("parentbased_traceidratio", ratio).samples(PARENT, trace_id)
