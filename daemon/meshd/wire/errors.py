"""Every error the product can show: code, HTTP status, exit code, sentence, next step.

Raised by the daemon, sent as `{"error": {...}}`, raised again by the client, printed by the CLI.
Only the standard library is imported here, so that the fast commands can use it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self


class MeshError(Exception):
    """Something failed."""

    code: ClassVar[str] = "failed"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str | None = None,
        *,
        next: str | None = None,  # noqa: A002 - the printed word is "next:"
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Take the sentence, a runnable next step, and facts shown indented below the sentence."""
        self.message = message or (type(self).__doc__ or "").split("\n", 1)[0].rstrip(".")
        self.next = next
        self.facts: dict[str, str] = dict(facts or {})
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The JSON form that crosses the socket."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.facts:
            error["facts"] = self.facts
        if self.next:
            error["next"] = self.next
        return {"error": error}


class Internal(MeshError):
    """The daemon failed; its log has the details."""

    code = "internal"


class BadRequest(MeshError):
    """The request is not valid."""

    code, status, exit_code = "bad_request", 400, 2


class Unauthenticated(MeshError):
    """A valid key is needed."""

    code, status, exit_code = "unauthenticated", 401, 4


class Denied(MeshError):
    """Not allowed."""

    code, status, exit_code = "denied", 403, 4


class NotFound(MeshError):
    """No such thing."""

    code, status, exit_code = "not_found", 404, 5


class MethodNotAllowed(MeshError):
    """This path does not take that method."""

    code, status, exit_code = "method_not_allowed", 405, 2


class TooSlow(MeshError):
    """The request did not arrive in time."""

    code, status, exit_code = "too_slow", 408, 8


class Conflict(MeshError):
    """It exists already, or changed meanwhile."""

    code, status, exit_code = "conflict", 409, 6


class Unconfirmed(Conflict):
    """This replaces something, and nobody agreed to that."""

    code = "unconfirmed"


class TooLarge(MeshError):
    """The request is too large."""

    code, status, exit_code = "too_large", 413, 2


class TooMany(MeshError):
    """Too much of it is open already."""

    code, status, exit_code = "too_many", 429, 8


class HeadTooLarge(MeshError):
    """The head of the request is too large."""

    code, status, exit_code = "head_too_large", 431, 2


class UnsupportedMedia(MeshError):
    """The body must be application/json."""

    code, status, exit_code = "unsupported_media", 415, 2


class WrongHost(MeshError):
    """This daemon does not answer for that Host."""

    code, status, exit_code = "wrong_host", 421, 2


class RateLimited(MeshError):
    """Too many calls; wait a moment."""

    code, status, exit_code = "rate_limited", 429, 8


class UpstreamFailed(MeshError):
    """The MCP server behind this connection failed."""

    code, status, exit_code = "upstream_failed", 502, 7

    lost = False
    """Whether the way to it broke, so that another try may find it there again."""
    sent = True
    """Whether it may have got the request, and done what was asked."""

    @classmethod
    def gone(
        cls,
        message: str,
        *,
        sent: bool = True,
        next: str | None = None,  # noqa: A002 - the printed word is "next:"
        facts: Mapping[str, str] | None = None,
    ) -> Self:
        """The failure of a server to which the way broke."""
        made = cls(message, next=next, facts=facts)
        made.lost, made.sent = True, sent
        return made


class NeedsLogin(UpstreamFailed):
    """The MCP server asks for other credentials."""

    code = "needs_login"


class UpstreamRefused(UpstreamFailed):
    """The MCP server refused the request, as one for a tool that it does not have."""

    code, status = "upstream_refused", 422


class Unanswered(MeshError):
    """What the MCP server asked in the middle of the call was not answered."""

    code, status = "unanswered", 422


class UpstreamTimeout(MeshError):
    """The MCP server did not answer in time."""

    code, status, exit_code = "upstream_timeout", 504, 8


class Unavailable(MeshError):
    """The daemon cannot do this right now."""

    code, status, exit_code = "unavailable", 503, 8


class StorageFull(MeshError):
    """The disk is nearly full, so nothing more is taken."""

    code, status, exit_code = "storage_full", 507, 8


class Locked(MeshError):
    """The vault is locked: its master key is missing or wrong."""

    code, status, exit_code = "locked", 503, 8


class DaemonDown(MeshError):
    """meshd is not running."""

    code, status, exit_code = "daemon_down", 503, 3


class Usage(MeshError):
    """The command line is not valid."""

    code, status, exit_code = "usage", 400, 2


KINDS: Mapping[str, type[MeshError]] = {
    kind.code: kind
    for kind in (
        MeshError, Internal, BadRequest, Unauthenticated, Denied, NotFound, MethodNotAllowed,
        TooSlow, Conflict, Unconfirmed, TooLarge, TooMany, HeadTooLarge, UnsupportedMedia,
        WrongHost, RateLimited, UpstreamFailed, NeedsLogin, UpstreamRefused, Unanswered,
        UpstreamTimeout, Unavailable, StorageFull, Locked, DaemonDown, Usage,
    )
}  # fmt: skip
"""Every kind by its code."""

EXIT_CODES: Mapping[int, str] = {
    0: "done",
    1: "failed, or a tool answered with an error",
    2: "wrong use or not valid input",
    3: "the daemon is not running",
    4: "not signed in or not allowed",
    5: "not found",
    6: "conflict",
    7: "the MCP server behind a connection failed",
    8: "timed out or still pending",
    130: "interrupted",
}
"""What each exit code of the command line means."""


def from_body(body: Any, status: int) -> MeshError:
    """Build the error a response body describes; a foreign body becomes a plain `MeshError`."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return MeshError(f"the daemon answered HTTP {status} without an explanation")
    kind = KINDS.get(str(error.get("code")), MeshError)
    facts = error.get("facts")
    return kind(
        str(error.get("message", "")) or None,
        next=error.get("next"),
        facts=facts if isinstance(facts, dict) else None,
    )
