"""The vault of a running daemon: the master key and the data keys, held in memory.

It does no database I/O: services load wrapped keys into it and store what it seals. It belongs to
the event loop; its calls take microseconds and are not made from threads.
"""

import contextlib
from dataclasses import dataclass, field

from meshd.core.secret import Secret
from meshd.vault import box
from meshd.vault.box import Context, DataKey
from meshd.vault.errors import BadFormat, KeySpent, NoKey, NoMasterKey, Tampered, VaultError
from meshd.vault.master import MasterKey

ROTATE_AT = 2**30
"""Seals under one data key after which it is to be rotated."""

REFUSE_AT = 2**32
"""Seals under one key with random 96-bit nonces that NIST SP 800-38D, section 8.3, allows."""


@dataclass(slots=True)
class _Ring:
    """The data keys of one organisation: the newest seals, all open."""

    newest: DataKey
    by_id: dict[bytes, DataKey] = field(default_factory=dict)
    sealed: dict[int, int] = field(default_factory=dict)


class Vault:
    """Seals and opens the secrets of every organisation whose data keys were added.

    Without a master key it is locked, and refuses everything but `adopt`.
    """

    def __init__(self, master: MasterKey | None, installation: str) -> None:
        self._given = master
        self._installation = installation
        self._rings: dict[str, _Ring] = {}

    def adopt(self, other: "Vault") -> None:
        """Take over the keys of a vault of the same installation: at once, or not at all."""
        self._given = other._given  # noqa: SLF001 - of the same class
        self._rings = other._rings  # noqa: SLF001 - of the same class

    @property
    def locked(self) -> bool:
        """Whether there is no master key."""
        return self._given is None

    @property
    def _master(self) -> MasterKey:
        if self._given is None:
            raise NoMasterKey
        return self._given

    @property
    def master_id(self) -> bytes:
        """The id of the master key, to be shown beside a backup and compared at a restore."""
        return self._master.id

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one named purpose, the same as long as the master key is."""
        return self._master.derive(purpose)

    def opens(self, wrapped: bytes, org: str, version: int) -> bool:
        """Whether this is a data key that the master key opens; it is not loaded."""
        try:
            box.unwrap(self._master, self._installation, org, version, wrapped)
        except VaultError:
            return False
        return True

    def new_org_key(self, org: str) -> tuple[int, bytes, bytes]:
        """Make the organisation's next data key: its version, its wrapped form and its id.

        Versions count up from the highest one loaded. The key seals nothing before `add_key`: store
        the wrapped form first, for what is sealed under a key that was never stored is lost.
        """
        ring = self._rings.get(org)
        key = box.new_data_key(org, ring.newest.version + 1 if ring else 1)
        return key.version, box.wrap(self._master, self._installation, key), key.id

    def add_key(self, wrapped: bytes, org: str, version: int, sealed: int = 0) -> None:
        """Load a stored data key; the highest version seals. Loading one again changes nothing.

        Args:
            wrapped: the stored form, from `new_org_key`.
            org: the organisation that the row names.
            version: the version that the row names.
            sealed: how many seals are on record for the key, where a record is kept.

        Raises:
            UnknownKey: it is wrapped under another master key, which the error names.
            Tampered: altered, or of another installation, organisation or version; or a second
                key of a version that is already loaded.
            BadFormat: it is not a wrapped key.
        """
        key = box.unwrap(self._master, self._installation, org, version, wrapped)
        ring = self._rings.setdefault(org, _Ring(newest=key))
        if version in ring.sealed and key.id not in ring.by_id:
            raise Tampered(f"There are two data keys of version {version} for {org}.")
        ring.by_id[key.id] = key
        ring.sealed[version] = max(sealed, ring.sealed.get(version, 0))
        if version > ring.newest.version:
            ring.newest = key

    def forget(self, org: str) -> None:
        """Drop an organisation's keys; with their stored forms gone, its secrets are too."""
        self._rings.pop(org, None)

    def seal(self, org: str, table: str, row: str, field: str, value: Secret) -> bytes:
        """A blob that opens only under the same four names.

        Raises:
            NoKey: the organisation has no data key loaded.
            KeySpent: its newest key has reached `REFUSE_AT`.
        """
        ring = self._ring(org)
        version = ring.newest.version
        if ring.sealed[version] >= REFUSE_AT:
            raise KeySpent
        ring.sealed[version] += 1
        context = Context(self._installation, org, table, row, field)
        # Never strict: the encoder's error would hold the secret.
        plaintext = value.reveal().encode("utf-8", "surrogatepass")
        return box.seal(ring.newest, context, plaintext)

    def open(self, org: str, table: str, row: str, field: str, blob: bytes) -> Secret:
        """The secret in a blob.

        Raises:
            NoKey: the organisation has no data key loaded.
            UnknownKey: the blob names a key that the organisation has not, or not loaded yet.
            Tampered: altered, or sealed for another place.
            BadFormat: not a blob of a secret text.
        """
        context = Context(self._installation, org, table, row, field)
        plaintext = box.open_(self._ring(org).by_id, context, blob)
        # Raised outside the handler: the decoder's error holds the plaintext.
        with contextlib.suppress(UnicodeDecodeError):
            return Secret(plaintext.decode("utf-8", "surrogatepass"))
        raise BadFormat

    def version(self, org: str) -> int:
        """The version of the organisation's newest data key, which seals. Raises NoKey."""
        return self._ring(org).newest.version

    def _ring(self, org: str) -> _Ring:
        ring = self._rings.get(org)
        if ring is None:
            raise NoKey(f"No data key is loaded for {org}.")
        return ring


def wrapped_under(wrapped: bytes) -> str:
    """The id of the master key that a stored data key needs, in hexadecimal digits.

    Raises:
        BadFormat: it is not a wrapped key.
    """
    return box.key_id(wrapped).hex()
