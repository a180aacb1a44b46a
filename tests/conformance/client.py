"""The command that the suite's client scenarios start: the mesh as the client of the suite's server.

`python -m tests.conformance.client SOCKET URL KEY MODE SERVER` connects SERVER to a running
gateway, does through it what any client would, and removes the connection. The SDK's client is only
the hand that moves it: in the mode `legacy` it knows nothing of the stateless era's headers and
envelopes, so whatever the server sees of these is the gateway's.
"""

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx2
import mcp_types as t
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.support.daemon import Daemon
from tests.support.sdk_client import Mode

FOCAL, ECHO = "json_schema_2020_12_tool", "json_schema_echo"
"""The scenario on schemas wants the first tool's back as the argument of the second."""

_PLAIN = {"string": "text", "integer": 2, "number": 1.5, "boolean": True, "object": {}, "array": []}


async def visit(daemon: Daemon, key: str, mode: Mode, server: str) -> None:
    """Everything that the scenarios look at: the list, a call of each tool in it, all answers."""
    name = f"suite-{urlsplit(server).port}-{mode[:4]}"
    await asyncio.to_thread(daemon.connect_http, name, server)
    try:
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(headers=headers, timeout=30) as http:
            transport = streamable_http_client(f"{daemon.url}/mcp/{name}", http_client=http)
            async with Client(transport, mode=mode, elicitation_callback=_answer) as client:
                await _use(client)
    finally:
        await asyncio.to_thread(daemon.control, "DELETE", f"/v1/connections/{name}")


async def _use(client: Client) -> None:
    listed = (await client.list_tools()).tools
    for tool, arguments in _calls({tool.name: tool.input_schema for tool in listed}):
        with suppress(MCPError):  # a tool that says no was called all the same
            await client.call_tool(tool, arguments)
    offered = client.server_capabilities
    if offered.prompts is not None:
        for prompt in (await client.list_prompts()).prompts:
            wanted = {each.name: "text" for each in prompt.arguments or []}
            await client.get_prompt(prompt.name, wanted)
    if offered.resources is not None:
        for resource in (await client.list_resources()).resources:
            await client.read_resource(resource.uri)


def _calls(schemas: dict[str, dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """The calls that the scenario asks for, or one of each tool."""
    asked = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT", "{}")).get("toolCalls")
    if asked is not None:
        return [(call["name"], call["arguments"]) for call in asked]
    calls = [(name, _filled(schema)) for name, schema in schemas.items()]
    if ECHO in schemas:
        calls.append((ECHO, {"schema": schemas[FOCAL]}))
    return calls


async def _answer(
    _: Any, params: t.ElicitRequestParams
) -> t.ElicitResult | t.ErrorData:  # fmt: skip
    """Accept a form, with its defaults where it has any."""
    if not isinstance(params, t.ElicitRequestFormParams):
        return t.ElicitResult(action="decline")
    return t.ElicitResult(action="accept", content=_filled(params.requested_schema))


def _filled(schema: dict[str, Any]) -> dict[str, Any]:
    """An object that fits."""
    return {
        name: each["default"] if "default" in each else _PLAIN.get(each.get("type", ""), "text")
        for name, each in schema.get("properties", {}).items()
    }


if __name__ == "__main__":
    socket, url, key, mode, server = sys.argv[1:]
    asyncio.run(visit(Daemon(Path(), url=url, socket=socket), key, cast("Mode", mode), server))
