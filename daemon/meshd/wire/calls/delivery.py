"""Calls about deliveries."""

from meshd.wire import delivery as d
from meshd.wire.calls.row import Call

LIST = Call(
    "delivery.list",
    "GET",
    "/v1/deliveries",
    d.DeliveryList,
    list[d.Delivery],
    "org",
    "List deliveries.",
)
SHOW = Call(
    "delivery.show",
    "GET",
    "/v1/deliveries/{delivery}",
    d.DeliveryRef,
    d.DeliveryDetail,
    "org",
    "Show one delivery with its attempts.",
)

CALLS = (LIST, SHOW)
