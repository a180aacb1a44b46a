"""Connecting to an upstream: names resolved and checked, TLS, and what to say when it fails.

What is checked is connected to: a name is resolved here alone, to addresses that are allowed.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

from meshd.proxy.http_head import Place
from meshd.wire.errors import MeshError, UpstreamFailed, UpstreamTimeout

NAMES_KEPT = 30.0
"""Seconds for which the addresses of a name are used."""

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host that may be connected to, at least one. Raises `OSError`."""

P = TypeVar("P", bound=asyncio.Protocol)


def system_trust() -> ssl.SSLContext:
    """TLS 1.2 or later with the system's certificates, for HTTP/1.1."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Trust:
    """One TLS context for all connections, made when first needed: reading certificates is slow."""

    def __init__(self, make: Callable[[], ssl.SSLContext] = system_trust) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._made: ssl.SSLContext | None = None

    async def context(self) -> ssl.SSLContext:
        """The context."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            return self._made


class Dialer:
    """Opens connections to one place."""

    def __init__(self, place: Place, resolve: Resolve, trust: Trust, patience: float) -> None:
        self._place = place
        self._resolve = resolve
        self._trust = trust
        self._patience = patience
        self._resolving = asyncio.Lock()
        self._addresses: list[str] = []
        self._stale_at = 0.0

    def forget(self) -> None:
        """Look the name up anew: it may have moved."""
        self._stale_at = 0.0

    async def connect(self, protocol: Callable[[], P]) -> P:
        """A connection to the first address that takes one; all share the time there is.

        Raises:
            OSError: there is none, and `TimeoutError` if it took too long.
        """
        loop = asyncio.get_running_loop()
        context = name = None
        if self._place.tls:
            context, name = await self._trust.context(), _server_name(self._place.host)
        async with asyncio.timeout(self._patience):
            addresses = await self._resolved(loop)
        failure = OSError("it has no address")
        for address in addresses:
            try:
                async with asyncio.timeout(self._patience / len(addresses)):
                    _, made = await loop.create_connection(
                        protocol, address, self._place.port, ssl=context, server_hostname=name
                    )
            except OSError as error:
                failure = error
            else:
                return made
        self.forget()
        raise failure

    async def _resolved(self, loop: asyncio.AbstractEventLoop) -> list[str]:
        async with self._resolving:
            if loop.time() >= self._stale_at:
                self._addresses = await self._resolve(self._place.host, self._place.port)
                self._stale_at = loop.time() + NAMES_KEPT
            return self._addresses


def _server_name(host: str) -> str:
    """The name for SNI and for the certificate: without the root's dot (RFC 6066 section 3)."""
    return host.rstrip(".")


def transport_failed(error: OSError, where: str) -> MeshError:
    """The typed error for a connection that could not be made. `where` is what may be shown."""
    if isinstance(error, TimeoutError):
        return UpstreamTimeout(f"{where} could not be reached in time")
    return UpstreamFailed.gone(f"{where} cannot be reached: {_reason(error)[:200]}", sent=False)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)  # event loops add the address, each in its own way
    return error.strerror or str(error) or type(error).__name__
