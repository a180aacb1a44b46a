"""An upstream MCP server over Streamable HTTP: one seam that sends bytes and gives a response.

Headers are built afresh for every request (nothing of the caller's travels on), redirects are not
followed, and what comes back is streamed, not parsed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from meshd.core.secret import Secret
from meshd.proxy.outbound import transport_failed
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout

ACCEPT = "application/json, text/event-stream"
SESSION = "Mcp-Session-Id"
VERSION = "MCP-Protocol-Version"
MAX_BODY = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upstream is and what it is told. `shown` is the URL as it may be printed."""

    url: Secret
    shown: str
    headers: Mapping[str, Secret]


class HttpUpstream:
    """One connection's HTTP side. Sockets are pooled by the session that all upstreams share."""

    def __init__(self, session: aiohttp.ClientSession, target: Target) -> None:
        self._session = session
        self._url = URL(target.url.reveal(), encoded=True)
        self._shown = target.shown
        self._own = {name: value.reveal() for name, value in target.headers.items()}
        self._post = {
            **self._own, "Accept": ACCEPT, "Content-Type": "application/json",
            "User-Agent": "meshctl",
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"HttpUpstream({self._shown})"

    async def post(
        self, body: bytes, *, session: str | None, version: str | None
    ) -> aiohttp.ClientResponse:
        """Send one message. The caller releases the response.

        Raises:
            UpstreamFailed: it cannot be reached, or the connection broke before an answer.
            UpstreamTimeout: no answer began in time.
        """
        headers = self._post
        if session is not None or version is not None:
            headers = headers.copy()
            if session is not None:
                headers[SESSION] = session
            if version is not None:
                headers[VERSION] = version
        return await self._send("POST", headers, body)

    async def get(
        self, *, session: str | None, version: str | None, last_event: str | None
    ) -> aiohttp.ClientResponse:
        """Open the stream of server messages. Raises as `post` does."""
        headers = {**self._own, "Accept": "text/event-stream", "User-Agent": "meshctl"}
        given = {SESSION: session, VERSION: version, "Last-Event-ID": last_event}
        headers |= {name: value for name, value in given.items() if value is not None}
        return await self._send("GET", headers, None)

    async def delete(self, *, session: str, version: str | None) -> int:
        """End the upstream's session; its HTTP status. Raises as `post` does."""
        headers = {**self._own, SESSION: session, "User-Agent": "meshctl"}
        if version is not None:
            headers[VERSION] = version
        response = await self._send("DELETE", headers, None)
        response.release()
        return response.status

    async def _send(
        self, method: str, headers: dict[str, str], body: bytes | None
    ) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(
                method, self._url, data=body, headers=headers, allow_redirects=False
            )
        except TimeoutError:
            raise UpstreamTimeout(f"{self._shown} did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise transport_failed(error, self._shown) from None


async def read_all(response: aiohttp.ClientResponse, shown: str) -> bytes:
    """The whole body.

    Raises:
        UpstreamFailed: it is over `MAX_BODY` bytes, or broke off.
        UpstreamTimeout: it stalled.
    """
    declared = response.content_length
    if declared is not None and declared > MAX_BODY:
        response.close()
        raise UpstreamFailed(f"{shown} answered with more than {MAX_BODY >> 20} MiB")
    try:
        if declared is not None:
            return await response.read()
        parts, size = [], 0
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > MAX_BODY:
                response.close()
                raise UpstreamFailed(f"{shown} answered with more than {MAX_BODY >> 20} MiB")
            parts.append(chunk)
        return b"".join(parts)
    except TimeoutError:
        raise UpstreamTimeout(f"{shown} stopped in the middle of an answer") from None
    except (aiohttp.ClientError, OSError) as error:
        raise transport_failed(error, shown) from None
