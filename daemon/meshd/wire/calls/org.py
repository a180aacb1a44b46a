"""Calls about orgs. They name the org they are about, so they need none to be asked in."""

from meshd.wire import org as o
from meshd.wire.calls.row import Call
from meshd.wire.connection import Removed
from meshd.wire.empty import Nothing

LIST = Call(
    "org.list", "GET", "/v1/orgs", Nothing, list[o.Org], "own", "List one's orgs.", in_org=False
)
SHOW = Call(
    "org.show", "GET", "/v1/orgs/{org}", o.OrgRef, o.Org, "own", "Show one org.", in_org=False
)
CREATE = Call(
    "org.create",
    "POST",
    "/v1/orgs",
    o.OrgCreate,
    o.Org,
    "instance",
    "Make an org, with a data key of its own.",
    in_org=False,
)
RENAME = Call(
    "org.rename",
    "PATCH",
    "/v1/orgs/{org}",
    o.OrgRename,
    o.Org,
    "org",
    "Give an org another name.",
    in_org=False,
)
REMOVE = Call(
    "org.remove",
    "DELETE",
    "/v1/orgs/{org}",
    o.OrgRef,
    Removed,
    "org",
    "Remove an org with everything it owns.",
    in_org=False,
    owner_only=True,
)

CALLS = (LIST, SHOW, CREATE, RENAME, REMOVE)
