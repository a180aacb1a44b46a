"""Fixtures for every test: a real daemon for one test, and one shared by a module."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support.daemon import Daemon
from tests.support.postgres import Postgres, running

# On a busy machine a single example may take long, and says nothing by it.
settings.register_profile("suite", max_examples=50, deadline=None)
settings.load_profile("suite")


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    """A daemon of this test's own, running."""
    made = Daemon.fresh().start()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def shared_daemon() -> Iterator[Daemon]:
    """One daemon for a module whose tests do not disturb each other."""
    made = Daemon.fresh().start()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def postgres(testrun_uid: str) -> Iterator[Postgres]:
    """The Postgres server of this test run, started by the first test that wants one."""
    with running(testrun_uid) as server:
        yield server


@pytest.fixture
def dsn(postgres: Postgres) -> Iterator[str]:
    """An empty schema on it."""
    with postgres.schema() as schema:
        yield schema
