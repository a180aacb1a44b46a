"""Handlers of calls about tools."""

from collections.abc import Mapping

from meshd.api.dispatch import Handler
from meshd.services.tools import Tools


def handlers(tools: Tools) -> Mapping[str, Handler]:
    """By call name."""
    return {
        "tool.list": tools.all,
        "tool.show": tools.show,
        "tool.call": lambda who, asked: tools.call(who, asked, client="control"),
    }
