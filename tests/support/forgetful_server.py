"""A handshake server over Streamable HTTP, as a process that can be killed. Run as a program.

It keeps in memory what each session set; its tool `settings` tells it of the session that asks, and
`count` how many there are.
"""

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

WELCOME = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}, "logging": {}, "resources": {"subscribe": True}},
    "serverInfo": {"name": "forgetful", "version": "1"},
}
SETTINGS = {"name": "settings", "inputSchema": {"type": "object"},
            "annotations": {"readOnlyHint": True}}  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """One request; sessions are the process's."""

    protocol_version = "HTTP/1.1"
    sessions: ClassVar[dict[str, dict[str, Any]]] = {}
    forgets: ClassVar[set[str]] = set()
    """Resources at whose next subscription every session is lost."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method, session = message.get("method"), self.headers["Mcp-Session-Id"]
        if method == "initialize":
            session = secrets.token_hex(8)
            self.sessions[session] = {"level": None, "uris": []}
            self._answer(message, WELCOME, session)
        elif session not in self.sessions or self._forgets(message):
            self._empty(404 if session else 400)
        elif "id" not in message:
            self._empty(202)
        else:
            self._answer(message, self._result(method, message["params"], self.sessions[session]))

    def do_GET(self) -> None:
        if self.headers["Mcp-Session-Id"] not in self.sessions:
            self._empty(404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b": open\n\n")
        self.connection.recv(1)
        self.close_connection = True

    def _forgets(self, message: dict[str, Any]) -> bool:
        uri = message.get("params", {}).get("uri")
        if message["method"] != "resources/subscribe" or uri not in self.forgets:
            return False
        self.forgets.remove(uri)
        self.sessions.clear()
        return True

    def _result(self, method: str, params: dict[str, Any], mine: dict[str, Any]) -> Any:
        match method:
            case "logging/setLevel":
                mine["level"] = params["level"]
            case "resources/subscribe":
                mine["uris"] = sorted({*mine["uris"], params["uri"]})
            case "resources/unsubscribe":
                mine["uris"].remove(params["uri"])
            case "tools/list":
                return {"tools": [SETTINGS, SETTINGS | {"name": "count"}]}
            case "tools/call" if params["name"] == "count":
                return {"content": [{"type": "text", "text": str(len(self.sessions))}]}
            case "tools/call":
                return {"content": [{"type": "text", "text": json.dumps(mine)}]}
        return {}

    def _answer(self, message: dict[str, Any], result: Any, session: str | None = None) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        self.send_response(200)
        if session is not None:
            self.send_header("Mcp-Session-Id", session)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _empty(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Forgetful:
    """The process at its port; `restart` kills it, and starts another there."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/mcp"
        self._process = self._start()

    def restart(self, *forgets: str) -> None:
        """`forgets` are resources at whose next subscription it loses its sessions once more."""
        self.kill()
        self._process = self._start(*forgets)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _start(self, *forgets: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-I", "-S", __file__, str(self._port), *forgets]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process


@contextmanager
def forgetful_server() -> Iterator[Forgetful]:
    made = Forgetful()
    try:
        yield made
    finally:
        made.kill()


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    Handler.forgets.update(sys.argv[2:])
    print("ready", flush=True)
    server.serve_forever()
