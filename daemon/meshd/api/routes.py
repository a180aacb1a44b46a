"""From a method and a path to a row of the call table."""

from collections.abc import Iterable
from urllib.parse import unquote

from meshd.wire.calls.row import Call
from meshd.wire.errors import MethodNotAllowed, NotFound


class Routes:
    """Matches paths against the templates of the call table."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self._plain: dict[str, dict[str, Call]] = {}
        """Calls by path and method whose path holds no field."""
        self._by_length: dict[int, list[tuple[list[str], Call]]] = {}
        for call in calls:
            parts = call.path.split("/")
            if "{" in call.path:
                self._by_length.setdefault(len(parts), []).append((parts, call))
            else:
                self._plain.setdefault(call.path, {})[call.method] = call

    def find(self, method: str, raw_path: str) -> tuple[Call, dict[str, str]]:
        """The call, and the fields that stand in the path.

        Raises:
            NotFound: no call has that path.
            MethodNotAllowed: there is one, for other methods.
        """
        plain = self._plain.get(raw_path, {})
        if method in plain:
            return plain[method], {}
        parts = raw_path.split("/")
        seen = bool(plain)
        for template, call in self._by_length.get(len(parts), ()):
            fields = _match(template, parts)
            if fields is not None:
                if call.method == method:
                    return call, fields
                seen = True
        raise MethodNotAllowed if seen else NotFound("there is no such call")


def _match(template: list[str], parts: list[str]) -> dict[str, str] | None:
    fields = {}
    for wanted, given in zip(template, parts, strict=True):
        if wanted.startswith("{"):
            if not given:
                return None
            fields[wanted[1:-1]] = unquote(given)
        elif wanted != given:
            return None
    return fields
