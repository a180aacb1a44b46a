"""One outgoing webhook: a POST over the pooled connections, its status, and no redirect."""

from collections.abc import Mapping
from dataclasses import dataclass

from meshd.core.secret import Secret
from meshd.proxy.http_head import RequestHead
from meshd.proxy.http_pool import HttpPool
from meshd.wire.errors import UpstreamFailed

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said; its body is not read."""

    status: int
    retry_after: str | None


async def post(
    pool: HttpPool, url: Secret, shown: str, headers: Mapping[str, str], body: bytes
) -> Answer:
    """Send once.

    Raises:
        UpstreamFailed, UpstreamTimeout, Unavailable: there was no answer.
    """
    try:
        head = RequestHead(url.reveal(), {})
    except ValueError as error:
        raise UpstreamFailed(f"{shown} cannot be asked: {error}") from None
    request = head.plain_post({"Content-Type": CONTENT_TYPE, **headers}, body)
    response = await pool.origin(head.place).ask(request, shown)
    try:
        return Answer(response.status, response.headers.get("retry-after"))
    finally:
        response.release()
