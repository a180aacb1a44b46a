"""What belongs to an org, and which queries may reach over all of them. No database here.

A statement on an org's table names the org as `:org_id`, or stands on the list below with its
reason. Anything else is refused when the queries are read, so a forgotten filter never runs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from meshd.store.db import StoreError

Reach = Literal["instance", "org", "every"]
"""`instance`: nothing that an org owns. `org`: one org, named. `every`: all orgs, with a reason."""

ORG_TABLES = frozenset(
    {
        "approvals",
        "calls",
        "connections",
        "credentials",
        "data_keys",
        "definitions",
        "deliveries",
        "delivery_attempts",
        "events",
        "keys",
        "schedule_fires",
        "schedules",
        "subscriptions",
        "virtual_children",
        "virtual_names",
        "virtuals",
        "webhooks",
    }
)
"""The tables with a column `org_id`."""

EVERY_ORG: Mapping[str, str] = {
    "approval.all": "the snapshot holds what is approved beside the connections",
    "connection.all": "the snapshot that decides holds every org",
    "credential.all": "the snapshot holds the sealed values beside their connections",
    "definitions.all": "read once at start, into a cache by connection",
    "key.all": "a key says which org it is of, so it is looked up before the org is known",
    "credential.count": "the vault's report counts what each org has sealed",
    "data_key.all": "the vault opens what belongs to any org",
    "data_key.wrapped": "a report on the whole database",
    "event.sweep": "retention is a setting of the instance",
    "call.sweep": "retention is a setting of the instance",
    "subscription.all": "the snapshot that decides holds every org",
    "delivery.due": "one dispatcher serves every org",
    "delivery.waiting": "metrics tell of the whole instance",
    "delivery.orphans": "what a killed daemon had, for whomever",
    "delivery.overdue": "retention is a setting of the instance",
    "delivery.sweep": "retention is a setting of the instance",
    "delivery.sweep_attempts": "retention is a setting of the instance",
    "virtual.all": "the snapshot that decides holds every org",
    "virtual.names": "read once at start, into a cache by virtual MCP",
    "virtual.children": "the snapshot that decides holds every org",
    "schedule.soonest": "one scheduler serves every org",
    "schedule.due": "one scheduler serves every org",
    "schedule.sweep": "retention is a setting of the instance",
    "webhook.all": "the snapshot that decides holds every org",
    "call.orgs": "finds records that outlived their org",
}
"""Queries on an org's tables that name no org, and why."""

_WORD = re.compile(r"\w+")


def reach(name: str, bare: str, params: Sequence[str]) -> Reach:
    """How far a query reaches; `bare` is its text without literals and comments.

    Raises:
        StoreError: it reads or writes what orgs own, names no org and is not on the list.
    """
    if "org_id" in params:
        return "org"
    if not ORG_TABLES.intersection(_WORD.findall(bare)):
        return "instance"
    if name not in EVERY_ORG:
        raise StoreError(f"{name}: it reaches over all orgs; bind :org_id")
    return "every"
