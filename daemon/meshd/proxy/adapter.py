"""An upstream that is asked in the stateless shape, whatever it speaks itself.

Every request brings on whose behalf it is made and what that client may be asked for. Results are
the upstream's own, in its own era; only a question of the server is always a result
`input_required`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from msgspec import Raw

from meshd.protocol.jsonrpc import Reply
from meshd.protocol.versions import Era
from meshd.wire.version import VERSION

OURSELVES = {"name": "meshctl", "version": VERSION}
"""The client that upstreams see. Of ours they learn only what they may ask them for."""


@dataclass(frozen=True, slots=True)
class Asker:
    """On whose behalf: the principal, and what the client declared (raw JSON) and wants logged."""

    principal: str
    capabilities: bytes = b"{}"
    log_level: str | None = None


Hear = Callable[[bytes], None]
"""Takes a whole notification that belongs to the request."""


def unheard(_notification: bytes) -> None:
    """Nobody waits for what comes before the answer."""


class Answer(NamedTuple):
    """What an upstream answered, and in which era's words."""

    reply: Reply
    era: Era


class Adapter(Protocol):
    """The way to one upstream."""

    async def discover(self) -> bytes:
        """What it says of itself, as a `server/discover` result. Raises as `ask`."""

    async def ask(self, method: str, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Answer:
        """Ask, with params that have no envelope. Cancelling it cancels the request upstream.

        Raises:
            UpstreamFailed, UpstreamTimeout, NeedsLogin: no answer.
        """

    def listen(self, wanted: Mapping[str, Raw]) -> AsyncGenerator[bytes, None]:
        """Notifications as whole messages; the first acknowledges what of the filter is honoured.

        Raises:
            UpstreamFailed, UpstreamTimeout, NeedsLogin: it cannot be heard.
        """
