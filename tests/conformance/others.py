"""The fixture's prompts, resources, completions and settings."""

import json
from typing import Any

import mcp_types as t
from mcp.shared.exceptions import MCPError

from tests.conformance.asking import asked, form
from tests.conformance.content import PNG, STATIC

PROMPTS: dict[str, list[str]] = {
    "test_simple_prompt": [],
    "test_prompt_with_arguments": ["arg1", "arg2"],
    "test_prompt_with_embedded_resource": ["resourceUri"],
    "test_prompt_with_image": [],
    "test_input_required_result_prompt": [],
}


async def list_prompts(ctx: Any, params: Any) -> t.ListPromptsResult:
    out = [
        t.Prompt(
            name=n,
            description=f"Conformance fixture: {n}",
            arguments=[t.PromptArgument(name=a, description=a, required=True) for a in args]
            or None,
        )
        for n, args in PROMPTS.items()
    ]
    return t.ListPromptsResult(prompts=out)


async def get_prompt(
    ctx: Any, params: t.GetPromptRequestParams
) -> t.GetPromptResult | t.InputRequiredResult:
    args = params.arguments or {}

    def user(content: Any) -> t.PromptMessage:
        return t.PromptMessage(
            role="user",
            content=t.TextContent(type="text", text=content)
            if isinstance(content, str)
            else content,
        )

    match params.name:
        case "test_simple_prompt":
            messages = [user("This is a simple prompt for testing.")]
        case "test_prompt_with_arguments":
            messages = [
                user(f"Prompt with arguments: arg1='{args.get('arg1')}', arg2='{args.get('arg2')}'")
            ]
        case "test_prompt_with_embedded_resource":
            res = t.TextResourceContents(
                uri=args["resourceUri"],
                mime_type="text/plain",
                text="Embedded resource content for testing.",
            )
            messages = [
                user(t.EmbeddedResource(type="resource", resource=res)),
                user("Please process the embedded resource above."),
            ]
        case "test_prompt_with_image":
            messages = [
                user(t.ImageContent(type="image", data=PNG, mime_type="image/png")),
                user("Please analyze the image above."),
            ]
        case "test_input_required_result_prompt":
            question = form("What context should the prompt use?", context="string")
            got = await asked(ctx, params, user_context=question)
            if isinstance(got, t.InputRequiredResult):
                return got
            messages = [user(f"Context: {got['user_context'].get('content')}")]
        case _:
            raise MCPError(t.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    return t.GetPromptResult(messages=messages)


async def list_resources(ctx: Any, params: Any) -> t.ListResourcesResult:
    out = [
        t.Resource(uri=u, name=u.partition("//")[2], description=f"Fixture {u}", mime_type=m)
        for u, (m, _) in STATIC.items()
    ]
    return t.ListResourcesResult(resources=out)


async def list_templates(ctx: Any, params: Any) -> t.ListResourceTemplatesResult:
    tpl = t.ResourceTemplate(
        uri_template="test://template/{id}/data",
        name="template",
        description="Fixture template",
        mime_type="application/json",
    )
    return t.ListResourceTemplatesResult(resource_templates=[tpl])


async def read_resource(ctx: Any, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
    uri = str(params.uri)
    if uri in STATIC:
        mime, body = STATIC[uri]
        if body is None:
            return t.ReadResourceResult(
                contents=[t.BlobResourceContents(uri=uri, mime_type=mime, blob=PNG)]
            )
        return t.ReadResourceResult(
            contents=[t.TextResourceContents(uri=uri, mime_type=mime, text=body)]
        )
    if uri.startswith("test://template/") and uri.endswith("/data"):
        key = uri.removeprefix("test://template/").removesuffix("/data")
        body = json.dumps({"id": key, "templateTest": True, "data": f"Data for ID: {key}"})
        return t.ReadResourceResult(
            contents=[t.TextResourceContents(uri=uri, mime_type="application/json", text=body)]
        )
    raise MCPError(t.INVALID_PARAMS, "Resource not found", {"uri": uri})


async def subscribe(ctx: Any, params: t.SubscribeRequestParams) -> t.EmptyResult:
    return t.EmptyResult()


async def unsubscribe(ctx: Any, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
    return t.EmptyResult()


async def complete(ctx: Any, params: t.CompleteRequestParams) -> t.CompleteResult:
    values = [v for v in ("paris", "park", "party") if v.startswith(params.argument.value)]
    return t.CompleteResult(
        completion=t.Completion(values=values, total=len(values), has_more=False)
    )


async def set_level(ctx: Any, params: t.SetLevelRequestParams) -> t.EmptyResult:
    return t.EmptyResult()
