"""`meshctl stdio`: MCP on stdin and stdout for a client, over the daemon's socket to a connection.

Lines in, lines out; nothing else is ever written to stdout. The HTTP side stands in `mcp`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from _socket import SHUT_RDWR

from meshctl.client.client import Client
from meshctl.client.http import Broken
from meshctl.client.mcp import Refused, Session, messages, modern_headers, one_line
from meshctl.client.sse import events
from meshd.wire.errors import BadRequest, DaemonDown, Internal, MeshError, Unavailable, from_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable
    from typing import Any

    from meshctl.client.home import Home

AT_ONCE = 256
"""Requests under way at a time; further ones are refused."""

LAST_SECONDS = 5.0
"""What requests under way get to finish after the client closed stdin."""

RELISTEN_SECONDS = 1.0
"""Before the stream of server messages is opened again."""

_INTERNAL = -32603
_PARSE_ERROR = -32700


def bridge(home: Home, name: str, *, key: str | None, org: str | None, start: bool) -> int:
    """Serve stdin and stdout until stdin ends; gives the exit code."""
    from urllib.parse import quote

    client = Client(home.at("meshd.sock"), org=org, timeout=None, warn=_to_stderr)
    headers = {"Meshctl-Key": key} if key is not None else {}
    revive = Reviver(home, start=start)
    served = Bridge(client, f"/mcp/{quote(name, safe='')}", headers, revive, _to_stdout)
    served.run(sys.stdin.buffer)
    return 0


class Reviver:
    """Starts the daemon when it is down and may be started; one thread at a time."""

    def __init__(self, home: Home, *, start: bool) -> None:
        self._home = home
        self._start = start
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Return once a daemon serves.

        Raises:
            DaemonDown: none may be started.
            MeshError: it cannot start.
        """
        if not self._start:
            from meshctl.client.dial import down

            raise down(self._home.at("meshd.sock"))
        from meshctl.client.start import ensure

        with self._lock:
            ensure(self._home)


