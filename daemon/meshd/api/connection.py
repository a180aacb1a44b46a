"""Handlers of calls about connections."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.connections import Connections


def handlers(connections: Connections) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "connection.list": lambda who, _: connections.all(who),
        "connection.show": lambda who, asked: connections.inspect(who, asked.connection),
        "connection.add": connections.add,
        "connection.add_stdio": connections.add_stdio,
        "connection.edit": connections.edit,
        "connection.edit_stdio": connections.edit_stdio,
        "connection.remove": lambda who, asked: connections.remove(who, asked.connection),
        "connection.enable": lambda who, a: connections.enable(who, a.connection, enabled=True),
        "connection.disable": lambda who, a: connections.enable(who, a.connection, enabled=False),
        "connection.test": lambda who, asked: connections.test(who, asked.connection),
    }
