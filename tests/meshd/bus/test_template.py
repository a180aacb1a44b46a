"""Arguments made of events: what a path names, types, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshd.bus.template import BadTemplate, check_template, render

EVENT = {"type": "order.made", "data": {"no": 17, "lines": [{"sku": "a"}, None], "ok": True}}


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ({"no": "{{ event.data.no }}"}, {"no": 17}),
        ("{{event.data.ok}}", True),
        ("{{ event.data.lines }}", [{"sku": "a"}, None]),
        ("{{ event.data.lines.0.sku }}", "a"),
        ("{{ event.data.lines.1 }}", None),
        ("no {{ event.data.no }} of {{event.type}}", "no 17 of order.made"),
        ("{{ event.data.lines.0 }}!", '{"sku":"a"}!'),
        ("{{ event.data }}", EVENT["data"]),
        ([1, "x", {"{{ event.type }}": "{ }"}], [1, "x", {"{{ event.type }}": "{ }"}]),
    ],
    ids=str,
)
def test_what_it_becomes(template, rendered):
    check_template(template)
    assert render(template, EVENT) == rendered


@pytest.mark.parametrize(
    "template",
    ["{{ event.data.absent }}", "{{ event.data.no.x }}", "{{ event.data.lines.2 }}",
     "{{ event.data.lines.-1 }}", "{{ event.type.0 }}"],
)  # fmt: skip
def test_what_the_event_has_not(template):
    check_template(template)
    with pytest.raises(BadTemplate, match="the event has no"):
        render(template, EVENT)


def nested(levels):
    return "x" if levels == 0 else [nested(levels - 1)]


@pytest.mark.parametrize(
    "template",
    ["{{ data.no }}", "{{ event..no }}", "{{ event.data.no", "{{ event.data | upper }}",
     "{{ __import__ }}", "{{}}", {"a": ["{{ os }}"]}, nested(40)],
    ids=lambda t: str(t)[:30],
)  # fmt: skip
def test_what_is_no_template(template):
    with pytest.raises(BadTemplate):
        check_template(template)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(json)
def test_what_an_event_holds_is_never_a_template_itself(value):
    """Data that looks like one stands as it is, and keeps its type."""
    assert render("{{ event.data }}", {"data": value}) == value
    sly = {"data": "{{ event.type }}", "type": value}
    assert render("{{ event.data }}", sly) == "{{ event.type }}"
