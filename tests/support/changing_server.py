"""An MCP server over stdio whose tools stand in a file, read anew for each list. Run as a program.

It knows only the standard library. `command(file)` gives its command line. A call of the tool
`announce` tells its client that the tools changed.
"""

import json
import sys
from pathlib import Path
from typing import Any

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {"listChanged": True}},
    "serverInfo": {"name": "changing", "version": "1"},
}


def command(tools: Path) -> list[str]:
    """How to run it; `tools` holds the JSON array that it lists."""
    return [sys.executable, "-I", "-S", __file__, str(tools)]


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        send(id=message["id"], result=answer(message["method"], message.get("params", {})))


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of a request."""
    if method == "initialize":
        return HELLO
    if method == "tools/list":
        return {"tools": json.loads(Path(sys.argv[1]).read_text())}
    if params.get("name") == "announce":
        send(method="notifications/tools/list_changed")
    return {"content": [{"type": "text", "text": "done"}]}


def send(**message: Any) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
