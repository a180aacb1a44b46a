"""`meshctl org …` as a program against a real daemon: which org is in use, and who decides."""

import json
import stat
import subprocess
import sys

import pytest

from tests.support import stdio_server
from tests.support.daemon import Daemon


class Shell:
    """Runs `meshctl …` in a daemon's home: exit code, stdout, stderr."""

    def __init__(self, daemon):
        self.daemon = daemon

    def __call__(self, *words, stdin="", **env):
        done = subprocess.run(
            [sys.executable, "-m", "meshctl", *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env={**self.daemon.environ, "HOME": str(self.daemon.home), **env},
            cwd=self.daemon.home,
        )
        return done.returncode, done.stdout, done.stderr

    def json(self, *words, **env):
        code, out, err = self(*words, "--json", **env)
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def meshctl():
    daemon = Daemon.fresh().start()
    yield Shell(daemon)
    daemon.remove()


def test_with_one_org_nothing_needs_to_be_said(meshctl):
    assert [one["name"] for one in meshctl.json("org", "list")] == ["default"]
    assert meshctl.json("status")["org"]["name"] == "default"
    assert not (meshctl.daemon.home / "org").exists()


def test_create_does_not_switch_and_use_does(meshctl):
    code, out, err = meshctl("org", "create", "Team")
    assert code == 0, err
    assert out.startswith('made org "team"  org_')
    assert err == "next: meshctl org use team\n"
    assert meshctl.json("whoami")["org"]["name"] == "default"
    assert meshctl("org", "use", "team")[:2] == (0, 'using org "team"\n')
    file = meshctl.daemon.home / "org"
    assert file.read_text() == "team\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for command in ("status", "whoami"):
        assert meshctl.json(command)["org"]["name"] == "team"
    _, out, _ = meshctl("org", "list")
    used = {row.split()[0]: row.split()[1] + row.split()[2] for row in out.splitlines()[1:]}
    assert {name: words.startswith("yes") for name, words in used.items()} == {
        "default": False,
        "team": True,
    }


def test_a_flag_beats_the_variable_and_that_beats_the_choice(meshctl):
    for name in ("one", "two", "three"):
        meshctl("org", "create", name)
    meshctl("org", "use", "one")
    assert meshctl.json("status")["org"]["name"] == "one"
    assert meshctl.json("status", MESHCTL_ORG="two")["org"]["name"] == "two"
    assert meshctl.json("status", "--org", "three", MESHCTL_ORG="two")["org"]["name"] == "three"
    assert "MESHCTL_ORG=two beats it" in meshctl("org", "use", "one", MESHCTL_ORG="two")[2]


def test_things_are_made_in_the_org_in_use(meshctl):
    meshctl("org", "create", "team")
    meshctl("org", "use", "team")
    assert meshctl("add-key", "laptop")[0] == 0
    assert [key["name"] for key in meshctl.json("key", "list")] == ["laptop"]
    assert meshctl.json("key", "list", "--org", "default") == []
    assert meshctl("completion", "names", "key")[1] == "laptop\n"
    assert meshctl("completion", "names", "org")[1] == "default\nteam\n"


def test_one_that_is_gone_is_told_with_the_command_that_helps(meshctl):
    meshctl("org", "create", "team")
    meshctl("org", "use", "team")
    meshctl.daemon.control("DELETE", "/v1/orgs/team")
    for words in (("status",), ("key", "list"), ("tail-events",)):
        code, _, err = meshctl(*words)
        assert code == 5
        assert err == (
            'error: there is no org "team"\n  orgs: default\nnext: meshctl org use default\n'
        )
    assert meshctl("org", "list")[0] == 0, "one must be able to look"
    assert meshctl("org", "use", "default")[0] == 0
    assert meshctl("status")[0] == 0
    assert meshctl("org", "use", "team")[0] == 5


def test_without_a_choice_several_orgs_are_listed(meshctl):
    """As where another client made the second one."""
    meshctl.daemon.control("POST", "/v1/orgs", {"name": "team"})
    code, _, err = meshctl("key", "list")
    assert (code, err) == (
        2,
        "error: say in which org\n  orgs: default team\nnext: meshctl org use NAME\n",
    )


def test_rename_asks_and_is_followed(meshctl):
    meshctl("org", "create", "team")
    meshctl("org", "use", "team")
    code, _, err = meshctl("org", "rename", "team", "crew")
    assert code == 2
    assert "nothing was done" in err
    assert meshctl("org", "rename", "team", "crew", "--yes")[:2] == (
        0,
        'renamed org "team" to "crew"\n',
    )
    assert meshctl.json("status")["org"]["name"] == "crew"


def test_remove_asks_and_is_forgotten(meshctl):
    meshctl("org", "create", "team")
    meshctl("org", "use", "team")
    assert meshctl("org", "remove", "team")[0] == 2
    assert meshctl("org", "remove", "team", "--yes")[:2] == (0, 'removed org "team"\n')
    assert not (meshctl.daemon.home / "org").exists()
    assert meshctl.json("status")["org"]["name"] == "default"
    code, _, err = meshctl("org", "remove", "default", "--yes")
    assert (code, err) == (
        6,
        'error: "default" is the last org\nnext: meshctl org create NAME\n',
    )


def test_a_bridge_serves_the_org_in_use(meshctl):
    """`meshctl stdio` finds its connection and its key there."""
    meshctl("org", "create", "team")
    meshctl("org", "use", "team")
    meshctl("connect", "example", "--", *stdio_server.command())
    meshctl("add-key", "desktop", "--allow", "example")
    hello = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}) + "\n"
    found = json.loads(meshctl("stdio", "example", "--key", "desktop", stdin=hello)[1])
    assert "echo" in {tool["name"] for tool in found["result"]["tools"]}
    lost = json.loads(
        meshctl("stdio", "example", "--key", "desktop", "--org", "default", stdin=hello)[1]
    )
    assert "there is no key" in lost["error"]["message"]
