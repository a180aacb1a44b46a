"""A real daemon in its own process and its own home, and a small client of its two doors."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.forking import Forked, fits

STARTING = 30.0


@dataclass
class Answer:
    """An HTTP answer, read whole. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("meshd", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass
class Daemon:
    """One home, and the daemon that runs in it at the moment."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | Forked | None = None
    url: str = ""
    socket: str = ""
    trust: ssl.SSLContext | None = None
    """How TCP is spoken to, when its URL is https."""

    @classmethod
    def fresh(cls, **env: str) -> Self:
        """A home of its own; short, since socket paths are. Not started."""
        return cls(Path(tempfile.mkdtemp(prefix="mesh-")), env)

    @property
    def environ(self) -> dict[str, str]:
        """The environment for the daemon and for commands that talk to it."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MESHCTL_")}
        return {**kept, "MESHCTL_HOME": str(self.home), **self.env}

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def start(
        self,
        *arguments: str,
        port: int = 0,
        prefix: tuple[str, ...] = (),
        program: bool = False,
    ) -> Self:
        """Start it and wait until it serves; `prefix` is put before the command (strace).

        With `program` it is one that the system started, even where a fork would do: for who
        looks at its arguments or its first environment, or measures it.
        """
        ready, writing = os.pipe()
        words = ["--port", str(port), *arguments]
        if fits(self.env) and not prefix and not program:
            self.process = Forked(words, writing, self.environ, str(self.home))
        else:
            command = [*prefix, sys.executable, "-m", "meshd", "--ready-fd", str(writing), *words]
            self.process = subprocess.Popen(
                command, env=self.environ, pass_fds=[writing], cwd=self.home,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            )  # fmt: skip
        os.close(writing)
        with os.fdopen(ready) as line:
            text = line.readline()
        told = json.loads(text) if text else {}
        if "url" not in told:
            _, error = self.process.communicate(timeout=10)
            raise RuntimeError(f"meshd did not start: {text} {error.decode()}")
        self.url, self.socket = told["url"], told["socket"]
        return self

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL."""
        return self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        assert self.process.stderr is not None
        self.process.stderr.close()
        self.process = None
        return code

    def remove(self) -> None:
        """End it if it runs, and remove its home."""
        if self.process is not None:
            self.stop()
        shutil.rmtree(self.home)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """A control call on the Unix socket."""
        return self._send(_UnixConnection(self.socket), method, path, body, headers)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """A control call that must succeed; its JSON."""
        answer = self.ask(method, path, body)
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json()

    def tcp(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, **headers: str
    ) -> Answer:
        """A request over TCP, with a key if given. A `bytes` body is sent as it is."""
        parts = urlsplit(self.url)
        given = {} if key is None else {"Authorization": f"Bearer {key}"}
        assert parts.hostname is not None
        if parts.scheme == "https":
            link = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=60, context=self.trust
            )
        else:
            link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        return self._send(link, method, path, body, given | headers)

    def rpc(
        self, connection: str, method: str, params: Any = None, *, key: str, session: str = ""
    ) -> Answer:
        """One JSON-RPC request to a connection's endpoint."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        more = {"Mcp-Session-Id": session} if session else {}
        accept = {"Accept": "application/json, text/event-stream"}
        return self.tcp("POST", f"/mcp/{connection}", body, key=key, **accept, **more)

    def add_key(self, name: str, *allow: str, **more: Any) -> str:
        """Issue a key; its secret. Without `allow` it may use every connection."""
        asked = {"name": name, **({"allow": list(allow)} if allow else {}), **more}
        return str(self.control("POST", "/v1/keys", asked)["key"])

    def connect(self, name: str, *command: str, env: dict[str, str] | None = None) -> Any:
        """Connect a stdio server."""
        asked = {"name": name, "command": list(command), "env": env or {}}
        return self.control("POST", "/v1/stdio-connections", asked)

    def connect_http(self, name: str, url: str, **headers: str) -> Any:
        """Connect a Streamable HTTP server."""
        return self.control(
            "POST", "/v1/connections", {"name": name, "url": url, "headers": headers}
        )

    def _send(
        self,
        link: http.client.HTTPConnection,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str],
    ) -> Answer:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            names.setdefault("Content-Type", "application/json")
        try:
            link.request(method, path, data, names)
            response = link.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            link.close()
