"""Events as CloudEvents 1.0, with `meshseq`, the cursor within an org."""

from msgspec import Raw, Struct, field


def _null() -> Raw:
    return Raw(b"null")


class Event(Struct, kw_only=True):
    """A CloudEvent in its JSON form."""

    specversion: str = "1.0"
    id: str
    type: str
    source: str
    subject: str | None = None
    time: str
    datacontenttype: str = "application/json"
    data: Raw = field(default_factory=_null)
    meshseq: int


class EventTail(Struct, kw_only=True):
    """Oldest first. Without `after` and `since` only what happens from now on.

    `filter` entries are `field=value`, where the value may hold `*`.
    """

    after: int | None = None
    since: str | None = None
    limit: int | None = None
    follow: bool = True
    filter: list[str] = []
