"""Fixtures of the command tests."""

import shutil
import tempfile

import pytest

from tests.meshctl.cli.scripted import Scripted


@pytest.fixture
def scripted():
    """A daemon that is a script, in a home of its own; pytest's folders are too deep for sockets."""
    folder = tempfile.mkdtemp(prefix="mesh-")
    daemon = Scripted(folder)
    yield daemon
    daemon.close()
    shutil.rmtree(folder)
