"""What a DSN asks for, as a table; and TLS, with a server that speaks it."""

import ssl

import pytest

from meshd.store.db import StoreError, StoreUnavailable
from meshd.store.postgres import PostgresDatabase
from meshd.store.postgres_dsn import read_dsn
from tests.meshd.store.front import TLS_ASKED, Front
from tests.support.certificates import write_certificate
from tests.support.postgres import with_options

LIMITS = {
    "application_name": "meshd",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
}
DURABLE = {"synchronous_commit": "on"}


@pytest.mark.parametrize(
    ("dsn", "left", "settings", "bouncer"),
    [
        ("postgresql://h/d", "postgresql://h/d?", LIMITS | DURABLE, False),
        ("postgresql://h/d?a=b%20c", "postgresql://h/d?a=b+c", LIMITS | DURABLE, False),
        ("postgresql://h/d?pgbouncer=true", "postgresql://h/d?", {}, True),
        ("postgresql://h/d?pgbouncer=true&a=b", "postgresql://h/d?a=b", {}, True),
        ("postgresql://h/d?pgbouncer=false", "postgresql://h/d?", LIMITS | DURABLE, False),
        (
            "postgresql://h/d?statement_timeout=1s&synchronous_commit=off",
            "postgresql://h/d?statement_timeout=1s&synchronous_commit=off",
            {name: LIMITS[name] for name in LIMITS if name != "statement_timeout"} | DURABLE,
            False,
        ),
    ],
)
def test_what_a_dsn_asks_for(dsn, left, settings, bouncer):
    """What it says of the limits holds; a promise it cannot take back."""
    target = read_dsn(dsn, ssl=False, relaxed=False)
    assert target.options["dsn"] == left
    assert target.options["server_settings"] == settings
    assert target.bouncer is bouncer
    assert (target.options["statement_cache_size"] == 0) is bouncer


def test_what_the_settings_beside_it_ask_for():
    relaxed = read_dsn("postgresql://h/d", ssl=True, relaxed=True)
    assert relaxed.options["server_settings"] == {**LIMITS, "synchronous_commit": "off"}
    assert relaxed.options["ssl"] is True
    assert read_dsn("postgresql://h/d", ssl=False, relaxed=False).options["ssl"] is None


def test_a_password_is_not_shown_with_it():
    assert "hunter2" not in repr(read_dsn("postgresql://me:hunter2@h/d", ssl=False, relaxed=False))


@pytest.mark.parametrize("dsn", ["postgresql://[h/d", "postgresql://h/d?a", "postgresql://h/d?&"])
def test_what_cannot_be_read_is_refused(dsn):
    with pytest.raises(StoreError, match="cannot be read"):
        read_dsn(dsn, ssl=False, relaxed=False)


@pytest.fixture
def certificate(tmp_path):
    return write_certificate(tmp_path / "server.pem")


@pytest.fixture
async def front(dsn, certificate):
    """The server behind TLS."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    opened = await Front.open(dsn, tls)
    yield opened
    await opened.close()


async def speaks(dsn, queries, *, demand: bool) -> bool:
    database = await PostgresDatabase.open(dsn, queries, migrations=[], ssl=demand, relaxed=True)
    await database.close()
    return True


class TestTls:
    async def test_a_certificate_that_nobody_vouches_for_is_refused(self, front, queries):
        with pytest.raises(StoreUnavailable, match="certificate verify failed"):
            await speaks(front.dsn, queries, demand=True)

    async def test_one_that_the_system_trusts_will_do(
        self, front, queries, certificate, monkeypatch
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert await speaks(front.dsn, queries, demand=True)
        assert front.began_with == [TLS_ASKED]

    async def test_one_that_the_dsn_names_will_do(self, front, queries, certificate):
        asked = with_options(front.dsn, sslmode="verify-full", sslrootcert=str(certificate))
        assert await speaks(asked, queries, demand=False)
        assert front.began_with == [TLS_ASKED]

    async def test_a_server_without_it_is_refused_where_it_is_demanded(self, dsn, queries):
        plain = await Front.open(dsn)
        try:
            with pytest.raises(StoreUnavailable):
                await speaks(plain.dsn, queries, demand=True)
            assert await speaks(with_options(plain.dsn, sslmode="disable"), queries, demand=False)
        finally:
            await plain.close()
