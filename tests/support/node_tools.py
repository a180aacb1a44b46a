"""Node programs for the tests, installed on first use into a cache outside the repository.

`node/package-lock.json` names every package with its hash, and the cache folder carries the hash of
that file: another lock is another folder.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import Daemon

WANTED = Path(__file__).with_name("node")
PATIENCE = 180
"""Seconds that a Node program may take on a machine that stalls."""
FILES = ("package.json", "package-lock.json")


@dataclass(frozen=True)
class NodeTools:
    """An installed `node_modules`."""

    modules: Path

    @property
    def node(self) -> str:
        """The Node that the Inspector needs; the system's may be older."""
        return str(self.modules / "node/bin/node")

    @property
    def inspector(self) -> list[str]:
        """The Inspector's command line."""
        launcher = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
        return [self.node, str(self.modules / launcher), "--cli"]

    def inspect(
        self, daemon: Daemon, connection: str, key: str, *words: str, era: str = "legacy"
    ) -> Any:
        """What the Inspector prints for one method, in a protocol era."""
        done = subprocess.run(
            [
                *self.inspector, f"{daemon.url}/mcp/{connection}", "--transport", "http",
                "--stored-auth-only", "--header", f"Authorization: Bearer {key}",
                "--protocol-era", era, "--method", *words,
            ],
            cwd=daemon.home, env=daemon.environ | {"HOME": str(daemon.home)},
            capture_output=True, text=True, check=False, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @property
    def conformance(self) -> list[str]:
        """The official conformance suite's command line."""
        script = "@modelcontextprotocol/conformance/dist/index.js"
        return [self.node, str(self.modules / script)]

    @property
    def client(self) -> Path:
        """A script on the TypeScript SDK."""
        return WANTED / "client.mjs"

    @property
    def mcp_remote(self) -> list[str]:
        """The command line of `mcp-remote`: HTTP on one side, stdio on the other."""
        return [self.node, str(self.modules / "mcp-remote/dist/proxy.js")]

    @property
    def supergateway(self) -> list[str]:
        """The command line of `supergateway`: stdio to HTTP, or the other way."""
        return [self.node, str(self.modules / "supergateway/dist/index.js")]

    @property
    def everything(self) -> list[str]:
        """The reference server over stdio."""
        script = "@modelcontextprotocol/server-everything/dist/index.js"
        return [self.node, str(self.modules / script), "stdio"]


def node_tools() -> NodeTools:
    """The tools, installed if need be. Without npm the calling test is skipped."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed; any Node from https://nodejs.org or a package brings it")
    default = Path.home() / ".cache/meshctl-tests/node"
    cache = Path(os.environ.get("MESHCTL_TEST_NODE") or default)
    lock = (WANTED / "package-lock.json").read_bytes()
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as holding:
        fcntl.flock(holding, fcntl.LOCK_EX)  # test processes may run side by side
        if not folder.exists():
            _install(folder)
    return NodeTools(folder / "node_modules")


def _install(folder: Path) -> None:
    """`npm ci` beside `folder`, moved there when it is whole."""
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    for name in FILES:
        shutil.copy(WANTED / name, draft)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=draft, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"npm ci failed in {draft}: {done.stderr[-2000:]}")
    draft.rename(folder)
