"""What a child process sees of the daemon's environment: the names listed here, and nothing else.

The daemon's own settings, its credentials and whatever its shell happened to export stay behind.
A connection may set any variable of its own, also one that the list leaves out (LD_PRELOAD,
NODE_OPTIONS): who may create stdio connections may run any command anyway.
"""

from collections.abc import Mapping

from meshd.core.secret import Secret

NAMES = frozenset(
    {
        # Who and where the user is; without these most programs do not start.
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG", "LANGUAGE",
        # The way out of a network that has only one, in both of the spellings in use.
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
        "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        # The certificates to trust there: OpenSSL, requests, curl, Node.
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
    }
)  # fmt: skip
"""Variables that a child inherits when the daemon has them."""

PREFIXES = ("LC_", "XDG_")
"""Families of variables that a child inherits too."""


def child_environment(inherited: Mapping[str, str], given: Mapping[str, Secret]) -> dict[str, str]:
    """The whole environment of a child: the listed part of `inherited`, and `given` on top."""
    allowed = {
        name: value
        for name, value in inherited.items()
        if name in NAMES or name.startswith(PREFIXES)
    }
    return allowed | {name: secret.reveal() for name, secret in given.items()}
