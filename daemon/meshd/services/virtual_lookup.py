"""Which of several things a URI means at a virtual MCP: of templates, and of those that share it.

Who may use what is asked of the caller.
"""

from collections.abc import Callable, Iterable

from meshd.protocol.uri_template import (
    MAX_STEPS,
    MAX_URI,
    Budget,
    UriTemplate,
    climbs,
    read_template,
)
from meshd.services.composing import Composed, Exposed, Route, Step, Thing, is_uri

LEAST_STEPS = 4096
"""What the templates of one connection may cost in a lookup, however many there are."""


def chosen(composed: Composed, thing: Thing, may: Callable[[Exposed], bool]) -> Iterable[Exposed]:
    """What a list shows to whom `may` is: under each URI the first thing that is permitted."""
    if not is_uri(thing):
        return filter(may, composed.exposed.values())
    those = ((one, *composed.others.get(name, ())) for name, one in composed.exposed.items())
    found = [one for each in those if (one := next(filter(may, each), None)) is not None]
    if thing == "template" and len({one.route.connection for one in found}) > 1:
        return [one for one in found if not _is_open(one)]
    return found


def _is_open(template: Exposed) -> bool:
    read = read_template(template.name)
    return read is not None and read.is_open


def of_template(composed: Composed, uri: str, may: Callable[[Exposed], bool]) -> Exposed | None:
    """What the most literal template leads to that can make the URI, if any can.

    Those of connections where the URI may be used come first. One that begins with an expression
    would have the URIs of all others, so it has none where another connection has templates too.
    Each connection has its share of what a lookup may cost, so that none uses up that of others.
    A URI that climbs comes of none: it leads out of what was selected by its template.
    """
    if len(uri) > MAX_URI or climbs(uri):
        return None
    places: dict[tuple[str, ...], bool] = {}
    found: dict[bool, list[tuple[UriTemplate, Exposed]]] = {True: [], False: []}
    for read, one in composed.templates:
        route = one.route
        place = (route.connection, *(step.virtual for step in route.steps))
        if place not in places:
            places[place] = may(_at(one, uri))
        found[places[place]].append((read, one))
    connections = {one.route.connection for _, one in composed.templates}
    share = max(LEAST_STEPS, MAX_STEPS // max(1, len(connections)))
    budgets = {connection: Budget(share) for connection in connections}
    for those in found.values():
        several = len({one.route.connection for _, one in those}) > 1
        for read, one in those:
            if not (several and read.is_open) and read.matches(uri, budgets[one.route.connection]):
                return _at(one, uri)
    return None


def _at(template: Exposed, uri: str) -> Exposed:
    """The resource that a template makes."""
    route = template.route
    steps = tuple(Step(step.virtual, uri) for step in route.steps)
    return Exposed(uri, template.entry, Route(route.connection, uri, steps))
