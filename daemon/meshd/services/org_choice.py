"""In which org a request is made: what it names, set against where its principal belongs. Pure.

A key belongs to one org, and naming another is answered as an unknown name is. The local owner is
owner of every org, and says which one as soon as there are several.
"""

from dataclasses import replace

from meshd.services.directory import View
from meshd.services.principal import Principal
from meshd.wire.errors import BadRequest, NotFound

_SHOWN = 20
"""Names that an error lists."""


def in_org(view: View, who: Principal, named: str | None) -> Principal:
    """The principal in the org of the request; `named` is its `Meshctl-Org` header.

    Raises:
        NotFound: there is no such org, or not for this principal.
        BadRequest: several orgs are there and none is named.
    """
    if named is None:
        mine = tuple(visible(view, who))
        if len(mine) > 1:
            raise BadRequest(
                "say in which org", facts=_names(view, who), next="meshctl org use NAME"
            )
        org = next(iter(mine), who.org)
    else:
        org = find_org(view, who, named)
    return who if org == who.org else replace(who, org=org)


def visible(view: View, who: Principal) -> dict[str, str]:
    """The orgs that a principal may know of: id to name, the oldest first."""
    if who.kind == "local":
        return dict(view.orgs)
    return {who.org: view.orgs[who.org]} if who.org in view.orgs else {}


def find_org(view: View, who: Principal, name: str) -> str:
    """The id of an org by name or id, among those that the principal may know of.

    Raises:
        NotFound: there is none.
    """
    mine, folded = visible(view, who), name.casefold()
    for org, its_name in mine.items():
        if name == org or folded == its_name:
            return org
    first = next(iter(mine.values()), None)
    raise NotFound(
        f'there is no org "{ascii(name[:60])[1:-1]}"',
        facts=_names(view, who),
        next=f"meshctl org use {first}" if first else None,
    )


def _names(view: View, who: Principal) -> dict[str, str]:
    names = list(visible(view, who).values())
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return {"orgs": " ".join(names[:_SHOWN]) + more}
