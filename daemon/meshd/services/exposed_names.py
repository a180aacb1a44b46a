"""Names under which a virtual MCP shows what its children have. Pure.

A name is made from the child's and the thing's own; it is looked up, and never taken apart again.
"""

import hashlib

MAX_NAME = 64
"""Characters of an exposed name: what the APIs of large models take."""
_HASH = 8


def prefixed(child: str, name: str) -> str:
    """`{child}_{name}`, cut where it is too long."""
    return fitting(f"{child}_{name}")


def fitting(name: str) -> str:
    """The name itself, or its beginning and eight hex digits of the hash of all of it."""
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:_HASH]
    return f"{name[: MAX_NAME - _HASH - 1]}_{digest}"
