"""The shape of a row of the call table."""

from dataclasses import dataclass
from typing import Any, Literal

Right = Literal["own", "target", "org", "instance"]
"""Where the right to make a call comes from.

`own`: any principal, on its own things (a key needs `self/CALL`). `target`: the grants on the
connection decide. `org`: a `self` grant in the org. `instance`: instance admins.
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One control call. Its name is its permission.

    Fields of `asks` that stand in `path` travel there, the others in the query (GET, DELETE) or
    in a JSON body. A call that `streams` answers with one JSON object a line. One that is
    not `in_org` is about no org, or names it in its path.
    """

    name: str
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    asks: type[Any]
    answers: Any
    right: Right
    summary: str
    streams: bool = False
    socket_only: bool = False
    in_org: bool = True
    owner_only: bool = False  # for the role owner, or an exact grant
    exact: bool = False  # speaks for others: only a grant that names it gives it, no pattern
    secret: bool = False  # the answer holds a new secret: only an exact grant allows it
    destroys: bool = False  # takes something away, although its method does not say so
    idempotent: bool = False  # the same again changes nothing, although its method does not say so
