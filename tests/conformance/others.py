"""The fixture's prompts, resources, completions and settings."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import mcp_types as t
from mcp.shared.exceptions import MCPError

from tests.conformance.asking import asked, form
from tests.conformance.content import PNG, STATIC

Said = list[t.ContentBlock] | t.InputRequiredResult
Renderer = Callable[[Any, t.GetPromptRequestParams, dict[str, str]], Awaitable[Said]]


@dataclass(frozen=True)
class Prompt:
    """Its arguments, and what makes the messages of it."""

    arguments: tuple[str, ...]
    render: Renderer

    def described(self, name: str) -> t.Prompt:
        """The prompt as it is listed."""
        takes = [
            t.PromptArgument(name=each, description=each, required=True) for each in self.arguments
        ]
        about = f"Conformance fixture: {name}"
        return t.Prompt(name=name, description=about, arguments=takes or None)


PROMPTS: dict[str, Prompt] = {}


def _prompt(*arguments: str) -> Callable[[Renderer], Renderer]:
    """Registers the function as the prompt of its name."""

    def register(render: Renderer) -> Renderer:
        PROMPTS[render.__name__] = Prompt(arguments, render)
        return render

    return register


def _text(said: str) -> t.TextContent:
    return t.TextContent(type="text", text=said)


@_prompt()
async def test_simple_prompt(ctx: Any, params: Any, args: dict[str, str]) -> Said:
    return [_text("This is a simple prompt for testing.")]


@_prompt("arg1", "arg2")
async def test_prompt_with_arguments(ctx: Any, params: Any, args: dict[str, str]) -> Said:
    pairs = (f"{name}='{args.get(name)}'" for name in ("arg1", "arg2"))
    return [_text("Prompt with arguments: " + ", ".join(pairs))]


@_prompt("resourceUri")
async def test_prompt_with_embedded_resource(ctx: Any, params: Any, args: dict[str, str]) -> Said:
    inner = _body(args["resourceUri"], "text/plain", "Embedded resource content for testing.")
    return [
        t.EmbeddedResource(type="resource", resource=inner),
        _text("Please process the embedded resource above."),
    ]


@_prompt()
async def test_prompt_with_image(ctx: Any, params: Any, args: dict[str, str]) -> Said:
    picture = t.ImageContent(type="image", data=PNG, mime_type="image/png")
    return [picture, _text("Please analyze the image above.")]


@_prompt()
async def test_input_required_result_prompt(ctx: Any, params: Any, args: dict[str, str]) -> Said:
    question = form("What context should the prompt use?", context="string")
    got = await asked(ctx, params, user_context=question)
    if isinstance(got, t.InputRequiredResult):
        return got
    return [_text(f"Context: {got['user_context'].get('content')}")]


async def list_prompts(ctx: Any, params: Any) -> t.ListPromptsResult:
    """All of the table."""
    return t.ListPromptsResult(prompts=[each.described(name) for name, each in PROMPTS.items()])


async def get_prompt(
    ctx: Any, params: t.GetPromptRequestParams
) -> t.GetPromptResult | t.InputRequiredResult:
    """Every part of what the prompt says as a message of the user's."""
    prompt = PROMPTS.get(params.name)
    if prompt is None:
        raise MCPError(t.INVALID_PARAMS, f"Unknown prompt: {params.name}")
    said = await prompt.render(ctx, params, params.arguments or {})
    if isinstance(said, t.InputRequiredResult):
        return said
    return t.GetPromptResult(messages=[t.PromptMessage(role="user", content=c) for c in said])


Contents = t.TextResourceContents | t.BlobResourceContents
TEMPLATE = t.ResourceTemplate(
    name="template",
    description="Fixture template",
    uri_template="test://template/{id}/data",
    mime_type="application/json",
)


def _body(uri: str, mime: str, said: str) -> t.TextResourceContents:
    return t.TextResourceContents(uri=uri, mime_type=mime, text=said)


def _static(found: re.Match[str]) -> Contents:
    uri = found[0]
    mime, said = STATIC[uri]
    if said is not None:
        return _body(uri, mime, said)
    return t.BlobResourceContents(uri=uri, mime_type=mime, blob=PNG)


def _templated(found: re.Match[str]) -> Contents:
    key = found["id"]
    filled = {"id": key, "templateTest": True, "data": f"Data for ID: {key}"}
    return _body(found[0], "application/json", json.dumps(filled))


# What is read, by what its URI looks like.
READERS: dict[str, Callable[[re.Match[str]], Contents]] = {
    "|".join(map(re.escape, STATIC)): _static,
    r"test://template/(?P<id>.*)/data": _templated,
}


async def list_resources(ctx: Any, params: Any) -> t.ListResourcesResult:
    """Those with a fixed URI."""
    listed = []
    for uri, (mime, _) in STATIC.items():
        name = uri.removeprefix("test://")
        listed.append(
            t.Resource(name=name, uri=uri, mime_type=mime, description=f"Fixture {uri}"),
        )
    return t.ListResourcesResult(resources=listed)


async def list_templates(ctx: Any, params: Any) -> t.ListResourceTemplatesResult:
    """The one there is."""
    return t.ListResourceTemplatesResult(resource_templates=[TEMPLATE])


async def read_resource(ctx: Any, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
    """By the first reader whose pattern fits."""
    uri = str(params.uri)
    for pattern, reader in READERS.items():
        if found := re.fullmatch(pattern, uri):
            return t.ReadResourceResult(contents=[reader(found)])
    raise MCPError(t.INVALID_PARAMS, "Resource not found", {"uri": uri})


WORDS = ("paris", "park", "party")


async def complete(ctx: Any, params: t.CompleteRequestParams) -> t.CompleteResult:
    """The words that begin so, for any argument."""
    begun = params.argument.value
    fitting = [word for word in WORDS if word.startswith(begun)]
    found = t.Completion(values=fitting, total=len(fitting), has_more=False)
    return t.CompleteResult(completion=found)


async def _nothing_to_do(ctx: Any, params: Any) -> t.EmptyResult:
    return t.EmptyResult()


subscribe = unsubscribe = set_level = _nothing_to_do
