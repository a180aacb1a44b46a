"""Progress tokens: ours instead of the caller's on the way in, the caller's again on the way out.

Callers that share a server may choose equal tokens; ours tell them apart. A call bears one also
where its caller has none: then the server says that it works on it. Everything but the token keeps
its bytes. Source: MCP 2025-11-25, basic/utilities/progress.
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


def own_token(params: bytes, ours: bytes) -> tuple[bytes, bytes | None]:
    """As `swap_token`; but where there is no token to replace, ours is put in all the same."""
    swapped, theirs = swap_token(params, ours)
    if theirs is not None or not params.startswith(b"{"):
        return swapped, theirs
    if b"_meta" not in params and b"\\u" not in params:
        rest = params[1:].lstrip()
        comma = b"" if rest.startswith(b"}") else b","
        return b'{"_meta":{"progressToken":%b}%b%b' % (ours, comma, rest), None
    try:
        members = _members.decode(params)
        meta = _members.decode(members.get("_meta", b"{}"))
    except msgspec.DecodeError:
        return params, None
    meta[_NAME] = msgspec.Raw(ours)
    members["_meta"] = msgspec.Raw(msgspec.json.encode(meta))
    return msgspec.json.encode(members), None


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
