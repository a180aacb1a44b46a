"""Principals for tables: nothing in them but what a test says."""

from typing import Any

from meshd.services.principal import Principal


def key_principal(permissions: dict[str, list[str]] | None = None, **more: Any) -> Principal:
    """A key called `laptop` of the instance admin."""
    given = {
        "id": "key_laptop", "name": "laptop", "kind": "key", "org": "org_a", "owner": "usr_ada",
        "instance_admin": True, **more,
    }  # fmt: skip
    held = {target: tuple(grants) for target, grants in (permissions or {}).items()}
    return Principal(permissions=held, **given)


def local_principal() -> Principal:
    """The person at the socket."""
    return key_principal({"*": ["*"], "self": ["*"]}, kind="local", name="ada")
