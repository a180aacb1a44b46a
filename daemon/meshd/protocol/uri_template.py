"""Whether a URI can come of a URI template (RFC 6570). Which values it was made with is not read.

Templates are foreign and so are URIs: the time grows with the product of their lengths at most.
"""

import re
from collections.abc import Iterator

MAX_LENGTH = 8192
"""Characters of a template or a URI; longer ones match nothing."""

_EXPRESSION = re.compile(r"\{([+#./;?&]?)[^{}]*\}")
_STOPS = {"": "/?#&", "+": "", "#": "", ".": "/?#&", "/": "?#&", ";": "/?#&", "?": "#", "&": "#"}
"""By operator: the characters that its values never hold. Reserved ones are encoded in values."""


def matches(template: str, uri: str) -> bool:
    """Whether some values make the template that URI."""
    if max(len(template), len(uri)) > MAX_LENGTH:
        return False
    reached = {0}
    for literal, stops in _tokens(template):
        if stops is None:
            reached = {at + len(literal) for at in reached if uri.startswith(literal, at)}
        else:
            reached = _runs(uri, reached, stops)
        if not reached:
            return False
    return len(uri) in reached


def _tokens(template: str) -> Iterator[tuple[str, str | None]]:
    """Literals, and for each expression the characters at which its run stops."""
    at = 0
    for found in _EXPRESSION.finditer(template):
        if literal := template[at : found.start()]:
            yield literal, None
        yield "", _STOPS[found[1]]
        at = found.end()
    if literal := template[at:]:
        yield literal, None


def _runs(uri: str, begins: set[int], stops: str) -> set[int]:
    """Where a run of other characters than `stops` may end."""
    ends: set[int] = set()
    for begin in sorted(begins):
        at = begin
        while at not in ends:
            ends.add(at)
            if at == len(uri) or uri[at] in stops:
                break
            at += 1
    return ends
