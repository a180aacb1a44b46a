"""From a configured connection to a live upstream, whatever its transport."""

import asyncio
from functools import partial

from meshd.protocol.jsonrpc import Reply
from meshd.proxy.http import HttpUpstream
from meshd.proxy.http_pool import HttpPool
from meshd.proxy.http_session import HttpSession
from meshd.proxy.stdio import StdioUpstream
from meshd.proxy.stdio_pool import StdioPool
from meshd.services.credentials import Credentials
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.vault.errors import VaultError
from meshd.wire.daemon import ChildProcess
from meshd.wire.errors import Conflict, MeshError, UpstreamFailed, UpstreamTimeout

CALL_CEILING = 3600.0
IDLE_DEADLINE = 300.0
TOOLS_CHANGED = "notifications/tools/list_changed"


class Upstreams:
    """One HTTP side or one child per connection and revision; made when first asked for."""

    def __init__(
        self,
        http: HttpPool,
        pool: StdioPool,
        credentials: Credentials,
        health: Health,
    ) -> None:
        self._client = http
        self._pool = pool
        self._credentials = credentials
        self._health = health
        self._http: dict[str, tuple[str, HttpUpstream, HttpSession]] = {}
        self._heard: dict[str, StdioUpstream] = {}
        self._changed: set[str] = set()

    def tools_changed(self, row: ConnectionRow) -> bool:
        """Whether the upstream said, since this was last asked, that its tools changed."""
        if row.id not in self._changed:
            return False
        self._changed.discard(row.id)
        return True

    def note_change(self, row: ConnectionRow) -> None:
        """The upstream said that its tools changed."""
        self._changed.add(row.id)

    def http(self, row: ConnectionRow) -> HttpUpstream:
        """The HTTP side of a connection.

        Raises:
            UpstreamFailed: its credentials cannot be opened.
        """
        return self._side(row)[1]

    async def stdio(self, row: ConnectionRow) -> StdioUpstream:
        """The running child of a connection, started if need be.

        Raises:
            UpstreamFailed: it cannot be started, or not yet again.
        """
        try:
            child = await self._pool.get(
                f"{row.id}:{row.revision}", lambda: self._credentials.command(row)
            )
        except VaultError as error:
            raise _sealed(row, error) from None
        except MeshError as error:
            self._health.failed(row, error)
            raise
        self._health.reached(row)
        if self._heard.get(row.id) is not child:
            self._heard[row.id] = child
            child.listen(partial(self._hear, row))
        return child

    def _hear(self, row: ConnectionRow, method: str, _message: bytes) -> None:
        if method == TOOLS_CHANGED:
            self.note_change(row)

    async def request(
        self,
        row: ConnectionRow,
        method: str,
        params: bytes = b"{}",
        *,
        within: float = CALL_CEILING,
    ) -> Reply:
        """Ask on the daemon's own behalf, for at most `within` seconds; health is noted.

        Raises:
            Conflict: the connection is disabled.
            UpstreamFailed, NeedsLogin, UpstreamTimeout: no answer.
        """
        if not row.enabled:
            raise disabled(row)
        try:
            async with asyncio.timeout(within):
                reply = await self._ask(row, method, params)
        except TimeoutError:
            late = UpstreamTimeout(f'"{row.name}" did not answer {method} within {within:.0f} s')
            self._health.failed(row, late)
            raise late from None
        except MeshError as error:
            self._health.failed(row, error)
            raise
        self._health.reached(row)
        return reply

    async def _ask(self, row: ConnectionRow, method: str, params: bytes) -> Reply:
        if row.transport == "http":
            return await self._side(row)[2].request(method, params)
        child = await self.stdio(row)
        return await child.request(method, params, deadline=IDLE_DEADLINE, ceiling=CALL_CEILING)

    async def initialize_result(self, row: ConnectionRow) -> bytes:
        """What the upstream said of itself. Raises as `request`."""
        if row.transport == "stdio":
            return (await self.stdio(row)).initialize_result
        try:
            return await self._side(row)[2].open()
        except MeshError as error:
            self._health.failed(row, error)
            raise

    async def drop(self, row: ConnectionRow) -> None:
        """Close what runs for this revision of a connection."""
        known = self._http.pop(row.id, None)
        if known is not None:
            await known[2].close()
        self._heard.pop(row.id, None)
        self._changed.discard(row.id)
        await self._pool.drop(f"{row.id}:{row.revision}")
        self._health.forget(row.id)

    async def close(self) -> None:
        """Close everything."""
        for _, _, session in tuple(self._http.values()):
            await session.close()
        self._http.clear()
        await self._pool.close()

    def children(self) -> list[ChildProcess]:
        """The running stdio servers."""
        return [
            ChildProcess(connection=child.key.partition(":")[0], pid=child.pid, age_s=child.age)
            for child in self._pool.running()
        ]

    def _side(self, row: ConnectionRow) -> tuple[str, HttpUpstream, HttpSession]:
        known = self._http.get(row.id)
        if known is None or known[0] != row.revision:
            try:
                target = self._credentials.target(row)
            except VaultError as error:
                raise _sealed(row, error) from None
            upstream = HttpUpstream(self._client, target)
            known = (row.revision, upstream, HttpSession(upstream, target.shown))
            self._http[row.id] = known
        return known


def disabled(row: ConnectionRow) -> Conflict:
    """The error for using what an operator switched off."""
    return Conflict(
        f'connection "{row.name}" is disabled', next=f"meshctl connection enable {row.name}"
    )


def _sealed(row: ConnectionRow, error: VaultError) -> UpstreamFailed:
    return UpstreamFailed(
        f'the credentials of "{row.name}" cannot be opened',
        facts={"why": str(error)},
        next=f"meshctl connection edit {row.name} --help",
    )
