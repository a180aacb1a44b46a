"""The two doors of the daemon, and where they lead while the vault is locked and afterwards."""

from collections.abc import Iterable, Sequence

from meshd.api.dispatch import Dispatcher
from meshd.api.locked import LockedControl
from meshd.api.site import SocketSite
from meshd.app.house import House, choosing, owner_of
from meshd.app.inflow import Inflow
from meshd.core.clock import Clock
from meshd.core.http_peers import Peers
from meshd.gateway.cached_lists import CachedLists
from meshd.gateway.endpoint import Endpoint
from meshd.gateway.events_in import EventsIn
from meshd.gateway.inside import LockedHouse, OpenHouse
from meshd.gateway.metrics_page import MetricsPage
from meshd.gateway.passing import HttpPassing
from meshd.gateway.request_state import RequestStates
from meshd.gateway.serving import SharedServing
from meshd.gateway.sessions import Sessions
from meshd.gateway.site import TcpSite
from meshd.gateway.stateless import Stateless
from meshd.services.list_news import ListNews
from meshd.services.management import Management
from meshd.services.metrics import Doors
from meshd.services.principal import Principal
from meshd.vault.seal import Sealer
from meshd.vault.seal_state import StateSealer
from meshd.wire.event import EventPublish, Published


class Entrance:
    """The two doors and where they lead: to what says that the vault is locked, or inside.

    A daemon that could not be unlocked at its start is unlocked while it runs. Nothing in the house
    asks which it is: without the vault's key nobody comes in.
    """

    def __init__(
        self,
        house: House,
        dispatcher: Dispatcher,
        management: Management,
        inflow: Inflow,
        clock: Clock,
        peers: Peers,
        page: MetricsPage,
        name: str,
    ) -> None:
        """`name` is how sessions name this daemon."""
        self._management, self._inflow = management, inflow
        self._house, self._dispatcher, self._clock, self._name = house, dispatcher, clock, name
        self._sessions: Sessions | None = None
        self._inside: OpenHouse | None = None
        why = house.unlocking.locked
        locked = LockedHouse(why)
        self.tcp = TcpSite(locked, page, clock, peers)
        self.unix = SocketSite(
            LockedControl(dispatcher, why), locked.answer_mcp, house.keys, lambda: owner_of(house),
            choosing(house), clock,
        )  # fmt: skip

    @property
    def sessions_ended(self) -> int:
        """How many sessions are known to have ended."""
        return self._sessions.count_ended if self._sessions else 0

    @property
    def doors(self) -> Doors:
        """What stands at them."""
        tcp, unix = self.tcp.server, self.unix.server
        followed = self._inside.open_streams if self._inside else 0
        return Doors(
            connections={"tcp": tcp.crowd, "socket": unix.crowd},
            requests={"tcp": tcp.under_way, "socket": unix.under_way},
            streams={"mcp": followed, "control": self._dispatcher.open_streams},
            sessions_opened=self._sessions.count_opened if self._sessions else 0,
            sessions_ended=self.sessions_ended,
        )

    def open(self) -> None:
        """Let everybody in; from the vault comes the key of the sessions."""
        endpoint, self._sessions = _open_endpoint(
            self._house, self._management, self._clock, self._name
        )
        inside = self._inside = OpenHouse(
            self._house.keys, endpoint,
            lambda request, who: self._dispatcher.handle(request, who, on_socket=False),
            EventsIn(self._house.directory, self._dispatcher.call, self._publish_batch).handle,
            self._inflow.hooks.handle, self._house.is_ready, self._house.limit,
        )  # fmt: skip
        self._house.bus.dispatcher.start()
        self._inflow.scheduler.start()
        self.tcp.lead_to(inside)
        self.unix.lead_to(self._dispatcher, inside.answer_mcp)

    async def _publish_batch(
        self, who: Principal, calls: Iterable[str], asked: Sequence[EventPublish]
    ) -> list[Published]:
        publishing = self._house.bus.publishing
        return await self._dispatcher.under(
            who, calls, lambda admitted: publishing.publish_batch(admitted, asked)
        )


def _open_endpoint(
    house: House, management: Management, clock: Clock, name: str
) -> tuple[Endpoint, Sessions]:
    key = house.founding.vault.derive("session")
    sessions = Sessions(Sealer(key, name, lambda: clock.now() / 1e6), name, clock)
    news = ListNews(house.directory, house.tools)
    passing = HttpPassing(house.upstreams, sessions, house.health, house.tools, news)
    served = house.composed.served
    serving = SharedServing(house.upstreams, sessions, house.health, house.tools, served, news)
    sealer = StateSealer(house.founding.vault.derive("request-state"), lambda: clock.now() / 1e6)
    stateless = Stateless(
        house.upstreams, house.health, house.tools, passing, RequestStates(sealer), news
    )
    lists = CachedLists(served, house.composed.encoded, house.upstreams, passing.apart, clock)
    endpoint = Endpoint(
        house.directory,
        sessions,
        house.tools,
        house.tool_calls,
        house.records,
        lists,
        passing,
        serving,
        stateless,
        management,
        clock,
        house.limit,
        house.composed.serving,
        house.composed.tools,
    )
    return endpoint, sessions
