"""Protocol revisions, and which era they belong to.

Handshake era: a session starts with `initialize`. Stateless era (2026-07-28 on): every request
carries its own version and capabilities. Source: the MCP specification's revision pages.
"""

from typing import Literal

Era = Literal["handshake", "stateless"]

HANDSHAKE = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
LATEST_HANDSHAKE = HANDSHAKE[-1]
STATELESS = ("2026-07-28",)
LATEST_STATELESS = STATELESS[-1]
DEFAULT = "2025-03-26"
"""What a request without `MCP-Protocol-Version` speaks (2025-06-18, Transports)."""


def negotiate(asked: str | None) -> str:
    """The version an `initialize` is answered with: the asked one, or our newest of that era."""
    return asked if asked in HANDSHAKE else LATEST_HANDSHAKE


def era_of(version: str) -> Era:
    """The era of a revision that is known."""
    return "stateless" if version in STATELESS else "handshake"