class Bridge:
    """Carries messages between one client and one connection.

    Requests run in threads of their own. What the client does not wait for (notifications, its
    answers to the server) goes out in its order, before the next line is read.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        headers: dict[str, str],
        revive: Callable[[], None],
        write: Callable[[bytes], None],
    ) -> None:
        self._session = Session(client, path, headers, revive, self._listen)
        self._write = write
        self._writing = threading.Lock()
        self._under_way: list[_Request] = []
        self._ended = threading.Event()

    def run(self, lines: Iterable[bytes]) -> None:
        """Carry every line, then let what is under way finish, and end the session."""
        for line in lines:
            if line.strip():
                self._take(one_line(line))
            if self._ended.is_set():
                break
        deadline = time.monotonic() + LAST_SECONDS
        for request in list(self._under_way):
            request.thread.join(max(0.0, deadline - time.monotonic()))
        self._ended.set()
        try:
            self._session.end()
        except (MeshError, Broken, OSError) as error:
            _to_stderr(f"error: {_known(error).message}")

    def _take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            self._fail([None], BadRequest("this line is not JSON"), code=_PARSE_ERROR)
            return
        if not isinstance(message, dict):
            # A batch (2025-03-26) goes as it is; its answer is a batch too.
            self._request(line, _Request({}, _ids(message)))
        elif message.get("method") == "initialize":
            self._initialize(line, message.get("id"))
        elif "method" in message and "id" in message:
            self._request(line, _Request(message, [message["id"]]))
        elif not self._cancelled(message):
            self._tell(line, message)

    def _initialize(self, line: bytes, id_: Any) -> None:
        try:
            for answer in self._session.initialize(line):
                self._out(answer)
        except Exception as error:  # noqa: BLE001 - the client waits: any failure is its answer
            self._fail([id_], error)

    def _tell(self, line: bytes, message: dict[str, Any]) -> None:
        """Send what nobody waits for an answer to."""
        try:
            for answer in messages(self._session.post(line, message)):
                self._out(answer)
        except Exception as error:  # noqa: BLE001 - one lost notification is not the bridge's end
            _to_stderr(f"error: {_known(error).message}")
        if message.get("method") == "notifications/initialized":
            self._listen()

    def _request(self, line: bytes, request: _Request) -> None:
        if len(self._under_way) >= AT_ONCE:
            self._fail(request.ids, Unavailable(f"more than {AT_ONCE} requests at once"))
            return
        self._under_way.append(request)
        request.thread = threading.Thread(target=self._ask, args=(line, request), daemon=True)
        request.thread.start()

    def _ask(self, line: bytes, request: _Request) -> None:
        try:
            response = self._session.post(line, request.message, request.opened)
            for answer in self._session.answers(response, self._ended.wait, request.opened):
                self._out(answer)
        except Exception as error:  # noqa: BLE001 - the client waits: any failure is its answer
            if not request.cancelled:
                self._fail(request.ids, error)
        finally:
            self._under_way.remove(request)

    def _cancelled(self, message: dict[str, Any]) -> bool:
        """Whether that is all that the server needs to hear of a cancellation.

        In the stateless era hanging up is the cancellation (2026-07-28, Streamable HTTP).
        """
        params = message.get("params")
        if message.get("method") != "notifications/cancelled" or not isinstance(params, dict):
            return False
        for request in list(self._under_way):
            if params.get("requestId") in request.ids:
                request.cancelled = True
                if modern_headers(request.message):
                    request.hang_up()
                    return True
        return False

    def _listen(self) -> None:
        """Begin to carry what the server says by itself."""
        if self._session.id is not None:
            threading.Thread(target=self._hear, args=(self._session.id,), daemon=True).start()

    def _hear(self, session: str) -> None:
        """Carry the server's own stream for as long as the session lasts."""
        last: str | None = None
        while self._session.id == session:
            try:
                with self._session.listen(last) as response:
                    if response.status == 404:
                        self._session.renew(session)
                    if response.status != 200:
                        return  # 405: the server has no such stream
                    for event in events(response.chunks()):
                        last = event.id or last
                        if event.data:
                            self._out(one_line(event.data))
            except (MeshError, Refused, Broken, OSError):
                pass  # the daemon restarts; what it cannot do is told to the next request
            if self._ended.wait(RELISTEN_SECONDS):
                return

    def _out(self, message: bytes) -> None:
        try:
            with self._writing:
                self._write(message + b"\n")
        except BrokenPipeError:
            self._ended.set()  # nobody listens any more

    def _fail(self, ids: list[Any], error: Exception, *, code: int = _INTERNAL) -> None:
        """Answer requests with what went wrong, in the words of the command line."""
        for id_ in ids:
            answer = _foreign(error)
            if answer is None:
                known = _known(error)
                text = known.message + (f" (next: {known.next})" if known.next else "")
                problem = {"code": code, "message": text, "data": known.body()["error"]}
                answer = {"jsonrpc": "2.0", "error": problem}
            self._out(json.dumps({**answer, "id": id_}, ensure_ascii=False).encode())


class _Request:
    """A request under way, or a batch of them."""

    __slots__ = ("_hung_up", "_peer", "cancelled", "ids", "message", "thread")

    thread: threading.Thread

    def __init__(self, message: dict[str, Any], ids: list[Any]) -> None:
        self.message = message
        self.ids = ids
        self.cancelled = False
        """Whether the client waits for no answer any more."""
        self._hung_up = False
        self._peer: socket | None = None

    def opened(self, peer: socket) -> None:
        self._peer = peer
        if self._hung_up:
            self.hang_up()

    def hang_up(self) -> None:
        self._hung_up = True
        if self._peer is not None:
            try:
                self._peer.shutdown(SHUT_RDWR)
            except OSError:
                return  # its answer is already here


def _ids(batch: Any) -> list[Any]:
    """The ids of the requests in a batch; of anything else the id of nothing."""
    if not isinstance(batch, list):
        return [None]
    return [one["id"] for one in batch if isinstance(one, dict) and {"id", "method"} <= one.keys()]


def _foreign(error: Exception) -> dict[str, Any] | None:
    """The JSON-RPC error that an HTTP error may carry."""
    body = _json(error.body) if isinstance(error, Refused) else None
    return body if isinstance(body, dict) and "jsonrpc" in body else None


def _known(error: Exception) -> MeshError:
    if isinstance(error, MeshError):
        return error
    if isinstance(error, Refused):
        return from_body(_json(error.body), error.status)
    if isinstance(error, Broken | OSError):
        return DaemonDown(f"meshd did not answer: {error}", next="meshctl daemon logs")
    return Internal(f"{type(error).__name__}: {error}", next="meshctl daemon logs")


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _to_stdout(data: bytes) -> None:
    # Not through sys.stdout: its lock, held by a thread at exit, would abort the interpreter.
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def _to_stderr(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
