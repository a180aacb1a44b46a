"""Events as CloudEvents 1.0, with `meshseq`, the cursor within an org, and `meshid`, our own id."""

from msgspec import UNSET, Raw, Struct, UnsetType, field

from meshd.wire.empty import null


class Event(Struct, kw_only=True):
    """A CloudEvent in its JSON form. What extensions it has stand beside these members."""

    specversion: str = "1.0"
    id: str
    type: str
    source: str
    subject: str | None = None
    time: str
    datacontenttype: str = "application/json"
    dataschema: str | UnsetType = UNSET
    data: Raw | UnsetType = UNSET
    data_base64: str | UnsetType = UNSET
    meshseq: int
    meshid: str | UnsetType = UNSET


class EventTail(Struct, kw_only=True):
    """Oldest first. Without `after` and `since` only what happens from now on.

    `filter` entries are `field=value`, where the value may hold `*`.
    """

    after: int | None = None
    since: str | None = None
    limit: int | None = None
    follow: bool = True
    filter: list[str] = []


class EventPublish(Struct, kw_only=True):
    """An event to publish. `source` unset is the publisher's own; `id` unset is a new one.

    `data` is any JSON; `data_base64` stands for bytes. `extensions` are attributes of one's own.
    It is delivered at once, or at `deliver_at`: an ISO 8601 instant, or a duration from now.
    """

    type: str
    data: Raw = field(default_factory=null)
    data_base64: str | None = None
    source: str | None = None
    id: str | None = None
    subject: str | None = None
    time: str | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    extensions: dict[str, str | int | bool] = {}
    deliver_at: str | None = None


class Published(Struct, kw_only=True):
    """An event that is on disk, and to how many subscriptions it goes.

    `duplicate`: it was there already, with the same content.
    """

    id: str
    type: str
    source: str
    time: str
    deliveries: int
    duplicate: bool


class EventList(Struct, kw_only=True):
    """Newest first."""

    type: str | None = None
    source: str | None = None
    limit: int = 50


class EventLine(Struct, kw_only=True):
    """An event in a list, and how its deliveries stand.

    `deliveries` counts them by state, every state of a `Delivery` with its number. `state` is that
    of the whole: the first of inflight, ready, waiting, dead, expired that a delivery is in; else
    cancelled, if nothing was delivered and something was to be; else done, also without deliveries.
    """

    id: str
    type: str
    source: str
    subject: str | None = None
    time: str
    meshseq: int
    meshid: str
    state: str
    deliveries: dict[str, int]


class EventRef(Struct):
    """Names one event by the publisher's id or ours."""

    event: str


class EventCancel(Struct, kw_only=True):
    """Names one event. `mine`: only if whoever asks published it."""

    event: str
    mine: bool = False


class EventAck(Struct):
    """Names one event, and the connection for which it is done."""

    event: str
    connection: str


class Repaired(Struct, kw_only=True):
    """What was changed: the ids of deliveries."""

    deliveries: list[str]


class EventStats(Struct, kw_only=True):
    """How the bus stands. `states` counts deliveries; `oldest_waiting_s` is null if none waits.

    Where counting takes long, the counts are those of a moment ago.
    """

    states: dict[str, int]
    counted_s_ago: float = 0.0
    oldest_waiting_s: float | None = None
    under_way: int
    leases_lost: int
    subscriptions: dict[str, int]
    held_back: list[str]
