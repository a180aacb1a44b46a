"""The table of control calls: one small file a noun, gathered here once."""

from meshd.wire.calls import (
    call,
    connection,
    daemon,
    db,
    delivery,
    event,
    key,
    metrics,
    org,
    schedule,
    subscription,
    tool,
    vault,
    virtual,
    webhook,
)
from meshd.wire.calls.row import Call

CALLS: tuple[Call, ...] = (
    *daemon.CALLS, *org.CALLS, *connection.CALLS, *virtual.CALLS, *key.CALLS,
    *tool.CALLS, *call.CALLS, *event.CALLS, *subscription.CALLS, *delivery.CALLS,
    *schedule.CALLS, *webhook.CALLS, *vault.CALLS, *db.CALLS, *metrics.CALLS,
)  # fmt: skip
"""Every control call. Served on the Unix socket, and under `/v1` on TCP unless `socket_only`."""
