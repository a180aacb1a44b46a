"""One message on its way through the gateway."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from meshd.gateway.policy import Wish
from meshd.gateway.progress import Voice
from meshd.protocol.envelope import Envelope
from meshd.protocol.jsonrpc import Message
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.services.record_rows import Stopwatch
from meshd.services.virtual_serving import Reached
from meshd.vault.seal import Session


@dataclass(slots=True)
class Exchange:
    """What is known of it once it has passed the gate; `wanted` after the decision."""

    request: web.BaseRequest
    who: Principal
    row: ConnectionRow
    session: Session | None
    version: str | None
    message: Message
    body: bytes
    watch: Stopwatch
    wanted: Wish | None = None
    envelope: Envelope | None = None
    """What a request of the stateless era says of itself."""
    headers: Mapping[str, str] | None = None
    """What goes upstream in headers besides."""
    reached: Reached | None = None
    """Where a request to a virtual MCP leads, once that is decided."""
    voice: Voice | None = None
    """Where the answer goes, if not into the HTTP answer of the message itself."""
    finish: Callable[[bytes], bytes] | None = None
    """The last hand on the JSON-RPC answer, once it is filtered."""

    @property
    def fix_at(self) -> ConnectionRow:
        """Where the grant would belong that allows a refused request."""
        return self.reached.fix_at if self.reached is not None else self.row


Record = Callable[[Exchange, bytes | None, str | None], None]
"""Queues the record of a tool call: the exchange, the JSON-RPC answer, what went wrong."""
