"""Who is asking."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Permissions = Mapping[str, tuple[str, ...]]
"""Target id, `self` or `*` → grants."""

DAEMON = "meshd"
EVERYTHING: Permissions = MappingProxyType({"*": ("*",), "self": ("*",)})


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """A person at the socket, or a key. `org` is its id.

    `expires_at` is in microseconds. Compared by identity: a change makes a new one, which `renew`
    finds; a principal without it never changes.
    """

    id: str
    name: str
    kind: Literal["local", "key"]
    org: str
    owner: str
    permissions: Permissions
    role: str | None = None
    read_only: bool = False
    expires_at: int | None = None
    instance_admin: bool = False
    connection: str | None = None
    """Id of the connection whose key it is, and as which it publishes."""
    renew: Callable[[], "Principal | None"] | None = field(default=None, repr=False)
    scopes: dict[str, "object"] = field(default_factory=dict, repr=False, init=False)

    def expired(self, now: int) -> bool:
        """Whether it may no longer be used."""
        return self.expires_at is not None and self.expires_at <= now

    def present(self) -> "Principal | None":
        """This principal as it stands now; None once it is revoked or expired."""
        return self if self.renew is None else self.renew()


def the_daemon(org: str) -> Principal:
    """The daemon itself, as the author of what it found out; it may do nothing."""
    return Principal(id=DAEMON, name=DAEMON, kind="local", org=org, owner="", permissions={})
