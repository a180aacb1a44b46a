"""What people put before and behind a gateway: the TypeScript SDK, mcp-remote, supergateway."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.house import house
from tests.support.daemon import Daemon
from tests.support.node_tools import PATIENCE, NodeTools, node_tools

pytestmark = pytest.mark.timeout(600)  # the first run ever installs

ERAS = ("legacy", "auto", "modern")


@pytest.fixture(scope="module")
def tools() -> NodeTools:
    return node_tools()


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, tools: NodeTools) -> str:
    """A key for the reference server."""
    shared_daemon.connect("reference", *tools.everything)
    return shared_daemon.add_key("gateways")


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Daemon, str]]:
    """A daemon before a server of each era."""
    with house() as made:
        yield made


@pytest.mark.parametrize("connection", ["handshake", "stateless", "stdio"])
@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_in_each_era(
    both: tuple[Daemon, str], tools: NodeTools, era: str, connection: str
) -> None:
    """Whatever the server behind speaks."""
    daemon, key = both
    words = ("tools/call", "--tool-name", "test_simple_text")
    result = tools.inspect(daemon, connection, key, *words, era=era)
    assert result["content"][0]["type"] == "text"


def test_the_typescript_client(shared_daemon: Daemon, tools: NodeTools, key: str) -> None:
    """It lists, calls, and hears progress."""
    done = subprocess.run(
        [tools.node, str(tools.client), str(tools.modules), f"{shared_daemon.url}/mcp/reference", key],
        capture_output=True, text=True, check=False, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"echo", "get-sum"} <= set(told["tools"])
    assert "5" in told["sum"]["content"][0]["text"]
    assert told["progress"] == sorted(told["progress"])
    assert len(told["progress"]) >= 2


def test_mcp_remote(shared_daemon: Daemon, tools: NodeTools, key: str, tmp_path: Path) -> None:
    """The bridge that clients without HTTP often use."""
    command = [
        *tools.mcp_remote, f"{shared_daemon.url}/mcp/reference", "--allow-http",
        "--transport", "http-only", "--header", f"Authorization: Bearer {key}",
    ]  # fmt: skip
    _lists_and_adds(command, tmp_path)


def test_supergateway_before_the_daemon(
    shared_daemon: Daemon, tools: NodeTools, key: str, tmp_path: Path
) -> None:
    """Another gateway in front: it speaks HTTP to the daemon and stdio to its client."""
    command = [
        *tools.supergateway, "--streamableHttp", f"{shared_daemon.url}/mcp/reference",
        "--oauth2Bearer", key, "--logLevel", "none",
    ]  # fmt: skip
    _lists_and_adds(command, tmp_path)


def test_supergateway_behind_the_daemon(shared_daemon: Daemon, tools: NodeTools, key: str) -> None:
    """And behind: a stdio server that it serves over HTTP."""
    with _supergateway(tools) as url:
        shared_daemon.connect_http("behind", url)
        words = ("tools/call", "--tool-name", "get-sum", "--tool-arg", "a=2", "b=3")
        result = tools.inspect(shared_daemon, "behind", key, *words)
        assert "5" in result["content"][0]["text"]


@contextmanager
def _supergateway(tools: NodeTools) -> Iterator[str]:
    """The reference server behind supergateway; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = " ".join(tools.everything)
    command = [
        *tools.supergateway, "--stdio", server, "--outputTransport", "streamableHttp",
        "--port", str(port), "--logLevel", "none",
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            _wait_for(process, port)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            process.terminate()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Until it listens."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
            continue
        return
    raise RuntimeError("supergateway did not start")


def _lists_and_adds(command: list[str], home: Path) -> None:
    """Speak MCP on the standard input and output of a program, as a desktop client does."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"}, text=True,
    ) as process:  # fmt: skip
        try:
            hello = {
                "protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            }  # fmt: skip
            assert "serverInfo" in _ask(process, 1, "initialize", hello)
            _send(process, {"method": "notifications/initialized"})
            listed = _ask(process, 2, "tools/list", {})["tools"]
            assert {"echo", "get-sum"} <= {tool["name"] for tool in listed}
            asked = {"name": "get-sum", "arguments": {"a": 2, "b": 3}}
            assert "5" in _ask(process, 3, "tools/call", asked)["content"][0]["text"]
        finally:
            process.kill()


def _send(process: "subprocess.Popen[str]", message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    process.stdin.flush()


def _ask(process: "subprocess.Popen[str]", ident: int, method: str, params: Any) -> Any:
    _send(process, {"id": ident, "method": method, "params": params})
    assert process.stdout is not None
    for line in process.stdout:
        answer = json.loads(line)
        if answer.get("id") == ident and "method" not in answer:
            assert "result" in answer, answer
            return answer["result"]
    raise EOFError(f"no answer to {method}")
