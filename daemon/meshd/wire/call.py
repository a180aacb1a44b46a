"""Call records: one per tool call that went through the daemon."""

from msgspec import Raw, Struct


class Record(Struct, kw_only=True):
    """Who called what, and how it went. Times in milliseconds."""

    id: str
    at: str
    connection: str
    tool: str
    principal: str
    ok: bool
    error: str | None = None
    duration_ms: float
    seq: int = 0


class Stages(Struct, kw_only=True):
    """Where a call's time went, in milliseconds; they add up to `duration_ms`."""

    receive: float
    decide: float
    upstream: float
    answer: float


class RecordDetail(Record, kw_only=True):
    """A record with its stages and bodies, as far as the connection keeps bodies."""

    stages: Stages
    arguments: Raw | None = None
    result: Raw | None = None
    cut: bool = False
    client: str | None = None


class RecordRef(Struct):
    """Names one record by id."""

    call: str


class RecordList(Struct, kw_only=True):
    """Newest first."""

    connection: str | None = None
    limit: int = 50
    failed: bool = False


class RecordTail(Struct, kw_only=True):
    """Oldest first. `after` is a cursor (a record's `seq`); `follow` keeps the stream open."""

    after: int | None = None
    since: str | None = None
    limit: int | None = None
    follow: bool = True
