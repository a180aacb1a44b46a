"""Names of connections and keys: what is legal, and what is kept for the product itself."""

import re

from meshd.wire.errors import BadRequest

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
RESERVED = frozenset(
    {"self", "sse", "well-known", "mcp", "call-tool", "events", "hooks", "auth", "health", "ready"},
)
"""Words that stand in URL paths and in grants."""


def check_name(text: str, kind: str) -> str:
    """The case-folded name.

    Raises:
        BadRequest: it is not `[a-z0-9][a-z0-9-]{0,39}`, or it is reserved.
    """
    name = text.casefold()
    if not NAME.fullmatch(name):
        raise BadRequest(
            f'"{_visible(text)}" is not a name for a {kind}',
            facts={"names are": "1 to 40 of a-z, 0-9 and -, not starting with -"},
        )
    if name in RESERVED:
        raise BadRequest(
            f'"{name}" is a reserved word', facts={"reserved": " ".join(sorted(RESERVED))}
        )
    return name


def _visible(text: str) -> str:
    return ascii(text[:60])[1:-1]
