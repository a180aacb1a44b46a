"""Session tokens are deciphered at most once, and not at all by the daemon that issued them."""

from meshd.gateway.sessions import Sessions
from meshd.services.directory import ConnectionRow
from meshd.vault.seal import Sealer, Session
from tests.support.clock import FakeClock
from tests.support.principals import key_principal

WHO = key_principal()
ROW = ConnectionRow(
    id="conn_a", org="org_a", name="github", transport="http", url="https://a", command=(), cwd=None, bodies="off",
    enabled=True, created_at=0, sealed=(), revision="r", state="ready", reason=None, seen_at=None,
)  # fmt: skip


class Counting(Sealer):
    """Counts what it deciphers."""

    opened = 0

    def open(self, token: str) -> Session | None:
        self.opened += 1
        return super().open(token)


def daemon() -> tuple[Sessions, Counting]:
    """The sessions of one run of the daemon."""
    clock = FakeClock()
    sealer = Counting(b"k" * 32, "dmn_a", lambda: clock.now() / 1e6)
    return Sessions(sealer, "dmn_a", clock), sealer


def test_what_was_issued_here_and_what_comes_again_is_known() -> None:
    first, sealer = daemon()
    for said in ({}, {"client": "{}"}, {"declared": "{}"}):
        token = first.issue(WHO, ROW, "theirs", "2025-06-18", **said)
        mine = first.open(token, WHO, ROW)
        assert sealer.opened == 0

        second, its = daemon()
        assert [second.open(token, WHO, ROW) for _ in range(2)] == [mine, mine]
        assert its.opened == 1
