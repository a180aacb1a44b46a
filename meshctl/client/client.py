"""The client of the control API: calls, streams, and raw exchanges for MCP over the same socket."""

from __future__ import annotations

import json
import os

from meshctl import __version__
from meshctl.client.dial import connect, down
from meshctl.client.http import Broken, Cut, Response, exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from msgspec import Struct

    from meshd.wire.calls.row import Call

SILENCE_SECONDS = 30.0
"""A stream that is silent for three heartbeats is dead."""

LINE_BYTES = 16 * 1024 * 1024
"""The longest line of a stream."""


class Client:
    """Asks one daemon. Each exchange has its own connection, so threads may share a client.

    `timeout` is in seconds, for each wait on the socket; None waits for ever. `warn` takes the one
    sentence about a daemon of another version.
    """

    def __init__(
        self,
        socket: str | os.PathLike[str],
        *,
        org: str | None = None,
        timeout: float | None = 60.0,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._path = os.fspath(socket)
        self._org = org
        self._timeout = timeout
        self._warn = warn

    def call(self, row: Call, asks: Struct | None = None, *, timeout: float | None = None) -> Any:
        """The answer of a control call as plain JSON data.

        `timeout` replaces the client's, for calls known to take long.

        Raises:
            MeshError: the kind that the daemon names.
            DaemonDown: nothing answers.
            Unavailable: nothing came in time.
        """
        from meshctl.client.asks import split

        path, query, body = split(row, asks)
        return self._ask(row.method, path + encode(query), body, timeout or self._timeout)

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """As `call`, for a GET whose path and query are known."""
        return self._ask("GET", path + encode(query or {}), None, self._timeout)

    def stream(self, row: Call, asks: Struct | None = None) -> Iterator[dict[str, Any] | None]:
        """The items of a call that streams; None when it begins to stand, and for a heartbeat.

        Raises:
            DaemonDown: nothing answers, or the stream was cut.
            MeshError: the kind that the daemon names, also when it ends the stream.
        """
        from meshctl.client.asks import split

        path, query, _ = split(row, asks)
        return self.lines(path, query)

    def lines(
        self, path: str, query: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any] | None]:
        """As `stream`, for a path and a query that are known."""
        try:
            target = path + encode(query or {})
            with self._exchange("GET", target, {}, None, timeout=SILENCE_SECONDS) as response:
                self._check(response)
                yield None  # it stands
                for line in _lines(response.chunks()):
                    yield _item(line) if line else None
        except (Broken, TimeoutError) as error:
            raise self._lost(error) from error

    def raw(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        opened: Callable[[socket], None] | None = None,
    ) -> Response:
        """One exchange as it is: whatever the status, the caller reads and closes the answer.

        `opened` gets the connection before anything is sent, so that another thread may shut it
        down.

        Raises:
            DaemonDown: nothing listens; the request was not sent.
            http.Broken, TimeoutError: the exchange failed on its way.
        """
        return self._exchange(
            method, path, headers or {}, body, timeout=self._timeout, opened=opened
        )

    def _ask(self, method: str, target: str, body: bytes | None, timeout: float | None) -> Any:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            with self._exchange(method, target, headers, body, timeout=timeout) as response:
                self._check(response)
                return json.loads(response.read())
        except TimeoutError as error:
            raise _late(timeout) from error
        except (Broken, ValueError) as error:
            raise self._lost(error) from error

    def _exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        timeout: float | None,
        opened: Callable[[socket], None] | None = None,
    ) -> Response:
        peer = connect(self._path, timeout)
        try:
            if opened is not None:
                opened(peer)
            org = {"Meshctl-Org": self._org} if self._org else {}
            response = exchange(peer, method, target, {**org, **headers}, body)
        except BaseException:
            peer.close()
            raise
        self._compare(response.headers.get("meshctl-version"))
        return response

    def _compare(self, theirs: str | None) -> None:
        """Warn once when the daemon is of another release."""
        if self._warn and theirs and theirs != __version__:
            self._warn(
                f"warning: meshd is version {theirs}, meshctl {__version__};"
                " meshctl daemon restart makes them one"
            )
            self._warn = None

    @staticmethod
    def _check(response: Response) -> None:
        if response.status < 400:
            return
        from meshd.wire.errors import from_body

        try:
            body = json.loads(response.read())
        except ValueError:
            body = None
        raise from_body(body, response.status)

    def _lost(self, error: Exception) -> Exception:
        """What a broken exchange means to the user."""
        if isinstance(error, Cut | TimeoutError):
            lost = down(self._path)
            lost.message = "meshd went away in the middle of an answer"
            return lost
        from meshd.wire.errors import Internal

        return Internal(f"the answer of meshd is not valid: {error}", next="meshctl daemon logs")


def encode(query: Mapping[str, Any]) -> str:
    """A query with its `?`, or nothing. None is left out, a list repeats its field."""
    if not query:
        return ""
    from urllib.parse import urlencode

    pairs = [
        (name, str(value).lower() if isinstance(value, bool) else value)
        for name, given in query.items()
        for value in (given if isinstance(given, list) else [given])
        if value is not None
    ]
    return f"?{urlencode(pairs)}" if pairs else ""


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Whole lines, as soon as they are whole."""
    begun: list[bytes] = []
    size = 0
    for chunk in chunks:
        first, *lines = chunk.split(b"\n")
        begun.append(first)
        size += len(first)
        if lines:
            yield b"".join(begun).strip()
            *whole, last = lines
            yield from (line.strip() for line in whole)
            begun, size = [last], len(last)
        if size > LINE_BYTES:
            raise Broken("a line that does not end")
    if size:
        raise Cut("the stream ended in the middle of a line")


def _item(line: bytes) -> dict[str, Any]:
    try:
        item = json.loads(line)
    except ValueError as error:
        raise Broken("a line that is not JSON") from error
    if not isinstance(item, dict):
        raise Broken("a line that is no object")
    # A record has an `error` too, among other fields, and as a string.
    if item.keys() == {"error"} and isinstance(item["error"], dict):
        from meshd.wire.errors import from_body

        raise from_body(item, 200)
    return item


def _late(timeout: float | None) -> Exception:
    from meshd.wire.errors import Unavailable

    return Unavailable(
        f"meshd did not answer within {timeout:g} s" if timeout else "meshd did not answer",
        next="meshctl daemon logs",
    )
