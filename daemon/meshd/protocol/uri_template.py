"""Whether a URI can come of a URI template (RFC 6570). Which values it was made with is not read.

Templates are foreign and so are URIs: both are bounded, and whoever looks through many templates
gives one `Budget` for all of them.
"""

import re
from dataclasses import dataclass
from itertools import pairwise

MAX_TEMPLATE = 1024
"""Characters of a template; a longer one matches nothing."""
MAX_EXPRESSIONS = 16
"""Expressions of a template, those that follow each other immediately being one."""
MAX_URI = 2048
"""Characters of a URI; a longer one comes of no template."""
MAX_STEPS = 200_000
"""Characters of URIs that are looked at for one lookup: some 20 ms."""

_CLIMB = re.compile(r"(?:[/\\]|%2f|%5c|^)(?:\.|%2e){2}(?=[/\\?#]|%2f|%5c|$)", re.IGNORECASE)
_EXPRESSION = re.compile(r"\{([+#./;?&]?)[^{}]*\}")
_STOPS = {"": "/?#&", "+": "", "#": "", ".": "/?#&", "/": "?#&", ";": "/?#&", "?": "#", "&": "#"}
"""By operator: the characters that its values never hold. Reserved ones are encoded in values.

Each is part of every longer one, so expressions in a row match what that with the fewest matches.
"""


@dataclass(slots=True)
class Budget:
    """What one lookup may still cost, over all templates; once it is used up nothing matches."""

    steps: int = MAX_STEPS


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """One that was read. `runs` has the stops of each expression, between its two `literals`."""

    literals: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def literal(self) -> int:
        """How many characters of it stand for themselves."""
        return sum(map(len, self.literals))

    @property
    def is_open(self) -> bool:
        """Whether it begins with an expression, and so may match URIs of any scheme."""
        return bool(self.runs) and not self.literals[0]

    def matches(self, uri: str, budget: Budget) -> bool:
        """Whether some values make it that URI."""
        budget.steps -= 1
        first, last = self.literals[0], self.literals[-1]
        if len(uri) > MAX_URI or budget.steps < 0:
            return False
        if not (uri.startswith(first) and uri.endswith(last)):
            return False
        reached = {len(first)}
        for stops, literal in zip(self.runs, self.literals[1:], strict=True):
            reached = _runs(uri, reached, stops, budget)
            reached = {at + len(literal) for at in reached if uri.startswith(literal, at)}
            if not reached or budget.steps < 0:
                return False
        return len(uri) in reached


def climbs(uri: str) -> bool:
    """Whether a `..` in it leads out of where it seems to be, once a server resolves it.

    Source: RFC 3986, section 5.2.4; the dots and slashes may be percent-encoded.
    """
    return _CLIMB.search(uri) is not None


def read_template(template: str) -> UriTemplate | None:
    """Its parts; None for one that is too long or has too many expressions to match anything."""
    if len(template) > MAX_TEMPLATE:
        return None
    found = list(_EXPRESSION.finditer(template))
    edges = [0, *(at for one in found for at in one.span()), len(template)]
    between = [template[start:end] for start, end in list(pairwise(edges))[::2]]
    literals, runs = between[:1], list[str]()
    for one, literal in zip(found, between[1:], strict=True):
        stops = _STOPS[one[1]]
        if runs and not literals[-1] and len(literals) > 1:
            literals[-1], runs[-1] = literal, min(stops, runs[-1], key=len)
        else:
            literals.append(literal)
            runs.append(stops)
    return UriTemplate(tuple(literals), tuple(runs)) if len(runs) <= MAX_EXPRESSIONS else None


def _runs(uri: str, begins: set[int], stops: str, budget: Budget) -> set[int]:
    """Where a run of other characters than `stops` may end."""
    ends: set[int] = set()
    for begin in sorted(begins):
        at = begin
        while at not in ends:
            ends.add(at)
            if at == len(uri) or uri[at] in stops:
                break
            at += 1
    budget.steps -= len(begins) + len(ends)
    return ends
