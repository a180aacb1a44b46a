"""Fixtures for both floors of the client: a short-lived home, and a program in place of meshd."""

import shutil
import tempfile
from pathlib import Path

import pytest

from meshctl.client import start
from meshctl.client.home import Home


@pytest.fixture
def home():
    """A home with a short path; pytest's folders are too deep for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="mesh-"))
    yield Home(folder)
    shutil.rmtree(folder)


@pytest.fixture
def fake_meshd(home, monkeypatch):
    """`python -m meshd` runs the fake; what still runs at the end is stopped."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "fake"))
    monkeypatch.setenv("MESHCTL_HOME", home.text)
    yield home
    start.stop(home)
