"""The Unix socket: only its owner may connect, and browsers may not."""

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from aiohttp import web

from meshd.core.answers import error_answer
from meshd.core.clock import Clock
from meshd.core.http_server import HttpServer
from meshd.services.keys import Keys
from meshd.services.principal import Principal
from meshd.wire.errors import Denied, MeshError, WrongHost

log = logging.getLogger(__name__)

HOST = "meshd"

McpHandler = Callable[[web.BaseRequest, Principal], Awaitable[web.StreamResponse]]


class Control(Protocol):
    """What answers control calls."""

    async def handle(
        self, request: web.BaseRequest, principal: Principal, *, on_socket: bool
    ) -> web.StreamResponse:
        """Answer one. Never raises but for a connection that broke."""
        ...


class SocketSite:
    """Serves control calls, and MCP for bridges that name the key they act as."""

    def __init__(
        self,
        control: Control,
        mcp: McpHandler,
        keys: Keys,
        owner: Callable[[], Principal],
        in_org: Callable[[Principal, str | None], Principal],
        clock: Clock,
    ) -> None:
        self.lead_to(control, mcp)
        self._keys = keys
        self._owner = owner
        self._in_org = in_org
        self.server = HttpServer(self._handle, clock, strangers=False)

    def lead_to(self, control: Control, mcp: McpHandler) -> None:
        """From now on, what the owner asks comes there."""
        self._control = control
        self._mcp = mcp

    async def start(self, path: Path) -> None:
        """Listen on `path`. A stale socket is removed: the caller holds the daemon's lock."""
        await self.server.open(_bind(path))

    async def stop(self, hurry: asyncio.Event) -> None:
        """Stop listening; what is under way gets its time."""
        await self.server.close(hurry)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        is_mcp = request.path == "/mcp" or request.path.startswith("/mcp/")
        try:
            _check_peer(request)
            principal = self._owner()
            acting = request.headers.get("Meshctl-Key")
            if acting is not None or is_mcp:
                principal = self._in_org(principal, request.headers.get("Meshctl-Org"))
            if acting is not None:
                principal = self._keys.acting_as(acting, principal)
        except MeshError as error:
            return error_answer(error)
        if is_mcp:
            return await self._mcp(request, principal)
        return await self._control.handle(request, principal, on_socket=True)


def _bind(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener


def _check_peer(request: web.BaseRequest) -> None:
    """Refuse other users (the mode alone can be changed) and anything a browser would send.

    Raises:
        Denied, WrongHost: it is refused.
    """
    transport = request.transport
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is None or _peer_uid(sock) not in {os.getuid(), 0}:
        raise Denied("this socket belongs to another user")
    if request.host != HOST:
        raise WrongHost(f"the Host of control calls is {HOST}")
    if "Origin" in request.headers or "Referer" in request.headers:
        raise Denied("browsers have no business here")


def _peer_uid(sock: socket.socket) -> int:
    if sys.platform == "linux":
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        uid: int = struct.unpack("3i", raw)[1]
    else:
        raw = sock.getsockopt(0, 1, 76)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred of macOS
        uid = struct.unpack_from("=Ii", raw)[1]
    return uid
