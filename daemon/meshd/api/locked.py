"""Control calls while the vault is locked: those that tell of it or end it."""

from collections.abc import Callable

from aiohttp import web

from meshd.api.dispatch import Dispatcher
from meshd.api.routes import Routes
from meshd.core.answers import error_answer
from meshd.services.principal import Principal
from meshd.wire.calls import CALLS
from meshd.wire.errors import MeshError, NotFound

SERVED = frozenset({"status", "vault.status", "vault.unlock", "db.backup", "metrics.read"})


class LockedControl:
    """Leads to the dispatcher or answers with the reason; what is no call gets the reason too."""

    def __init__(self, dispatcher: Dispatcher, why: Callable[[], MeshError]) -> None:
        self._dispatcher = dispatcher
        self._why = why
        self._routes = Routes(
            call for call in CALLS if call.name in SERVED or call.name.startswith("daemon.")
        )

    async def handle(
        self, request: web.BaseRequest, principal: Principal, *, on_socket: bool
    ) -> web.StreamResponse:
        """Answer one control call, as `Dispatcher.handle`."""
        try:
            self._routes.find(request.method, request.rel_url.raw_path)
        except NotFound:
            return error_answer(self._why())
        except MeshError as error:
            return error_answer(error)
        return await self._dispatcher.handle(request, principal, on_socket=on_socket)
