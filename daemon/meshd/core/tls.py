"""TLS of the daemon's own port: a certificate and its key from two files.

What upstreams are trusted for is `proxy`'s.
"""

import ssl
from pathlib import Path

from meshd.wire.errors import BadRequest


class Certificate:
    """A certificate chain with its key, in a context that new handshakes use."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Read both files, PEM.

        Raises:
            BadRequest: one cannot be read, is encrypted, or they do not belong together.
        """
        self._cert = cert
        self._key = key
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["http/1.1"])
        self.load()

    def load(self) -> None:
        """Read the files again, as after a renewal; connections that stand keep what they have.

        Raises:
            BadRequest: as above; what was read before stays in use.
        """
        # Tried on a context of its own: half of a pair must not replace a whole one.
        for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
            try:
                context.load_cert_chain(self._cert, self._key, password=_no_password)
            except OSError as error:  # ssl.SSLError too
                raise BadRequest(
                    "the certificate cannot be used",
                    facts={
                        "TLS_CERT": str(self._cert),
                        "TLS_KEY": str(self._key),
                        "why": error.strerror or type(error).__name__,
                    },
                ) from None


def _no_password() -> str:
    """An encrypted key fails, instead of asking a terminal that a daemon has not."""
    return ""
