"""A secret in memory: a wrapper that prints `***` and comes out only through `reveal()`.

It guards against accidents: logs, tracebacks, f-strings, serializers. It does not wipe memory,
which Python cannot do reliably.
"""

import hmac
from typing import NoReturn, final

MASK = "***"


class Hidden:
    """What never shows its value: every text form is `***`; pickling and copying are refused."""

    __slots__ = ()

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        # A width or precision would be the first step to showing a part.
        return MASK

    def __getstate__(self) -> NoReturn:
        # pickle, copy and deepcopy all ask here, under every protocol.
        raise TypeError(f"{type(self).__name__} cannot be pickled or copied")


@final
class Secret(Hidden):
    """A secret text: a credential, a token, a password."""

    __slots__ = ("_text",)

    def __init__(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"a Secret holds str, not {type(value).__name__}")
        self._text = value

    def reveal(self) -> str:
        """The text itself. Each caller of this method is a place where a secret can leave."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    # A hash would be a fast comparison that is not constant in time.
    __hash__ = None  # type: ignore[assignment]


def _bytes(text: str) -> bytes:
    # A strict encoder would fail on a lone surrogate, and its error holds the text.
    return text.encode("utf-8", "surrogatepass")
