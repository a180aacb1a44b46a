"""The sealed form of a secret, bound to its place; and of a data key under the master key.

Pure functions over bytes: no files, no database, no memory of what was sealed.

A blob is, in this order:

    format      1 byte, 1
    algorithm   1 byte, 1 = AES-256-GCM
    key id      8 bytes, picks the key; a wrong key is refused before anything is decrypted
    nonce       12 bytes, random
    ciphertext  of the padded plaintext, and its tag of 16 bytes

Associated data binds a blob to installation, organisation, table, row, field and key version, so a
blob that was moved does not open. An old blob put back in its own place does open: the rollback of
a whole database cannot be detected from inside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from meshd.vault.errors import BadFormat, Tampered, UnknownKey, VaultError
from meshd.vault.key import ID_SIZE, NONCE_SIZE, TAG_SIZE, Key
from meshd.vault.master import MasterKey

__all__ = [
    "BadFormat",
    "Context",
    "DataKey",
    "Tampered",
    "UnknownKey",
    "VaultError",
    "key_id",
    "new_data_key",
    "open_",
    "seal",
    "unwrap",
    "wrap",
]

FORMAT = b"\x01"
AES_256_GCM = b"\x01"
PAD_STEP = 32

_FIELD = b"meshctl field"
_DATA_KEY = b"meshctl data key"
_HEADER_SIZE = len(FORMAT) + len(AES_256_GCM) + ID_SIZE
_SMALLEST = _HEADER_SIZE + NONCE_SIZE + PAD_STEP + TAG_SIZE
_LENGTH_SIZE = 4


class Context(NamedTuple):
    """The one place where a blob opens."""

    installation: str
    org: str
    table: str
    row: str
    field: str


@dataclass(frozen=True, slots=True)
class DataKey:
    """One version of an organisation's data key."""

    org: str
    version: int
    key: Key
    id: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.key.identify(_DATA_KEY))


def new_data_key(org: str, version: int) -> DataKey:
    """A random data key. Versions of an organisation count from 1."""
    return DataKey(org, version, Key.random())


def seal(key: DataKey, context: Context, plaintext: bytes) -> bytes:
    """A blob that opens only in this context.

    Raises:
        ValueError: the key is another organisation's, which is a mistake of the program.
    """
    if key.org != context.org:
        raise ValueError(f"a data key of {key.org} cannot seal for {context.org}")
    return FORMAT + AES_256_GCM + key.id + key.key.lock(_pad(plaintext), _field(context, key))


def open_(keys: Mapping[bytes, DataKey], context: Context, blob: bytes) -> bytes:
    """The plaintext of a blob. The key is the one that the blob names; none is ever tried.

    Raises:
        BadFormat: too short, or of a format or an algorithm that is not known here.
        UnknownKey: the blob names a key that is not among `keys`.
        Tampered: altered, or not sealed for this context.
    """
    key_id, locked = _split(blob)
    key = keys.get(key_id)
    if key is None:
        raise UnknownKey(key_id)
    if key.org != context.org:
        raise Tampered
    return _unpad(key.key.unlock(locked, _field(context, key)))


def wrap(master: MasterKey, installation: str, data_key: DataKey) -> bytes:
    """The data key in the form that may be stored, bound to its organisation and version."""
    bound = _wrapping(installation, data_key.org, data_key.version)
    locked = master.wrapping_key().lock(data_key.key.reveal(), bound)
    return FORMAT + AES_256_GCM + master.id + locked


def unwrap(master: MasterKey, installation: str, org: str, version: int, wrapped: bytes) -> DataKey:
    """The inverse of `wrap`.

    Raises:
        BadFormat: too short, or of a format or an algorithm that is not known here.
        UnknownKey: it was wrapped under another master key, which the error names.
        Tampered: altered, or wrapped for another installation, organisation or version.
    """
    master_id, locked = _split(wrapped)
    if master_id != master.id:
        raise UnknownKey(master_id)
    raw = master.wrapping_key().unlock(locked, _wrapping(installation, org, version))
    return DataKey(org, version, Key(raw))


def key_id(blob: bytes) -> bytes:
    """The id of the key that a blob names: a data key's, or a master key's for a wrapped one.

    Raises:
        BadFormat: too short, or of a format or an algorithm that is not known here.
    """
    return _split(blob)[0]


def _split(blob: bytes) -> tuple[bytes, bytes]:
    """Key id, and what `Key.unlock` takes."""
    if len(blob) < _SMALLEST or blob[:2] != FORMAT + AES_256_GCM:
        raise BadFormat
    return blob[2:_HEADER_SIZE], blob[_HEADER_SIZE:]


def _field(context: Context, key: DataKey) -> bytes:
    places = (part.encode() for part in context)
    return _joined(_FIELD, FORMAT, *places, _number(key.version))


def _wrapping(installation: str, org: str, version: int) -> bytes:
    return _joined(_DATA_KEY, FORMAT, installation.encode(), org.encode(), _number(version))


def _joined(*parts: bytes) -> bytes:
    """Each part after its length, so that no two lists of parts give the same bytes."""
    return b"".join(len(part).to_bytes(_LENGTH_SIZE) + part for part in parts)


def _number(value: int) -> bytes:
    return value.to_bytes(8)


def _pad(plaintext: bytes) -> bytes:
    """Length, plaintext, zeros to the next step: the size of a short secret does not show."""
    framed = len(plaintext).to_bytes(_LENGTH_SIZE) + plaintext
    return framed + bytes(-len(framed) % PAD_STEP)


def _unpad(padded: bytes) -> bytes:
    end = _LENGTH_SIZE + int.from_bytes(padded[:_LENGTH_SIZE])
    plaintext = padded[_LENGTH_SIZE:end]
    if _pad(plaintext) != padded:
        raise BadFormat
    return plaintext
