"""Calls about keys."""

from meshd.wire import key as k
from meshd.wire.calls.row import Call
from meshd.wire.connection import Removed
from meshd.wire.empty import Nothing

LIST = Call("key.list", "GET", "/v1/keys", Nothing, list[k.Key], "org", "List keys.")
SHOW = Call("key.show", "GET", "/v1/keys/{key}", k.KeyRef, k.Key, "org", "Show one key.")
ADD = Call(
    "key.add",
    "POST",
    "/v1/keys",
    k.KeyAdd,
    k.KeyAdded,
    "org",
    "Issue a key; its secret is shown once.",
    secret=True,
)
EDIT = Call(
    "key.edit", "PATCH", "/v1/keys/{key}", k.KeyEdit, k.Key, "org", "Change what a key may do."
)
ROTATE = Call(
    "key.rotate",
    "POST",
    "/v1/keys/{key}/rotate",
    k.KeyRef,
    k.KeyAdded,
    "org",
    "Give a key a new secret; the one before stops at once.",
    secret=True,
    destroys=True,
)
REVOKE = Call(
    "key.revoke", "DELETE", "/v1/keys/{key}", k.KeyRef, Removed, "org", "Revoke a key at once."
)

CALLS = (LIST, SHOW, ADD, EDIT, ROTATE, REVOKE)
