"""The grammar of grants.

`CONNECTION[/TOOL | /resource:PATTERN | /prompt:PATTERN]` or `self[/CALL]`.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches

from meshd.core.glob import glob_match
from meshd.services.principal import Permissions
from meshd.wire.calls import CALLS
from meshd.wire.errors import BadRequest

ANY = "*"
SELF = "self"
MAX_LENGTH = 300
PREFIXES = {"resource:": "resource", "prompt:": "prompt"}
"""How a grant says that it is about something else than a tool."""


def parse_grant(text: str, resolve: Callable[[str], str]) -> tuple[str, str]:
    """Target and grant of one entry, split at the first `/`; nothing after the name means `*`.

    `resolve` turns the name or id of a connection or virtual MCP into its id.

    Raises:
        BadRequest: it is empty, too long, or holds control characters.
        NotFound: raised by `resolve` where there is none.
    """
    if not text or len(text) > MAX_LENGTH or not text.isprintable():
        raise BadRequest(
            f'"{ascii(text[:60])[1:-1]}" is not a grant',
            facts={
                "grants are": "CONNECTION[/TOOL | /resource:PATTERN | /prompt:PATTERN]"
                " or self[/CALL]"
            },
        )
    target, slash, grant = text.partition("/")
    if slash and (not grant or grant in PREFIXES):
        raise BadRequest(f'"{text}" names nothing after the "{text[-1]}"')
    target = target if target in {ANY, SELF} else resolve(target)
    return target, grant or ANY


def check_new(target: str, grant: str) -> tuple[str, str]:
    """An entry that is to be added: under `self` it has to cover a call that there is.

    Raises:
        BadRequest: it covers none, as after a slip of the pen.
    """
    if target == SELF and not any(glob_match(grant, call.name) for call in CALLS):
        near = get_close_matches(grant, [call.name for call in CALLS], n=3, cutoff=0.5)
        raise BadRequest(
            f'no call is named "{grant}"', facts={"near": " ".join(near)} if near else {}
        )
    return target, grant


def split_grant(grant: str) -> tuple[str, str]:
    """What a grant at a connection is about (`tool`, `resource` or `prompt`), and its pattern."""
    for prefix, kind in PREFIXES.items():
        if grant.startswith(prefix):
            return kind, grant[len(prefix) :]
    return "tool", grant


def show_grants(permissions: Permissions, name_of: Callable[[str], str]) -> list[str]:
    """The entries as an operator would type them."""
    shown = []
    for target, grants in permissions.items():
        label = target if target in {ANY, SELF} else name_of(target)
        shown += [label if grant == ANY else f"{label}/{grant}" for grant in grants]
    return shown


def with_grant(permissions: Permissions, target: str, grant: str) -> dict[str, tuple[str, ...]]:
    """`permissions` and one entry more."""
    grants = permissions.get(target, ())
    return {**permissions, target: grants if grant in grants else (*grants, grant)}


def without_grant(
    permissions: Permissions, target: str, grant: str
) -> dict[str, tuple[str, ...]] | None:
    """`permissions` without exactly that entry; None when it is not there."""
    grants = permissions.get(target, ())
    if grant not in grants:
        return None
    kept = tuple(g for g in grants if g != grant)
    rest = {key: value for key, value in permissions.items() if key != target}
    return {**rest, target: kept} if kept else rest


def without_target(permissions: Permissions, target: str) -> dict[str, tuple[str, ...]]:
    """`permissions` without anything about a target that is gone."""
    return {key: value for key, value in permissions.items() if key != target}


def to_json(permissions: Permissions) -> Mapping[str, list[str]]:
    """The wire form."""
    return {target: list(grants) for target, grants in permissions.items()}
