"""Calls about the daemon itself."""

from meshd.wire import daemon as d
from meshd.wire.calls.row import Call
from meshd.wire.empty import Nothing

STATUS = Call("status", "GET", "/v1/status", Nothing, d.Status, "own", "Show how things stand.")
WHOAMI = Call(
    "whoami", "GET", "/v1/whoami", Nothing, d.WhoAmI, "own", "Show who the daemon takes you for."
)
SHOW = Call(
    "daemon.show",
    "GET",
    "/v1/daemon",
    Nothing,
    d.DaemonShown,
    "instance",
    "Show the inside of the daemon.",
    socket_only=True,
    in_org=False,
)
STOP = Call(
    "daemon.stop",
    "POST",
    "/v1/daemon/stop",
    Nothing,
    d.Stopped,
    "instance",
    "Stop the daemon.",
    socket_only=True,
    in_org=False,
)

CALLS = (STATUS, WHOAMI, SHOW, STOP)
