"""Which era a stdio server speaks, found out without harm to servers that do not expect it."""

import json
import sys
from pathlib import Path

import pytest

from meshd.core.secret import Secret
from meshd.protocol.jsonrpc import Reply
from meshd.proxy import stdio_greeting
from meshd.proxy.child import Command
from meshd.proxy.stdio import StdioUpstream
from meshd.proxy.stdio_pool import StdioPool

SERVER = r"""
import json, sys

with open(sys.argv[2], "a") as log:
    log.write("start\n")


def answer(message, **more):
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **more}), flush=True)


hung = False
for line in iter(sys.stdin.readline, ""):
    message = json.loads(line)
    method = message["method"]
    with open(sys.argv[2], "a") as log:
        log.write(method + "\n")
    if method == "server/discover":
        if sys.argv[1] == "exits":
            sys.exit(1)
        if sys.argv[1] == "hangs":
            hung = True
        elif sys.argv[1] == "refuses":
            answer(message, error={"code": -32601, "message": "unknown"})
        elif sys.argv[1] == "older":
            answer(message, result={"supportedVersions": ["2025-11-25"], "capabilities": {}})
        elif sys.argv[1] == "modern":
            answer(message, result={"supportedVersions": ["2026-07-28"], "capabilities": {}})
    elif method == "initialize" and not hung:
        about = {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {}}
        answer(message, result=about)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become tenths of seconds."""
    monkeypatch.setattr(stdio_greeting, "PROBE_WAIT", 0.3)
    monkeypatch.setattr(stdio_greeting, "HANG_WAIT", 0.5)


def command(folder: Path, manner: str) -> Command:
    """A server of that manner, which writes down what it hears."""
    script = folder / "server.py"
    script.write_text(SERVER)
    words = (sys.executable, "-I", "-S", str(script), manner, str(folder / "heard"))
    return Command(words, {"NOTHING": Secret("x")})


def heard(folder: Path) -> list[str]:
    """Everything that every process of it heard; `start` begins each."""
    return (folder / "heard").read_text().split()


@pytest.mark.parametrize(
    ("manner", "era", "said"),
    [
        ("modern", "stateless", ["start", "server/discover"]),
        ("refuses", "handshake", ["start", "server/discover", "initialize"]),
        ("older", "handshake", ["start", "server/discover", "initialize"]),
        ("silent", "handshake", ["start", "server/discover", "initialize"]),
        ("exits", "handshake", ["start", "server/discover", "start", "initialize"]),
        (
            "hangs",
            "handshake",
            ["start", "server/discover", "initialize", "start", "initialize"],
        ),
    ],
)
async def test_how_a_server_is_greeted(
    tmp_path: Path, manner: str, era: str, said: list[str]
) -> None:
    """The stateless era is tried first; whoever cannot bear that is started again."""
    upstream = await StdioUpstream.start(command(tmp_path, manner), folder=tmp_path / "children")
    try:
        assert upstream.greeting.era == era
        spoken = [word for word in heard(tmp_path) if not word.startswith("notifications/")]
        assert spoken == said
        assert upstream.probed == (manner not in {"exits", "hangs"})
        discovery = json.loads(upstream.greeting.discovery)
        assert "supportedVersions" in discovery
    finally:
        await upstream.stop()


async def test_a_server_that_cannot_be_probed_is_not_probed_again(tmp_path: Path) -> None:
    """The pool remembers it for as long as the connection stays as it is."""
    pool = StdioPool(tmp_path / "children", start_deadline=10)
    try:
        first = await pool.get("conn_1", command(tmp_path, "exits"), "r1", idle=1)
        await first.stop()
        await pool.get("conn_1", command(tmp_path, "exits"), "r1", idle=1)
        assert heard(tmp_path).count("server/discover") == 1
        await pool.get("conn_1", command(tmp_path, "exits"), "r2", idle=1)
        assert heard(tmp_path).count("server/discover") == 2
    finally:
        await pool.close()


def test_what_a_reply_is() -> None:
    """A greeting keeps both forms; the one that was not said is made of the other."""
    said = stdio_greeting._discovered(
        Reply(b'{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}', None)
    )
    assert said is not None
    assert json.loads(said.welcome)["protocolVersion"] == "2026-07-28"
    assert json.loads(said.welcome)["capabilities"] == {"tools": {}}
