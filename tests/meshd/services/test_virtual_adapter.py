"""The way to a virtual MCP is itself a wall: what may not be used is not asked for."""

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Raw

from meshd.protocol.members import raw
from meshd.proxy.adapter import Asker, unheard
from meshd.services.access import Decision
from meshd.services.composing import Exposed, Route, Step
from meshd.services.virtual_adapter import VirtualAdapter
from meshd.services.virtual_serving import Judged, Reached
from meshd.wire.errors import Denied
from tests.support.principals import key_principal


def adapter(decision: Decision, judged: Judged | None = None) -> VirtualAdapter:
    """One at which every name leads to the same connection, with the same decision."""
    row: Any = SimpleNamespace(id="conn_a", name="a", transport="http")
    route = Route("conn_a", "own", (Step("vir_a", "a_own"),))

    async def reach(_target: Any, _thing: Any, name: str) -> Reached:
        return Reached(Exposed(name, {}, route), row, decision, row, repeatable=False)

    async def upstream(_row: Any) -> Any:
        raise AssertionError("it was asked")

    async def recovered(_row: Any, send: Any, **_more: Any) -> Any:
        return await send()

    target: Any = SimpleNamespace(
        who=key_principal(), mode="passthrough", era="handshake", judged=judged
    )
    stand_in: Any = SimpleNamespace(reach=reach, adapter=upstream, recovered=recovered)
    return VirtualAdapter(target, *[stand_in] * 6)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": raw("a_own")}),
        ("prompts/get", {"name": raw("a_own")}),
        ("resources/read", {"uri": raw("file:///a")}),
        ("completion/complete", {"ref": raw({"type": "ref/prompt", "name": "a_own"})}),
        ("completion/complete", {"ref": raw({"type": "ref/resource", "uri": "file:///a"})}),
    ],
)
async def test_what_is_not_allowed_is_not_asked(method: str, params: dict[str, Raw]) -> None:
    """Whoever decided before, and whatever came in between."""
    refusing = adapter(Decision(False, "no grant", "own"))
    with pytest.raises(Denied) as refused:
        await refusing.ask(method, params, Asker("key_laptop"), unheard)
    assert refused.value.next == "meshctl key edit laptop --allow a/own"
    with pytest.raises(AssertionError, match="it was asked"):
        await adapter(Decision(True, "granted")).ask(method, params, Asker("key_laptop"), unheard)


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
@pytest.mark.parametrize("judged", [None, "other"])
async def test_what_was_not_judged_is_not_asked(method: str, judged: str | None) -> None:
    """A name that led nowhere then, or elsewhere, would be called without its record."""
    row: Any = SimpleNamespace(id="conn_a", name="a", transport="http")
    yes, route = Decision(True, "granted"), Route("conn_b", "own", (Step("vir_a", "a_own"),))
    before = Reached(Exposed("a_own", {}, route), row, yes, row, False) if judged else None
    params = {"name": raw("a_own"), "uri": raw("a_own")}
    asker = Asker("key_laptop")
    answer = await adapter(yes, Judged(before)).ask(method, params, asker, unheard)
    assert b"Unknown" in (answer.reply.error or b"")
