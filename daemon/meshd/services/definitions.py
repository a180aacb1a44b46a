"""Tool definitions as upstreams list them: the last list received whole, and what it says."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec
from msgspec import Raw, Struct

from meshd.services.fingerprint import fingerprint

MAX_TOOLS = 10_000
BYTES_PER_TOKEN = 4
"""A rule of thumb for JSON in the tokenizers of large models; shown as "about"."""


class Annotations(Struct, rename="camel"):
    """Hints of the specification. A tool that says nothing may write, and may destroy."""

    read_only_hint: bool | None = None
    destructive_hint: bool | None = None
    idempotent_hint: bool | None = None
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
    def repeatable(self) -> bool:
        """Whether it is annotated so that a second call does no more than the first."""
        hints = self.annotations
        return hints is not None and (self.read_only or hints.idempotent_hint is True)

    @property
    def destructive(self) -> bool:
        """Whether it is annotated as destructive."""
        hints = self.annotations
        return hints is not None and not hints.read_only_hint and hints.destructive_hint is True


@dataclass(frozen=True, slots=True)
class Definitions:
    """A whole tool list. `raw` is a JSON array; moments are microseconds.

    `entries` are the tools as they came. `rest` is what the answer said besides, and `ttl` for how
    many seconds it holds, where the server says so; neither is stored.
    """

    raw: bytes
    listed_at: int
    tools: Mapping[str, Definition]
    tokens: Mapping[str, int]
    entries: Mapping[str, Raw]
    rest: Mapping[str, Raw] = field(default_factory=dict)
    ttl: float | None = None
    _prints: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def fingerprints(self) -> Mapping[str, str]:
        """What an approval of each tool would be given for; worked out when first wanted."""
        if not self._prints:
            self._prints.update((n, fingerprint(bytes(e))) for n, e in self.entries.items())
        return self._prints

    def again(self, received: "Definitions") -> "Definitions":
        """This list, received once more with the same tools."""
        return replace(self, listed_at=received.listed_at, rest=received.rest, ttl=received.ttl)

    def only(self, names: Container[str]) -> "Definitions":
        """The same list with these tools alone."""
        entries = {name: entry for name, entry in self.entries.items() if name in names}
        return Definitions(
            msgspec.json.encode(list(entries.values())), self.listed_at,
            {name: self.tools[name] for name in entries},
            {name: self.tokens[name] for name in entries},
            entries, self.rest, self.ttl,
        )  # fmt: skip

    @property
    def total_tokens(self) -> int:
        """About what the list costs in a prompt."""
        return sum(self.tokens.values())

    @property
    def destructive(self) -> int:
        """How many tools are annotated as destructive."""
        return sum(tool.destructive for tool in self.tools.values())


_decode_tool = msgspec.json.Decoder(Definition).decode
_decode_tools = msgspec.json.Decoder(list[Raw]).decode


def read_tool(raw: bytes | Raw) -> Definition:
    """One entry of the list.

    Raises:
        msgspec.DecodeError: it has no name, or a known member has the wrong type.
    """
    return _decode_tool(raw)


def tokens_of(entry: bytes | Raw) -> int:
    """About what a definition costs in a prompt."""
    return -(-len(bytes(entry)) // BYTES_PER_TOKEN)


def from_entries(
    entries: Iterable[bytes | Raw],
    listed_at: int,
    *,
    rest: Mapping[str, Raw] | None = None,
    ttl: float | None = None,
) -> Definitions:
    """A list made of entries; an entry that is no tool, or repeats a name, is left out."""
    tools: dict[str, Definition] = {}
    kept: dict[str, Raw] = {}
    for entry in entries:
        try:
            tool = read_tool(entry)
        except msgspec.DecodeError:
            continue
        if tool.name in tools or len(tools) >= MAX_TOOLS:
            continue
        tools[tool.name] = tool
        kept[tool.name] = entry if isinstance(entry, Raw) else Raw(entry)
    tokens = {name: tokens_of(entry) for name, entry in kept.items()}
    raw = msgspec.json.encode(list(kept.values()))
    return Definitions(raw, listed_at, tools, tokens, kept, rest or {}, ttl)


def from_stored(raw: bytes, listed_at: int) -> Definitions:
    """The list as it was stored."""
    return from_entries(_decode_tools(raw), listed_at)
