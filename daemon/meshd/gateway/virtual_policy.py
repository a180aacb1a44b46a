"""What a message to a virtual MCP wants and leads to, put to the one authorization function."""

from dataclasses import replace
from typing import get_args

from meshd.gateway.exchange import Exchange
from meshd.gateway.policy import ALLOWED, Wish
from meshd.protocol.versions import Era
from meshd.services import smart_tools
from meshd.services.access import Decision
from meshd.services.composing import Thing
from meshd.services.principal import Principal
from meshd.services.virtual_serving import Judged, VirtualServing, VirtualTarget
from meshd.vault.seal import Session
from meshd.wire.errors import BadRequest
from meshd.wire.virtual import Mode

CODE = "code_execution"
MODES: tuple[Mode, ...] = get_args(Mode)


def chosen_mode(name: str) -> Mode:
    """The mode of that name.

    Raises:
        BadRequest: there is none, or not yet.
    """
    for mode in MODES:
        if mode == name:
            return mode
    known = {"modes": " ".join(MODES)}
    if name == CODE:
        raise BadRequest(f"the mode {CODE} comes with the sandbox", facts=known)
    raise BadRequest(f'there is no mode "{ascii(name[:40])[1:-1]}"', facts=known)


def asked_by(
    target: VirtualTarget, who: Principal, mode: str | None, session: Session | None, *,
    stateless: bool,
) -> VirtualTarget:  # fmt: skip
    """The target as one request finds it. A session keeps the mode that it was begun in.

    Raises:
        BadRequest: there is no mode of that name.
    """
    if session is not None and session.upstream is not None:
        mode = session.upstream
    era: Era = "stateless" if stateless else "handshake"
    chosen = target.mode if mode is None else chosen_mode(mode)
    return replace(target, who=who, era=era, mode=chosen)


def called(wanted: Wish | None, target: VirtualTarget) -> Wish | None:
    """What is really called: in the mode that offers three tools, one of them calls all others.

    None for what concerns no tool of a child.

    Raises:
        BadMessage: the arguments do not say what to call.
    """
    if wanted is None or wanted.kind != "tool" or target.mode != "smart_tool_selection":
        return wanted
    if wanted.name != smart_tools.CALL:
        return None
    asked = smart_tools.inner_call(bytes(wanted.arguments))
    return Wish("tool", asked.name, asked.arguments)


async def judge_virtual(
    exchange: Exchange, target: VirtualTarget, virtuals: VirtualServing
) -> Decision:
    """The decision about a request; what it leads to is kept in the exchange and its target.

    What leads nowhere is not decided about: the answer says that there is no such thing.

    Raises:
        BadMessage: its arguments are not the caller's to set.
        UpstreamFailed and the like: a read-only key's call needs the list, which cannot be had.
    """
    wanted = exchange.wanted = called(exchange.wanted, target)
    if wanted is None or wanted.kind == "other":
        return ALLOWED
    thing: Thing = wanted.kind
    reached = await virtuals.reach(target, thing, wanted.name)
    if reached is None and exchange.message.method == "completion/complete":
        reached = await virtuals.reach(target, "template", wanted.name)
    exchange.reached = reached
    exchange.row = replace(target, judged=Judged(reached))
    if reached is None:
        exchange.wanted = None
        return ALLOWED
    if thing == "tool" and reached.decision:
        reached.exposed.route.arguments(bytes(wanted.arguments))
    return reached.decision
