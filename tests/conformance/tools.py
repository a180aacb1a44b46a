"""The fixture's tools, by the names that the scenarios look for."""

import asyncio
import json
from typing import Any

import mcp_types as t
from mcp.server.subscriptions import InMemorySubscriptionBus, PromptsListChanged, ToolsListChanged
from mcp.shared.exceptions import MCPError

from tests.conformance.asking import (
    asked,
    form,
    form_of,
    given,
    is_modern,
    sample,
    seal,
    unseal,
    wanting,
)
from tests.conformance.content import DEFAULTS_FORM, ENUM_FORM, PNG, TOOL_SCHEMAS, WAV

Result = t.CallToolResult | t.InputRequiredResult
MRTR = "test_input_required_result_"
NAME_FORM = form("What is your name?", name="string")
CAPITAL = sample("What is the capital of France?")
PERSON = {
    "type": "object",
    "properties": {"username": {"type": "string"}, "email": {"type": "string"}},
    "required": ["username", "email"],
}


def text(said: str, *, error: bool = False) -> t.CallToolResult:
    """A result of one text."""
    return t.CallToolResult(content=[t.TextContent(type="text", text=said)], is_error=error)


class Tools:
    """Lists and calls them; `bus` carries what changed to who listens."""

    def __init__(self, bus: InMemorySubscriptionBus) -> None:
        self._bus = bus

    async def list(self, ctx: Any, params: Any) -> t.ListToolsResult:
        tools = [
            t.Tool(name=name, description=f"Conformance fixture: {name}", input_schema=schema)
            for name, schema in TOOL_SCHEMAS.items()
        ]
        return t.ListToolsResult(tools=tools, ttl_ms=60_000, cache_scope="public")

    async def call(self, ctx: Any, params: t.CallToolRequestParams) -> Result:
        tool = getattr(self, params.name, None) if params.name.startswith("test_") else None
        if params.name == "json_schema_2020_12_tool":
            tool = self.test_custom_headers
        if tool is None:
            raise MCPError(t.INVALID_PARAMS, f"Unknown tool: {params.name}")
        result: Result = await tool(ctx, params)
        return result

    async def test_simple_text(self, ctx: Any, params: Any) -> Result:
        return text("This is a simple text response for testing.")

    async def test_image_content(self, ctx: Any, params: Any) -> Result:
        return t.CallToolResult(content=[_image()])

    async def test_audio_content(self, ctx: Any, params: Any) -> Result:
        audio = t.AudioContent(type="audio", data=WAV, mime_type="audio/wav")
        return t.CallToolResult(content=[audio])

    async def test_embedded_resource(self, ctx: Any, params: Any) -> Result:
        return t.CallToolResult(
            content=[
                _embedded(
                    "test://embedded-resource",
                    "text/plain",
                    "This is an embedded resource content.",
                )
            ]
        )

    async def test_multiple_content_types(self, ctx: Any, params: Any) -> Result:
        intro = t.TextContent(type="text", text="Multiple content types test:")
        mixed = _embedded(
            "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
        )
        return t.CallToolResult(content=[intro, _image(), mixed])

    async def test_tool_with_logging(self, ctx: Any, params: Any) -> Result:
        for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.session.send_log_message("info", line, related_request_id=ctx.request_id)
            await asyncio.sleep(0.05)
        return text("Tool with logging executed")

    test_logging_tool = test_tool_with_logging

    async def test_tool_with_progress(self, ctx: Any, params: Any) -> Result:
        for done in (0, 50, 100):
            await ctx.session.report_progress(done, 100, f"step {done}")
            await asyncio.sleep(0.05)
        return text(f"token={(ctx.meta or {}).get('progress_token')}")

    async def test_error_handling(self, ctx: Any, params: Any) -> Result:
        return text("This tool intentionally returns an error for testing", error=True)

    async def test_reconnection(self, ctx: Any, params: Any) -> Result:
        await asyncio.sleep(0.1)
        if ctx.close_sse_stream:
            await ctx.close_sse_stream()
            await asyncio.sleep(0.1)
        return text("Reconnection test completed")

    async def test_sampling(self, ctx: Any, params: Any) -> Result:
        prompt = sample((params.arguments or {}).get("prompt", ""))
        got = await asked(ctx, params, answer=prompt)
        if isinstance(got, t.InputRequiredResult):
            return got
        content: Any = got["answer"].get("content")
        return text(f"LLM response: {content.get('text', '')}")

    async def test_elicitation(self, ctx: Any, params: Any) -> Result:
        message = (params.arguments or {}).get("message", "")
        return await _elicited(ctx, params, message, PERSON, "User response")

    async def test_elicitation_sep1034_defaults(self, ctx: Any, params: Any) -> Result:
        wanted = "Please review the defaults"
        return await _elicited(ctx, params, wanted, DEFAULTS_FORM, "Elicitation completed")

    async def test_elicitation_sep1330_enums(self, ctx: Any, params: Any) -> Result:
        return await _elicited(ctx, params, "Please choose", ENUM_FORM, "Elicitation completed")

    async def test_custom_headers(self, ctx: Any, params: Any) -> Result:
        return text(json.dumps(params.arguments or {}))

    async def test_missing_capability(self, ctx: Any, params: Any) -> Result:
        if _capabilities(ctx).sampling is None:
            raise MCPError(
                t.MISSING_REQUIRED_CLIENT_CAPABILITY,
                "This tool needs the sampling capability",
                {"requiredCapabilities": {"sampling": {}}},
            )
        return text("sampling is available")

    async def test_streaming_elicitation(self, ctx: Any, params: Any) -> Result:
        got = await asked(ctx, params, user_name=NAME_FORM)
        return got if isinstance(got, t.InputRequiredResult) else text("done")

    async def test_trigger_tool_change(self, ctx: Any, params: Any) -> Result:
        await self._bus.publish(ToolsListChanged())
        return text("tools/list_changed published")

    async def test_trigger_prompt_change(self, ctx: Any, params: Any) -> Result:
        await self._bus.publish(PromptsListChanged())
        return text("prompts/list_changed published")

    async def test_input_required_result_elicitation(self, ctx: Any, params: Any) -> Result:
        got = await asked(ctx, params, user_name=NAME_FORM)
        if isinstance(got, t.InputRequiredResult):
            return got
        name = (got["user_name"].get("content") or {}).get("name")
        return text(f"Hello, {name}!") if isinstance(name, str) else wanting(user_name=NAME_FORM)

    async def test_input_required_result_sampling(self, ctx: Any, params: Any) -> Result:
        got = await asked(ctx, params, capital_question=CAPITAL)
        if isinstance(got, t.InputRequiredResult):
            return got
        return text(f"LLM said: {got['capital_question']['content']}")

    async def test_input_required_result_list_roots(self, ctx: Any, params: Any) -> Result:
        got = await asked(ctx, params, client_roots=t.ListRootsRequest())
        if isinstance(got, t.InputRequiredResult):
            return got
        return text(f"Roots: {got['client_roots'].get('roots')}")

    async def test_input_required_result_request_state(self, ctx: Any, params: Any) -> Result:
        confirm = form("Please confirm", ok="boolean")
        if is_modern(ctx):
            state = unseal(params.request_state) if params.request_state else None
            if not state or "confirm" not in given(params):
                return wanting(seal({"tool": params.name}), confirm=confirm)
        else:
            await asked(ctx, params, confirm=confirm)
        return text("state-ok")

    test_input_required_result_tampered_state = test_input_required_result_request_state

    async def test_input_required_result_multiple_inputs(self, ctx: Any, params: Any) -> Result:
        requests = {
            "user_name": NAME_FORM,
            "greeting": sample("Generate a greeting", 50),
            "client_roots": t.ListRootsRequest(),
        }
        if is_modern(ctx):
            if not params.request_state or not requests.keys() <= given(params).keys():
                return wanting(seal({"tool": params.name}), **requests)
            unseal(params.request_state)
        else:
            await asked(ctx, params, **requests)
        return text("all inputs received")

    async def test_input_required_result_multi_round(self, ctx: Any, params: Any) -> Result:
        first = form("Step 1: What is your name?", name="string")
        second = form("Step 2: What is your favorite color?", color="string")
        if not is_modern(ctx):
            await asked(ctx, params, step1=first)
            await asked(ctx, params, step2=second)
            return text("multi-round complete")
        got = given(params)
        step = unseal(params.request_state).get("step", 1) if params.request_state else 0
        if step >= 2 and "step2" in got:
            return text("multi-round complete")
        if step >= 1 and "step1" in got:
            return wanting(seal({"step": 2}), step2=second)
        return wanting(seal({"step": 1}), step1=first)

    async def test_input_required_result_capabilities(self, ctx: Any, params: Any) -> Result:
        have = _capabilities(ctx)
        wanted: dict[str, Any] = {}
        if have.elicitation is not None:
            wanted["user_name"] = NAME_FORM
        if have.sampling is not None:
            wanted["capital_question"] = CAPITAL
        if have.roots is not None:
            wanted["client_roots"] = t.ListRootsRequest()
        if not wanted:
            return text("no client capability to use")
        if is_modern(ctx):
            return text("capabilities respected") if given(params) else wanting(**wanted)
        await asked(ctx, params, **wanted)
        return text("capabilities respected")


async def _elicited(
    ctx: Any, params: Any, message: str, schema: dict[str, Any], prefix: str
) -> Result:
    got = await asked(ctx, params, answer=form_of(message, schema))
    if isinstance(got, t.InputRequiredResult):
        return got
    answer = got["answer"]
    said = json.dumps(answer.get("content"))
    return text(f"{prefix}: action={answer.get('action')}, content={said}")


def _capabilities(ctx: Any) -> t.ClientCapabilities:
    declared: t.ClientCapabilities | None = ctx.session.client_capabilities
    return declared or t.ClientCapabilities()


def _image() -> t.ImageContent:
    return t.ImageContent(type="image", data=PNG, mime_type="image/png")


def _embedded(uri: str, mime: str, said: str) -> t.EmbeddedResource:
    return t.EmbeddedResource(
        type="resource", resource=t.TextResourceContents(uri=uri, mime_type=mime, text=said)
    )
