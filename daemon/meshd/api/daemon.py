"""Handlers of calls about the daemon."""

from collections.abc import Callable, Mapping

from meshd.api.dispatch import Handler
from meshd.services.status import StatusReport
from meshd.wire.daemon import Stopped


def handlers(report: StatusReport, stop: Callable[[], int]) -> Mapping[str, Handler]:
    """By call name. `stop` begins the end of the daemon and gives its pid."""
    return {
        "status": lambda who, _: report.status(who),
        "whoami": lambda who, _: report.whoami(who),
        "daemon.show": lambda _who, _: report.inside(),
        "daemon.stop": lambda _who, _: Stopped(pid=stop()),
    }
