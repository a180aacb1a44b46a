"""The vault: its keys by id, what they sealed, and whether all of it opens. Never a value."""

from typing import Literal

from msgspec import Struct

from meshd.wire.daemon import Problem


class VaultUnlock(Struct, kw_only=True):
    """With `key` that key is tried, without it the daemon's own source is asked again."""

    key: str | None = None


class MasterKeySource(Struct, kw_only=True):
    """Where the master key comes from; `place` holds no secret.

    `passed_over` are sources that are configured too and weaker, which are never asked.
    """

    name: Literal["command", "credential", "keyring", "file", "environment"]
    place: str
    passed_over: list[str] = []


class DataKey(Struct, kw_only=True):
    """One version of an org's data key. `seals` is on record ahead of use, in batches."""

    version: int
    state: Literal["open", "locked", "broken"]
    reason: str | None = None
    seals: int
    rotation_due: bool
    created_at: str


class OrgVault(Struct, kw_only=True):
    """The data keys of one org, and how many rows of each table it has sealed."""

    org: str
    name: str
    data_keys: list[DataKey]
    sealed: dict[str, int]


class VaultStatus(Struct, kw_only=True):
    """How the vault stands.

    `key_id` is that of the master key in use, `needed` the one that the data was sealed with.
    `by_hand`: opened with a key that somebody gave, which the source does not have.
    """

    state: Literal["open", "locked"]
    reason: str | None = None
    source: MasterKeySource
    by_hand: bool = False
    key_id: str | None = None
    needed: str | None = None
    format: str
    orgs: list[OrgVault] = []
    problems: list[Problem] = []


class Verified(Struct, kw_only=True):
    """Rows of one org in one table: how many open, and how many do not."""

    org: str
    name: str
    table: str
    opened: int = 0
    failed: int = 0


class Unopened(Struct, kw_only=True):
    """One sealed value that does not open."""

    org: str
    table: str
    row: str
    field: str
    reason: str


class VaultVerified(Struct, kw_only=True):
    """What came of opening everything that is sealed."""

    counts: list[Verified]
    failures: list[Unopened]
