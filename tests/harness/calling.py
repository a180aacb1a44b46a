"""A client of one connection, of the era that is wanted, with ids that are not its own alone."""

import json
from typing import Any, NamedTuple

import aiohttp
from msgspec import Raw

from meshd.protocol.envelope import enveloped, headers_for
from tests.harness.restarting import MODERN
from tests.support.daemon import Daemon

BOTH = "application/json, text/event-stream"
HELLO = {
    "protocolVersion": "2025-11-25", "capabilities": {},
    "clientInfo": {"name": "harness", "version": "1"},
}  # fmt: skip


class Got(NamedTuple):
    """The HTTP status and the JSON-RPC message of an answer."""

    status: int
    message: dict[str, Any]

    @property
    def fault(self) -> dict[str, Any]:
        """What the gateway says of a failure; empty for none."""
        return self.message.get("error", {}).get("data", {})  # type: ignore[no-any-return]

    @property
    def text(self) -> Any:
        """What the tool answered with."""
        return json.loads(self.message["result"]["content"][0]["text"])


class Caller:
    """One client; `begin` opens its session, if its era has one."""

    def __init__(
        self, http: aiohttp.ClientSession, daemon: Daemon, name: str, key: str, *, modern: bool,
        word: str = "",
    ) -> None:  # fmt: skip
        """`word` is what the names of tools begin with there."""
        self._http = http
        self._url = f"{daemon.url}/mcp/{name}"
        self._modern = modern
        self._word = word
        self._headers = {"Authorization": f"Bearer {key}", "Accept": BOTH}

    async def begin(self) -> None:
        """Open a session, also in place of another one."""
        self._headers.pop("Mcp-Session-Id", None)
        if not self._modern:
            body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO}
            async with self._http.post(self._url, json=body, headers=self._headers) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
                self._headers["Mcp-Session-Id"] = answer.headers["Mcp-Session-Id"]

    async def call(self, ident: int, tool: str, number: Any) -> Got:
        """Call a tool."""
        asked = {"name": self._word + tool, "arguments": {"n": number}}
        return await self.ask(ident, "tools/call", asked)

    async def ask(self, ident: int, method: str, params: dict[str, Any]) -> Got:
        """Make a request. Raises aiohttp's errors where there is no answer at all."""
        more = {}
        if self._modern:
            raw = {name: Raw(json.dumps(value).encode()) for name, value in params.items()}
            more = {"MCP-Protocol-Version": MODERN, **headers_for(method, raw)}
            params = json.loads(enveloped(raw, {"name": "harness", "version": "1"}))
        body = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        headers = self._headers | more
        async with self._http.post(self._url, json=body, headers=headers) as answer:
            raw_answer = await answer.text()
            if answer.content_type == "text/event-stream":
                raw_answer = raw_answer.rstrip().rpartition("data: ")[2]
            return Got(answer.status, json.loads(raw_answer or "{}"))

    async def cancel(self, ident: int) -> None:
        """Say that a request is not wanted any more."""
        about = {"requestId": ident}
        body = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": about}
        async with self._http.post(self._url, json=body, headers=self._headers) as answer:
            await answer.read()
