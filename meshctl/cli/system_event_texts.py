"""The system events as help shows them: made of the table that the daemon publishes by."""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING

from meshd.wire.system_events import BY, ROWS, SYSTEM_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshd.wire.system_event import Field

INTRO = """\
The daemon publishes what happens to itself and to what it keeps as events mesh.*, in the org that
it concerns; nobody else can publish such. Each is stored with the change that it tells of, or not
at all, and none holds a secret. They are followed and subscribed to like any other.

  meshctl tail-events --filter 'type=mesh.connection.*'
  meshctl subscription add --type mesh.delivery.dead --webhook https://hooks.example/alert
  meshctl subscription add --type mesh.key.expiring --call chat/post \\
      --args '{"text": "{{ event.data.name }} ends at {{ event.data.expires_at }}"}'
"""

WIDE = 100
"""Characters of a line."""

DEAD = SYSTEM_EVENTS["delivery.dead"]


def entries() -> Iterator[tuple[str, list[str]]]:
    """Each type with lines about it: when it is published, its subject, and each field."""
    for row in ROWS:
        fields = [_field(one) for one in row.fields]
        yield row.type, [row.when, f"subject: {row.subject}", *fields]


def example() -> str:
    """One whole event as JSON."""
    event = {
        "specversion": "1.0", "id": "evt_1", "source": "/orgs/org_1", "type": DEAD.type,
        "subject": "sub_1", "time": "2030-01-31T12:00:00.000000Z",
        "datacontenttype": "application/json",
        "data": {**DEAD.example, "by": {"id": "meshd", "name": "meshd"}}, "meshseq": 42,
    }  # fmt: skip
    return json.dumps(event, indent=2)


def topic() -> str:
    """The help topic."""
    lines = [INTRO, *wrap(f"The data of each also has by: {BY}.", WIDE)]
    for name, about in entries():
        lines += ["", name, *(part for line in about for part in _wrapped(line))]
    lines += ["", "One of them whole:", "", example()]
    return "\n".join(lines)


def _wrapped(line: str) -> list[str]:
    return wrap(line, WIDE, initial_indent="  ", subsequent_indent="    ")


def _field(one: Field) -> str:
    often = "" if one.always else ", or not there"
    return f"{one.name} ({one.shape}{often}): {one.about}"
