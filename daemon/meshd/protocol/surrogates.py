"""Half characters: JSON that some servers send when they cut text by UTF-16 length.

An escape of one surrogate without its other half is no character (RFC 8259, section 8.2, calls
what follows unpredictable); strict decoders refuse the whole message for it.
"""

import re

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    rb"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def mend_surrogates(raw: bytes) -> bytes:
    r"""`raw` JSON with every half character as `\ufffd`; all else untouched."""
    return _ESCAPE.sub(lambda found: rb"\ufffd" if found["half"] else found[0], raw)
