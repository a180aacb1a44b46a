"""A stdio MCP server with an echo tool, as small as one can be; imports nothing of ours."""

import json
import sys

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "bench", "version": "1"},
}
TOOLS = [{"name": "echo", "description": "Says it again.", "inputSchema": {"type": "object"}}]


def answer(message):
    """The result of a request."""
    if message["method"] == "initialize":
        return HELLO
    if message["method"] == "tools/list":
        return {"tools": TOOLS}
    text = message.get("params", {}).get("arguments", {}).get("text", "")
    return {"content": [{"type": "text", "text": text}]}


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        if "id" in asked:
            told = {"jsonrpc": "2.0", "id": asked["id"], "result": answer(asked)}
            sys.stdout.buffer.write(json.dumps(told, separators=(",", ":")).encode() + b"\n")
            sys.stdout.buffer.flush()
