"""Grants end with what they are about."""

import json

from meshd.services.directory import View
from meshd.services.grants import to_json, without_target
from meshd.store.db import Step


def without_grants_on(view: View, org: str, target: str) -> list[Step]:
    """The steps that take every grant on a connection or virtual MCP from the keys of its org."""
    steps = []
    for key in view.keys.values():
        who = key.principal
        if target in who.permissions:
            left = json.dumps(to_json(without_target(who.permissions, target)))
            edited = {
                "id": who.id, "org_id": org, "name": who.name, "role": who.role,
                "expires_at": who.expires_at, "read_only": int(who.read_only),
                "permissions": left, "edition": key.edition,
            }  # fmt: skip
            steps.append(Step("key.edit", edited, expect=1))
    return steps
