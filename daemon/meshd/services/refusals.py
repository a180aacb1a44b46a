"""How a refusal is worded: the rule, and the one command that would allow it."""

from shlex import quote

from meshd.services.access import Decision
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.wire.calls.row import Call
from meshd.wire.errors import Denied

MAX_TYPED = 200
"""Characters of a tool's name in a command. Names are the callers' own."""


def fix_for(who: Principal, row: ConnectionRow, decision: Decision) -> str:
    """The command that would allow what was refused."""
    if decision.unapproved is not None:
        return _approve(row, decision.unapproved)
    if decision.grant is None:
        return f"meshctl key edit {who.name} --no-read-only"
    return _allow(who, row, decision.grant)


def _allow(who: Principal, row: ConnectionRow, grant: str) -> str:
    shown = f"{row.name}/{grant}" if grant else row.name
    return f"meshctl key edit {who.name} --allow {quote(shown)}"


def _approve(row: ConnectionRow, tool: str) -> str:
    """Approves a tool; one that cannot be typed is approved with the others."""
    can_be_typed = tool.isprintable() and len(tool) <= MAX_TYPED
    typed = f"{row.name}/{tool}" if can_be_typed else row.name
    return f"meshctl tool approve {quote(typed)}"


def denied(who: Principal, row: ConnectionRow, decision: Decision) -> Denied:
    """The error for one refused tool, resource or prompt."""
    return Denied(decision.rule, next=fix_for(who, row, decision))


def no_grant(who: Principal, row: ConnectionRow) -> Denied:
    """The error where the principal holds no grant at all."""
    return Denied(f'key "{who.name}" holds no grant on "{row.name}"', next=_allow(who, row, ""))


def denied_call(who: Principal, call: Call, decision: Decision) -> Denied:
    """The error for a refused control call."""
    fix = None
    if decision.grant is not None:
        fix = f"meshctl key edit {who.name} --allow self/{decision.grant}"
    elif who.read_only:
        fix = f"meshctl key edit {who.name} --no-read-only"
    return Denied(decision.rule, next=fix, facts={"call": call.name})
