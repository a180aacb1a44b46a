"""For every test: in which order they run, a daemon of one test's own, and one that a module shares."""

import gc
from collections import Counter
from collections.abc import Generator, Iterator

import pytest
from hypothesis import settings

from tests.support.daemon import Daemon
from tests.support.postgres import Postgres, running
from tests.support.scratch import use_memory

use_memory()  # before pytest asks where its folders are

# On a busy machine a single example may take long, and says nothing by it.
settings.register_profile("suite", max_examples=50, deadline=None)
settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays to the end: garbage is not looked for in it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests first: theirs start programs and take long, those of many are tables.

    A worker takes whole files, and at the end should not be the only one that still has one.
    """
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: tests[item.path])


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
