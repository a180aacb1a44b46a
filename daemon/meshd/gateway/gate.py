"""The gate on TCP, before a body is read: right Host, right Origin, no cross-site request."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from meshd.wire.errors import Denied, MeshError, WrongHost


class Gate:
    """Decides on the headers of a request. `null` is never a right Origin."""

    def __init__(
        self,
        port: int,
        base_url: str | None,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
    ) -> None:
        names = {"127.0.0.1", "localhost", "[::1]"}
        self._hosts = {f"{name}:{port}" for name in names} | set(hosts)
        if port == 80:
            self._hosts |= names
        self._origins = set(origins) - {"null"}
        if base_url is not None:
            self._hosts.add(urlsplit(base_url).netloc.lower())
            self._origins.add(base_url.lower())

    def check(self, headers: Mapping[str, str]) -> MeshError | None:
        """What is wrong with the request, if anything."""
        host = headers.get("Host", "")
        if host not in self._hosts and host.lower() not in self._hosts:
            return WrongHost(
                f'"{ascii(host[:80])[1:-1]}" is not a name of this daemon',
                facts={"add it with": "ALLOWED_HOSTS"},
            )
        origin = headers.get("Origin")
        if origin is not None:
            if origin.lower() not in self._origins:
                return Denied("this Origin may not call", facts={"add it with": "ALLOWED_ORIGINS"})
        elif headers.get("Sec-Fetch-Site") == "cross-site":
            return Denied("cross-site requests are refused")
        return None
