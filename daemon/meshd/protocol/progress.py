"""Progress tokens: ours instead of the caller's on the way in, the caller's again on the way out.

Callers that share a server may choose equal tokens; ours tell them apart. Everything but the token
keeps its bytes. Source: MCP 2025-11-25, basic/utilities/progress.
"""

import msgspec

from meshd.protocol.jsonrpc import Message

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAME = "progressToken"


def swap_token(params: bytes, ours: bytes) -> tuple[bytes, bytes | None]:
    """`params` with `ours` as the progress token, and the token it replaces.

    Without a token `params` comes back as it is, with None. Tokens are JSON.
    """
    # A name can hide behind \u escapes, so a backslash-u is reason enough to look.
    if b"progressToken" not in params and b"\\u" not in params:
        return params, None
    try:
        members = _members.decode(params)
        meta = _members.decode(members["_meta"])
        theirs = bytes(meta[_NAME])
    except (KeyError, msgspec.DecodeError):
        return params, None
    meta[_NAME] = msgspec.Raw(ours)
    members["_meta"] = msgspec.Raw(msgspec.json.encode(meta))
    return msgspec.json.encode(members), theirs


def token_of(message: Message) -> bytes | None:
    """The token of a `notifications/progress`, as JSON; None when it has none."""
    try:
        return bytes(_members.decode(message.params)[_NAME])
    except (KeyError, msgspec.DecodeError):
        return None


def restore_token(line: bytes, theirs: bytes) -> bytes:
    """The `notifications/progress` in `line` with the token `theirs`."""
    members = _members.decode(line)
    params = _members.decode(members["params"])
    params[_NAME] = msgspec.Raw(theirs)
    members["params"] = msgspec.Raw(msgspec.json.encode(params))
    return msgspec.json.encode(members)
