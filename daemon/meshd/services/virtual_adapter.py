"""A virtual MCP asked as any upstream is: its lists are of all children, its calls of one each.

It speaks in the words of its client's era. Whatever is asked is decided here once more, so that no
way to it can forget to.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial

from msgspec import Raw

from meshd.core.beside import worked_out
from meshd.core.clock import MICROSECONDS, Clock
from meshd.protocol import jsonrpc, translation
from meshd.protocol.envelope import EXTENSIONS, SERVER
from meshd.protocol.jsonrpc import BadMessage, Reply
from meshd.protocol.members import joined, members, raw, text
from meshd.protocol.versions import STATELESS, era_of
from meshd.proxy.adapter import OURSELVES, Answer, Asker, Hear
from meshd.services import smart_tools
from meshd.services.child_lists import Seen
from meshd.services.composing import Thing
from meshd.services.directory import ConnectionRow
from meshd.services.encoded_lists import EncodedLists
from meshd.services.health import Health
from meshd.services.refusals import denied
from meshd.services.tool_search import Entry, ToolIndex, parameters
from meshd.services.upstreams import Upstreams
from meshd.services.virtual_hearing import Hearing
from meshd.services.virtual_serving import (
    PASSTHROUGH,
    Allowed,
    Reached,
    VirtualServing,
    VirtualTarget,
)
from meshd.services.whole_list import METHODS
from meshd.wire.errors import NeedsLogin, UpstreamFailed, UpstreamTimeout

STALE = "meshctl/stale"
PAUSED = "meshctl/paused"
WITHHELD = "meshctl/withheld"
"""Notes on a list: whose entries are not of now, what is paused, and whose name is taken."""
MANY = 25
"""Entries of which nothing is made on the event loop."""
MAX_NOTED = 100
"""Withheld things that a list names."""

LISTED: dict[str, Thing] = {method: thing for thing, (method, _) in METHODS.items()}
_OFFERED = ("tools", "prompts", "resources", "completions", "logging", EXTENSIONS)
_EVERYTHING: dict[str, dict[str, object]] = {
    "tools": {"listChanged": True}, "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True}, "completions": {}, "logging": {},
}  # fmt: skip


class VirtualAdapter:
    """Asks one virtual MCP, on behalf of the principal that the target bears."""

    def __init__(
        self,
        target: VirtualTarget,
        virtuals: VirtualServing,
        encoded: EncodedLists,
        upstreams: Upstreams,
        health: Health,
        hearing: Hearing,
        clock: Clock,
    ) -> None:
        self._target = target
        self._virtuals = virtuals
        self._kept = encoded
        self._upstreams = upstreams
        self._health = health
        self._hearing = hearing
        self._clock = clock

    async def discover(self) -> bytes:
        """What it says of itself: what its children offer together, and those not asked yet may."""
        found: dict[str, object] = {
            "resultType": "complete", "supportedVersions": STATELESS,
            "capabilities": self._capabilities(), "ttlMs": 0, "cacheScope": "private",
            "_meta": {SERVER: {**OURSELVES, "name": self._target.name, "title": self._target.name}},
        }  # fmt: skip
        if self._target.instructions:
            found["instructions"] = self._target.instructions
        return joined(found)

    async def ask(self, method: str, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Answer:
        """Ask; see `Adapter`.

        Raises:
            Denied: the principal may not use what is asked for.
        """
        try:
            if method in LISTED:
                return self._result(await self._list(LISTED[method], params))
            if method == "tools/call":
                return await self._call(params, asker, hear)
            if method == "prompts/get":
                name = text(params.get("name")) or ""
                return await self._one("prompt", "name", name, method, params, asker, hear)
            if method == "resources/read":
                uri = text(params.get("uri")) or ""
                return await self._one("resource", "uri", uri, method, params, asker, hear)
            if method == "completion/complete":
                return await self._complete(params, asker, hear)
        except BadMessage as error:
            return self._error(error.code, str(error))
        return self._error(jsonrpc.METHOD_NOT_FOUND, f"there is no {method[:60]} here")

    async def listen(self, wanted: Mapping[str, Raw]) -> AsyncGenerator[bytes, None]:
        """Hear it; see `Adapter`."""
        async with aclosing(self._hearing.listen(self._target, wanted)) as heard:
            async for notification in heard:
                yield notification

    async def _list(self, thing: Thing, params: Mapping[str, Raw]) -> bytes:
        """A whole list, whose bytes are kept for all that see the same.

        Raises:
            BadMessage: it is asked for a page that nobody was told of.
        """
        if bytes(params.get("cursor", b"null")) != b"null":
            raise BadMessage(jsonrpc.INVALID_PARAMS, "there is no such cursor")
        allowed, seen = await self._virtuals.allowed(self._target, thing)
        whole = await self._whole(thing, allowed)
        notes: dict[str, object] = {}
        if stale := self._stale(seen):
            notes[STALE] = stale
        if paused := self._virtuals.paused(self._target):
            notes[PAUSED] = paused
        if allowed.withheld:
            notes[WITHHELD] = self._withheld(allowed)
        return whole[:-1] + b',"_meta":%b}' % joined(notes) if notes else whole

    async def _whole(self, thing: Thing, allowed: Allowed) -> bytes:
        """Encoded once for all that see the same."""
        key = (allowed.key, self._target.era, self._target.mode)
        async with allowed.making:
            kept = self._kept.get(key)
            if kept is not None and kept.made_of is allowed.composed:
                return kept.data
            encode = partial(self._encoded, thing, allowed)
            data = await worked_out(encode, long=len(allowed.exposed) > MANY)
            self._kept.keep(key, allowed.composed, data)
            return data

    def _encoded(self, thing: Thing, allowed: Allowed) -> bytes:
        mode = self._target.mode if thing == "tool" else PASSTHROUGH
        raws = smart_tools.offered(mode, allowed.exposed)
        method, member = METHODS[thing]
        result = joined({member: raws})
        if self._target.era == "stateless":
            return translation.stateless_result(method, result)
        return translation.handshake_result(method, result)

    async def _call(self, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Answer:
        name, arguments = text(params.get("name")) or "", bytes(params.get("arguments", b""))
        if self._smart and name not in smart_tools.NAMES:
            return self._error(jsonrpc.INVALID_PARAMS, _unknown("tool", name))
        if self._smart and name != smart_tools.CALL:
            return self._result(await self._answered(name, arguments))
        if self._smart:
            asked = smart_tools.inner_call(arguments)
            name, arguments = asked.name, bytes(asked.arguments)
        reached = await self._reach("tool", name)
        if reached is None:
            return self._error(jsonrpc.INVALID_PARAMS, _unknown("tool", name))
        route = reached.exposed.route
        inside = {**params, "name": raw(route.name)}
        if arguments := route.arguments(arguments):
            inside["arguments"] = Raw(arguments)
        return await self._forward(reached, "tools/call", inside, asker, hear)

    async def _answered(self, name: str, arguments: bytes) -> bytes:
        """A search or a description, among what the principal may call."""
        allowed, _ = await self._virtuals.allowed(self._target, "tool")
        names = {ident: row.name for ident, row in self._target.node.connections().items()}

        async with allowed.making:
            if allowed.index is None:
                make = partial(_index, allowed, names)
                allowed.index = await worked_out(make, long=len(allowed.exposed) > MANY)
            search = allowed.index.search
        said = smart_tools.answered(name, arguments, allowed.exposed, search, names.__getitem__)
        if self._target.era == "stateless":
            return translation.stateless_result("tools/call", said)
        return said

    async def _one(
        self, thing: Thing, member: str, name: str, method: str, params: Mapping[str, Raw],
        asker: Asker, hear: Hear,
    ) -> Answer:  # fmt: skip
        """A request about the one thing that a member of its params names."""
        reached = await self._reach(thing, name)
        if reached is None:
            code = jsonrpc.INVALID_PARAMS
            if thing == "resource" and self._target.era == "handshake":
                code = translation.NOT_FOUND
            return self._error(code, _unknown(thing, name))
        inside = {**params, member: raw(reached.exposed.route.name)}
        return await self._forward(reached, method, inside, asker, hear)

    async def _complete(self, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Answer:
        ref = members(params.get("ref", b""))
        thing: Thing = "prompt" if "name" in ref else "template"
        label = "name" if thing == "prompt" else "uri"
        name = text(ref.get(label)) or ""
        reached = await self._reach(thing, name)
        if reached is None and thing == "template":
            reached = await self._reach("resource", name)
        if reached is None:
            return self._error(jsonrpc.INVALID_PARAMS, _unknown(thing, name))
        inside = {**params, "ref": raw({**ref, label: raw(reached.exposed.route.name)})}
        return await self._forward(reached, "completion/complete", inside, asker, hear)

    async def _reach(self, thing: Thing, name: str) -> Reached | None:
        """Where a name leads, as it is decided now; nowhere else than it led when it was judged.

        The record is of what was judged, and a client may have been asked something since.
        """
        judged = self._target.judged
        if judged is not None and judged.reached is None:
            return None
        reached = await self._virtuals.reach(self._target, thing, name)
        if reached is None or judged is None or judged.reached is None:
            return reached
        return reached if reached.exposed.route == judged.reached.exposed.route else None

    async def _forward(
        self, reached: Reached, method: str, params: Mapping[str, Raw], asker: Asker, hear: Hear
    ) -> Answer:
        """Ask the one connection that it is about."""
        row = reached.row
        if not reached.decision:
            raise denied(self._target.who, reached.fix_at, reached.decision)

        async def send() -> Answer:
            return await (await self._upstreams.adapter(row)).ask(method, params, asker, hear)

        try:
            answer = await self._upstreams.recovered(row, send, repeatable=reached.repeatable)
        except (UpstreamFailed, UpstreamTimeout, NeedsLogin) as error:
            self._health.failed(row, error)
            raise
        self._health.reached(row)
        return answer

    def _stale(self, seen: Mapping[str, Seen]) -> list[dict[str, object]]:
        """Whose entries are not of now, or missing, with the reason and the age in seconds."""
        now, rows = self._clock.now(), self._target.node.connections()
        return [
            {
                "connection": rows[ident].name,
                "reason": one.reason,
                "age_s": max(0, now - one.listed_at) // MICROSECONDS if one.listed_at else None,
            }
            for ident, one in seen.items()
            if one.reason is not None
        ]

    def _withheld(self, allowed: Allowed) -> list[dict[str, str]]:
        """What is not listed since another thing bears the name already."""
        rows = self._target.node.connections()
        return [
            {
                "name": one.name, "connection": rows[one.route.connection].name,
                "own_name": one.route.name,
            }
            for one in allowed.withheld[:MAX_NOTED]
        ]  # fmt: skip

    def _capabilities(self) -> dict[str, object]:
        rows = self._target.node.connections().values()
        found: dict[str, dict[str, object]] = {"tools": {"listChanged": True}}
        for row in rows:
            for name, what in self._capabilities_of(row).items():
                found.setdefault(name, {}).update(what)
        return {name: found[name] for name in _OFFERED if name in found}

    def _capabilities_of(self, row: ConnectionRow) -> dict[str, dict[str, object]]:
        """What one child offers to clients that share it. What is not known yet may be anything."""
        said = members(self._upstreams.said(row))
        if not said:
            return _EVERYTHING
        offer = members(said.get("capabilities", b""))
        found: dict[str, dict[str, object]] = {
            name: {**members(offer[name])} for name in _OFFERED if name in offer
        }
        version = text(said.get("protocolVersion")) or ""
        if row.transport == "stdio" and era_of(version) != "stateless":
            found.pop("logging", None)
            found.get("resources", {}).pop("subscribe", None)
        for name in ("prompts", "resources"):
            if name in found:
                found[name]["listChanged"] = True  # the list changes with the children, too
        return found

    @property
    def _smart(self) -> bool:
        return self._target.mode == smart_tools.MODE

    def _result(self, result: bytes) -> Answer:
        return Answer(Reply(result, None), self._target.era)

    def _error(self, code: int, message: str) -> Answer:
        return Answer(Reply(None, jsonrpc.error_object(code, message)), self._target.era)


def _index(allowed: Allowed, names: Mapping[str, str]) -> ToolIndex:
    return ToolIndex([
        Entry(
            one.name, text(one.entry.get("title")) or "", text(one.entry.get("description")) or "",
            parameters(one.entry.get("inputSchema", b"")),
            names[one.route.connection],
        )
        for one in allowed.exposed
    ])  # fmt: skip


def _unknown(thing: Thing, name: str) -> str:
    return f"Unknown {thing}: {ascii(name[:60])[1:-1]}"
