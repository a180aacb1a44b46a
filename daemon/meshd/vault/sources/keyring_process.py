"""The process that asks the operating system's keyring: `get NAME`, or `set NAME` with stdin.

It answers with one JSON object: `{"key": …}`, null where there is none, or `{"refused": …}`.
Only keyrings that keep secrets encrypted are asked. The library picks whatever is installed, also
one that writes base64 into a file, or one that keeps nothing.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from meshd.core.process import close_to_others

SERVICE = "meshctl"

TRUSTED = frozenset(
    {
        "keyring.backends.macOS.Keyring",
        "keyring.backends.SecretService.Keyring",
        "keyring.backends.libsecret.Keyring",
        "keyring.backends.kwallet.DBusKeyring",
        "keyring.backends.kwallet.DBusKeyringKWallet4",
    }
)
"""Classes of keyrings: macOS Keychain, Secret Service (GNOME, KeePassXC), KWallet."""

_CHAIN = "keyring.backends.chainer.ChainerBackend"
_NONE = "keyring.backends.fail.Keyring"
"""What the library picks where no keyring answers."""


def answer(verb: str, name: str, given: str, trusted: frozenset[str] = TRUSTED) -> dict[str, Any]:
    """Ask the keyring that the library picks, if it is one of `trusted`."""
    import keyring
    from keyring.errors import KeyringError

    try:
        found = _trusted(keyring.get_keyring(), trusted)
        if isinstance(found, str):
            return {"refused": found}
        if verb == "set":
            found.set_password(SERVICE, name, given.strip())
            return {}
        return {"key": found.get_password(SERVICE, name)}
    except KeyringError as error:
        why = type(error).__name__
        return {"refused": f"The keyring refuses ({why}): unlock it, or sign in to the desktop."}


def _trusted(picked: Any, trusted: frozenset[str]) -> Any:
    """The keyring to ask, or the sentence that refuses it.

    A chain is as good as its worst link: it reads from each in turn.
    """
    if _class(picked) == _NONE:
        return "No keyring answers here: sign in to the desktop, or unset MESHCTL_KEYRING."
    links = list(picked.backends) if _class(picked) == _CHAIN else [picked]
    strangers = sorted(name for name in map(_class, links) if name not in trusted)
    if strangers or not links:
        what = ", ".join(strangers) or "nothing"
        return (
            f"The system's keyring is {what}, which is not known to keep secrets encrypted: use "
            "macOS Keychain, Secret Service or KWallet, or unset MESHCTL_KEYRING."
        )
    return links[0]


def _class(keyring: Any) -> str:
    return f"{type(keyring).__module__}.{type(keyring).__qualname__}"


def main(arguments: Sequence[str], trusted: frozenset[str] = TRUSTED) -> None:
    """Answer once."""
    close_to_others()
    verb, name = arguments
    given = sys.stdin.read() if verb == "set" else ""
    sys.stdout.write(json.dumps(answer(verb, name, given, trusted)))


if __name__ == "__main__":
    main(sys.argv[1:])
