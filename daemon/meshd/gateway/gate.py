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
        self._own_hosts = {f"{name}:{port}" for name in names}
        self._own_origins = set[str]()
        if port == 80:
            self._own_hosts |= names
        if base_url is not None:
            self._own_hosts.add(urlsplit(base_url).netloc.lower())
            self._own_origins.add(base_url.lower())
        self.allow_hosts(hosts)
        self.allow_origins(origins)

    def allow_hosts(self, hosts: Iterable[str]) -> None:
        """Take these as right Hosts too, in place of those given before."""
        self._hosts = self._own_hosts | set(hosts)

    def allow_origins(self, origins: Iterable[str]) -> None:
        """Take these as right Origins too, in place of those given before."""
        self._origins = self._own_origins | (set(origins) - {"null"})

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
