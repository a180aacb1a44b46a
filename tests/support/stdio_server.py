"""A small MCP server over stdio whose tools are what tests need. Run as a program.

It knows only the standard library, so that it starts at once. `command()` gives its command line;
the word `stubborn` makes it ignore SIGTERM and the end of its input, and fork a child that does.
"""

import json
import os
import random
import signal
import sys
import time
from typing import Any


def command(*words: str) -> list[str]:
    """How to run it, isolated and without site packages."""
    return [sys.executable, "-I", "-S", __file__, *words]


class Server:
    """The protocol, and the tools by name."""

    def __init__(self) -> None:
        self.write_is_read_only = False
        self.gathered: list[tuple[Any, dict[str, Any]]] = []
        self.hanging: dict[Any, str] = {}
        self.cancelled: list[str] = []
        self.grandchild = 0

    def send(self, **message: Any) -> None:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}, allow_nan=False) + "\n")
        sys.stdout.flush()

    def answer(self, ident: Any, value: Any) -> None:
        """A tool's result: the value as structured content and as text."""
        content = [{"type": "text", "text": json.dumps(value)}]
        self.send(id=ident, result={"content": content, "structuredContent": {"value": value}})

    def take(self, message: dict[str, Any]) -> None:
        method, ident, params = message.get("method"), message.get("id"), message.get("params", {})
        if method == "notifications/cancelled":
            name = self.hanging.pop(params["requestId"], None)
            if name is not None:
                self.cancelled.append(name)
        elif ident is None or method is None:
            return
        elif method == "initialize":
            self.send(
                id=ident,
                result={
                    "protocolVersion": "2025-11-25",
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "stand-in", "version": "1"},
                },
            )
        elif method == "tools/list":
            self.send(id=ident, result={"tools": self.tools()})
        elif method == "tools/call":
            self.call(ident, params)
        else:
            self.send(id=ident, error={"code": -32601, "message": f"no {method}"})

    def tools(self) -> list[dict[str, Any]]:
        read_only = {"echo": True, "pids": True, "write": self.write_is_read_only}
        return [
            {
                "name": name,
                "inputSchema": {"type": "object"},
                "annotations": {"readOnlyHint": read_only.get(name, False)},
            }
            for name in sorted(n.removeprefix("tool_") for n in dir(self) if n.startswith("tool_"))
        ]

    def call(self, ident: Any, params: dict[str, Any]) -> None:
        tool = getattr(self, f"tool_{params.get('name')}", None)
        if tool is None:
            self.send(id=ident, error={"code": -32602, "message": "no such tool"})
            return
        token = (params.get("_meta") or {}).get("progressToken")
        tool(ident, params.get("arguments") or {}, token)

    # The tools:

    def tool_echo(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """Give the arguments back."""
        self.answer(ident, arguments)

    tool_write = tool_echo

    def tool_fail(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """An error of the tool itself."""
        content = [{"type": "text", "text": "the tool failed"}]
        self.send(id=ident, result={"content": content, "isError": True})

    def tool_gather(self, ident: Any, arguments: dict[str, Any], token: Any) -> None:
        """Wait for `of` calls, tell each its progress, then answer all in a random order."""
        self.gathered.append((ident, {**arguments, "token": token}))
        if len(self.gathered) < arguments["of"]:
            return
        waiting, self.gathered = self.gathered, []
        random.shuffle(waiting)
        for _, asked in waiting:
            if asked["token"] is not None:
                about = {"progressToken": asked["token"], "progress": 1, "message": asked["mark"]}
                self.send(method="notifications/progress", params=about)
        random.shuffle(waiting)
        for number, asked in waiting:
            self.answer(number, asked["mark"])

    def tool_hang(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """Never answer."""
        self.hanging[ident] = arguments["mark"]

    def tool_seen(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """Which calls hang, and which were cancelled."""
        value = {"hanging": list(self.hanging.values()), "cancelled": self.cancelled}
        self.answer(ident, value)

    def tool_turn(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """Annotate `write` as read-only or not, and say that the list changed."""
        self.write_is_read_only = arguments["read_only"]
        self.send(method="notifications/tools/list_changed")
        self.answer(ident, self.write_is_read_only)

    def tool_halve(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """Answer with half of an emoji, as JavaScript servers do that cut texts by length."""
        self.answer(ident, "\ud83d")

    def tool_die(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """End in the middle of the call."""
        sys.exit("the disk is full")

    def tool_pids(self, ident: Any, arguments: dict[str, Any], _: Any) -> None:
        """This process, and the one it forked."""
        self.answer(ident, [os.getpid(), self.grandchild])


def stay(server: Server) -> None:
    """Become what is hard to end, with a child that is too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.grandchild = os.fork()
    if server.grandchild == 0:
        while True:
            time.sleep(600)


def main() -> None:
    server = Server()
    stubborn = "stubborn" in sys.argv
    if stubborn:
        stay(server)
    if "complain" in sys.argv:  # its environment on stderr, as careless programs do
        sys.exit("cannot start with " + json.dumps(dict(os.environ)))
    for line in iter(sys.stdin.readline, ""):
        message = json.loads(line)
        try:
            server.take(message)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            server.send(id=message.get("id"), error={"code": -32602, "message": repr(error)})
    while stubborn:
        time.sleep(600)


if __name__ == "__main__":
    main()
