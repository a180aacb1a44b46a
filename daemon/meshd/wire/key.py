"""Keys: what clients authenticate with."""

from msgspec import UNSET, Struct, UnsetType


class Key(Struct, kw_only=True):
    """A key without its secret. `permissions`: target id, `self` or `*` → grants.

    `connection` is the one whose key it is: what it publishes comes from there.
    """

    id: str
    name: str
    prefix: str
    last_four: str
    permissions: dict[str, list[str]]
    grants: list[str]
    role: str | None = None
    read_only: bool = False
    owner: str
    connection: str | None = None
    created_at: str
    last_used_at: str | None = None
    expires_at: str | None = None


class KeyAdded(Key, kw_only=True):
    """The answer that holds the secret, once."""

    key: str


class KeyRef(Struct):
    """Names one key by name or id."""

    key: str


class KeyAdd(Struct, kw_only=True):
    """`allow` unset means every connection and no management; `expires` is `90d` or ISO 8601."""

    name: str
    allow: list[str] | UnsetType = UNSET
    role: str | None = None
    read_only: bool = False
    expires: str | None = None
    connection: str | None = None


class KeyEdit(Struct, kw_only=True):
    """Adds and takes away grants. `revoke` removes exactly the entry it names."""

    key: str
    name: str | UnsetType = UNSET
    allow: list[str] = []
    revoke: list[str] = []
    role: str | UnsetType | None = UNSET
    read_only: bool | UnsetType = UNSET
    expires: str | UnsetType | None = UNSET
