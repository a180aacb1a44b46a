"""Tool definitions as upstreams list them: the last list received whole, and what it says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw, Struct

MAX_TOOLS = 10_000
BYTES_PER_TOKEN = 4
"""A rule of thumb for JSON in the tokenizers of large models; shown as "about"."""


class Annotations(Struct, rename="camel"):
    """Hints of the specification. A tool that says nothing may write, and may destroy."""

    read_only_hint: bool | None = None
    destructive_hint: bool | None = None
    title: str | None = None


class Definition(Struct, rename="camel"):
    """What is read of a tool; the rest stays in the raw form."""

    name: str
    title: str | None = None
    description: str | None = None
    input_schema: Raw = Raw(b"{}")
    annotations: Annotations | None = None

    @property
    def read_only(self) -> bool:
        """Whether it is annotated as changing nothing."""
        return self.annotations is not None and self.annotations.read_only_hint is True

    @property
    def destructive(self) -> bool:
        """Whether it is annotated as destructive."""
        hints = self.annotations
        return hints is not None and not hints.read_only_hint and hints.destructive_hint is True


class ListResult(Struct, rename="camel"):
    """The part of a `tools/list` result that decides."""

    tools: list[Raw]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Definitions:
    """A whole tool list. `raw` is a JSON array; moments are microseconds."""

    raw: bytes
    listed_at: int
    tools: Mapping[str, Definition]
    tokens: Mapping[str, int]

    @property
    def total_tokens(self) -> int:
        """About what the list costs in a prompt."""
        return sum(self.tokens.values())

    @property
    def destructive(self) -> int:
        """How many tools are annotated as destructive."""
        return sum(tool.destructive for tool in self.tools.values())


_decode_list = msgspec.json.Decoder(ListResult).decode
_decode_tool = msgspec.json.Decoder(Definition).decode
_decode_tools = msgspec.json.Decoder(list[Raw]).decode


def read_page(result: bytes) -> ListResult:
    """One page of `tools/list`.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _decode_list(result)


def read_tool(raw: bytes | Raw) -> Definition:
    """One entry of the list.

    Raises:
        msgspec.DecodeError: it has no name, or a known member has the wrong type.
    """
    return _decode_tool(raw)


def tokens_of(entry: bytes | Raw) -> int:
    """About what a definition costs in a prompt."""
    return -(-len(bytes(entry)) // BYTES_PER_TOKEN)


def from_entries(entries: Iterable[bytes | Raw], listed_at: int) -> Definitions:
    """A list made of entries; an entry that is no tool, or repeats a name, is left out."""
    tools: dict[str, Definition] = {}
    tokens: dict[str, int] = {}
    kept: list[Raw] = []
    for entry in entries:
        try:
            tool = read_tool(entry)
        except msgspec.DecodeError:
            continue
        if tool.name in tools or len(tools) >= MAX_TOOLS:
            continue
        tools[tool.name] = tool
        tokens[tool.name] = tokens_of(entry)
        kept.append(entry if isinstance(entry, Raw) else Raw(entry))
    return Definitions(msgspec.json.encode(kept), listed_at, tools, tokens)


def from_stored(raw: bytes, listed_at: int) -> Definitions:
    """The list as it was stored."""
    return from_entries(_decode_tools(raw), listed_at)
