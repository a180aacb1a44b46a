"""`meshctl metrics`: the numbers that a scraper gets from `/metrics`."""

import typer

from meshctl.cli.context import Ctx
from meshctl.render import metrics as render
from meshd.wire.calls import metrics


def read(ctx: typer.Context) -> None:
    """Read the daemon's numbers: calls, connections, records, events, the process.

    Prometheus gets them from `/metrics`, with a key that has self/metrics.read (METRICS_ACCESS).
    """
    me = Ctx.of(ctx)
    found = me.call(metrics.READ)
    if me.out.as_json:
        me.out.json(found)
    else:
        me.out.rows(render.table(), render.samples(found), empty="there are no numbers")
