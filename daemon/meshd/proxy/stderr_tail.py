"""The last words of a child process: the end of its stderr, bounded and fit to be shown.

Nothing is parsed while it arrives, so that a child that writes gigabytes costs a copy and no more.
"""

from collections.abc import Iterable

from meshd.core.redact import MASK, redact_text

KEPT_BYTES = 64 * 1024
LINE_BYTES = 4 * 1024
SHORTEST_SECRET = 6
"""Shorter values (`1`, `true`, `debug`) are masked nowhere: they would eat half of every text."""


class StderrTail:
    """Keeps the last `KEPT_BYTES` written to it."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the values that must not show up in `lines`, such as those of the environment."""
        values = {piece for value in secrets for piece in (value, *value.splitlines())}
        # The longest first: a secret may contain another.
        self._secrets = sorted(
            (value for value in values if len(value) >= SHORTEST_SECRET), key=len, reverse=True
        )
        self._kept = bytearray()
        self._cut = False

    def __len__(self) -> int:
        return len(self._kept)

    def feed(self, chunk: bytes) -> None:
        """Append what the child wrote."""
        self._kept += chunk
        # Cut at twice the size, so that small writes do not move the rest each time.
        if len(self._kept) > 2 * KEPT_BYTES:
            del self._kept[:-KEPT_BYTES]
            self._cut = True

    def lines(self, count: int) -> list[str]:
        """The last `count` lines, at most; secrets masked, control characters made visible."""
        return [visible(line) for line in self._masked().splitlines()[-count:]]

    def _masked(self) -> str:
        kept = bytes(self._kept[-KEPT_BYTES:])
        if self._cut or len(self._kept) > KEPT_BYTES:
            # The first line lost its head, and with it perhaps the half of a secret by which the
            # other half would be known.
            kept = kept.partition(b"\n")[2] or kept[self._longest :]
        return self.mask(kept.decode(errors="replace"))

    @property
    def _longest(self) -> int:
        return max((len(secret.encode()) for secret in self._secrets), default=0)

    def mask(self, text: str) -> str:
        """`text` without the secrets, and without what has the shape of one."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return redact_text(text)


def visible(line: str) -> str:
    """At most `LINE_BYTES` of `line`; control characters, such as those of colours, spelled out."""
    cut = line.encode(errors="replace")[:LINE_BYTES].decode(errors="ignore")
    shown = "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in cut)
    return shown if len(cut) == len(line) else shown + "…"
