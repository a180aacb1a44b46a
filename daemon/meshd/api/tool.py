"""Handlers of calls about tools: of connections, of virtual MCPs, and of `self`."""

from collections.abc import Mapping
from typing import Any

from meshd.api.dispatch import Handler
from meshd.services.approvals import Approvals
from meshd.services.grants import SELF
from meshd.services.management import Management
from meshd.services.principal import Principal
from meshd.services.tool_calls import ToolCalls
from meshd.services.virtual_tools import VirtualTools
from meshd.wire.tool import ToolCall, ToolList, ToolRef

CLIENT = "control"
"""What stands in a record of a call for the program that made it."""


def handlers(
    tools: ToolCalls, management: Management, virtual: VirtualTools, approvals: Approvals
) -> Mapping[str, Handler]:
    """By call name."""

    def all_(who: Principal, asked: ToolList) -> Any:
        if asked.connection is not None and virtual.has(who, asked.connection):
            return virtual.all(who, asked.connection)
        return management.all(who) if _is_self(asked.connection) else tools.all(who, asked)

    def show(who: Principal, asked: ToolRef) -> Any:
        if virtual.has(who, asked.connection):
            return virtual.show(who, asked)
        return (management if _is_self(asked.connection) else tools).show(who, asked)

    def call(who: Principal, asked: ToolCall) -> Any:
        if _is_self(asked.connection):
            return management.call_for(who, asked, client=CLIENT)
        if virtual.has(who, asked.connection):
            return virtual.call(who, asked, client=CLIENT)
        return tools.call(who, asked, client=CLIENT)

    return {
        "tool.list": all_,
        "tool.show": show,
        "tool.call": call,
        "tool.diff": approvals.diff,
        "tool.approve": approvals.approve,
    }


def _is_self(connection: str | None) -> bool:
    return connection is not None and connection.casefold() == SELF
