"""What a DSN asks for, as a table; and TLS, with a server that speaks it."""

import datetime as dt
import ssl
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from meshd.store.db import StoreError, StoreUnavailable
from meshd.store.postgres import PostgresDatabase
from meshd.store.postgres_dsn import read_dsn
from tests.meshd.store.front import TLS_ASKED, Front
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
    """A certificate of its own authority for 127.0.0.1, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    today = dt.datetime.now(dt.UTC)
    day = dt.timedelta(days=1)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - day)
        .not_valid_after(today + day)
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


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
