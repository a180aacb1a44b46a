"""What the vault refuses with. No error here ever holds a secret, a key or a plaintext."""

from collections.abc import Iterable


class VaultError(Exception):
    """The vault cannot do what was asked; without arguments, the class's own sentence is said."""

    def __init__(self, sentence: str = "") -> None:
        super().__init__(sentence or (self.__doc__ or "").partition("\n")[0])


class UnknownKey(VaultError):
    """No key with this id is loaded.

    Attributes:
        key_id: the first bytes of the key's hash in hex, which is no secret.
    """

    def __init__(self, key_id: bytes) -> None:
        self.key_id = key_id.hex()
        super().__init__(f"No key with the id {self.key_id} is loaded.")


class NoMasterKey(VaultError):
    """The vault is locked: no master key is loaded."""


class NoKey(VaultError):
    """The organisation has no data key loaded."""


class KeySpent(VaultError):
    """The data key has sealed as much as it safely can: rotate the organisation's data key."""


class Tampered(VaultError):
    """The sealed value was altered, or moved from the place it was sealed for."""


class BadFormat(VaultError):
    """The sealed value is not in a format that this version reads."""


class MasterKeyError(VaultError):
    """The master key cannot be read or made; the sentence says what to do."""


class WrongMasterKey(MasterKeyError):
    """This is not the key that the data is sealed with.

    Attributes:
        given: the id of the key that was tried.
        needed: the ids of the keys that would do.
    """

    def __init__(self, given: bytes, needed: Iterable[bytes]) -> None:
        self.given = given.hex()
        self.needed = sorted(key_id.hex() for key_id in needed)
        super().__init__(
            f"The master key {self.given} is not the one that the data is sealed with, "
            f"{' or '.join(self.needed)}."
        )
