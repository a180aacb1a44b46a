"""Sources of the master key: the order, and what each refuses. Daemons with them: life/test_locked."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshd.core.config import read_config
from meshd.core.secret import Secret
from meshd.vault.errors import MasterKeyError
from meshd.vault.key import Key
from meshd.vault.master import MasterKey, encode, load_or_create
from meshd.vault.sources.chain import sources
from meshd.vault.sources.command import CommandSource
from meshd.vault.sources.credential import CredentialSource
from meshd.vault.sources.environment import EnvironmentSource
from meshd.vault.sources.file import FileSource
from meshd.vault.sources.program import ask

KEY = MasterKey(Key.random())
TEXT = encode(KEY).decode()


def test_the_order_of_the_chain(tmp_path: Path) -> None:
    """Each source stands before those that are taken away last."""
    load_or_create(tmp_path / "keys" / "master.key")
    (tmp_path / "meshctl-master-key").write_text(TEXT)
    environ = {
        "MESHCTL_HOME": str(tmp_path), "MESHCTL_MASTER_KEY_COMMAND": "op read",
        "CREDENTIALS_DIRECTORY": str(tmp_path), "MESHCTL_KEYRING": "yes",
        "MESHCTL_MASTER_KEY": TEXT,
    }  # fmt: skip
    names = [source.name for source in sources(read_config(environ))]
    assert names == ["command", "credential", "keyring", "file", "environment"]
    (tmp_path / "meshctl-master-key").unlink()
    (tmp_path / "keys" / "master.key").unlink()
    names = [source.name for source in sources(read_config(environ))]
    assert names == ["command", "keyring", "environment"]
    bare = read_config({"MESHCTL_HOME": str(tmp_path)})
    assert [source.name for source in sources(bare)] == ["file"]


async def test_each_source_reads_the_one_text_form(tmp_path: Path) -> None:
    """With blanks around it or without; none shows where it can be printed."""
    path = tmp_path / "credential"
    path.write_text(f"  {TEXT}\n")
    for source in (
        CommandSource(["printf", "%s", TEXT]),
        CredentialSource(path),
        EnvironmentSource(Secret(TEXT.strip())),
    ):
        assert (await source.key(create=True)).id == KEY.id
        assert TEXT.strip() not in repr(source) + source.place
    assert CommandSource(["/usr/bin/op", "--token=x"]).place == "op"


async def test_what_supplies_no_key_makes_none(tmp_path: Path) -> None:
    """Only file and keyring may make one, and only when told."""
    path = tmp_path / "keys" / "master.key"
    for source in (
        CommandSource(["true"]),
        CredentialSource(tmp_path / "none"),
        EnvironmentSource(Secret("x")),
        FileSource(path),
    ):
        with pytest.raises(MasterKeyError):
            await source.key(create=False)
    assert list(tmp_path.iterdir()) == []
    assert (await FileSource(path).key(create=True)).id == (
        await FileSource(path).key(create=False)
    ).id


async def test_a_credential_is_a_file_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(TEXT)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(MasterKeyError):
            await CredentialSource(tmp_path / name).key(create=False)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["sh", "-c", "exit 3"], "exit code 3"),
        (["sh", "-c", "kill -9 $$"], "signal 9"),
        (["sleep", "60"], "within 0.2 s"),
        (["sh", "-c", "sleep 60 & wait"], "within 0.2 s"),
        (["yes"], "more than 4096 bytes"),
        (["/nowhere/at/all"], "cannot be run"),
        (["nul\0byte"], "cannot be run"),
    ],
)
async def test_a_program_that_does_not_answer_well(argv: list[str], said: str) -> None:
    with pytest.raises(MasterKeyError, match=said):
        await ask(argv, "It", within=0.2 if "within" in said else 60.0)


async def test_a_program_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its whole group ends with it, also what it put into the background."""
    script = f"sleep 60 >/dev/null & echo $! > {tmp_path}/pid; echo done"
    assert await ask(["sh", "-c", script], "It", within=60.0) == b"done\n"
    pid = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(5):
        while Path(f"/proc/{pid}").exists() and "Z" not in _state(pid):
            await asyncio.sleep(0)


def _state(pid: int) -> str:
    return (
        subprocess.run(
            ["ps", "-p", str(pid), "-o", "state="], capture_output=True, text=True, check=False
        ).stdout
        or "Z"
    )


FAKES = """
import json, sys
import keyring
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from meshd.vault.sources import keyring_process

class Good(KeyringBackend):
    priority = 1
    kept = {}
    def get_password(self, service, name):
        return self.kept.get((service, name))
    def set_password(self, service, name, value):
        self.kept[service, name] = value

class Plaintext(Good):
    pass

class Refusing(Good):
    def get_password(self, service, name):
        raise keyring.errors.KeyringLocked("canary")

def chain(*links):
    class Chain(chainer.ChainerBackend):
        backends = links
    Chain.__module__, Chain.__qualname__ = "keyring.backends.chainer", "ChainerBackend"
    return Chain()

good, plain = Good(), Plaintext()
keyring.set_keyring({
    "good": good, "plaintext": plain, "null": null.Keyring(), "fail": fail.Keyring(),
    "refusing": Refusing(), "chain of good": chain(good), "chain with plaintext": chain(good, plain),
    "empty chain": chain(),
}[sys.argv[1]])
trusted = frozenset(sys.argv[2].split())
said = [keyring_process.answer(*words, trusted) for words in
        (("get", "n", ""), ("set", "n", "value\\n"), ("get", "n", ""))]
print(json.dumps(said))
"""

ALLOWED = "__main__.Good __main__.Refusing"


def keyring(which: str, trusted: str = ALLOWED) -> list[dict[str, str | None]]:
    """What the keyring process says with this backend in the real library."""
    done = subprocess.run(
        [sys.executable, "-c", FAKES, which, trusted], capture_output=True, check=True, timeout=30
    )
    said: list[dict[str, str | None]] = json.loads(done.stdout)
    return said


@pytest.mark.parametrize("which", ["good", "chain of good"])
def test_a_keyring_on_the_list_is_asked(which: str) -> None:
    assert keyring(which) == [{"key": None}, {}, {"key": "value"}]


@pytest.mark.parametrize(
    "which",
    ["good", "plaintext", "null", "chain with plaintext", "chain of good", "empty chain"],
)
def test_a_keyring_not_on_the_list_is_refused(which: str) -> None:
    """The list of the product: whatever keeps nothing, or keeps it readable, is not on it."""
    said = keyring(which, ALLOWED if which not in {"good", "chain of good"} else "keyring.other")
    assert all("not known to keep secrets encrypted" in str(one["refused"]) for one in said)


def test_that_no_keyring_answers_is_said_so() -> None:
    assert all("No keyring answers here" in str(one["refused"]) for one in keyring("fail"))


def test_a_locked_keyring_refuses_without_its_words() -> None:
    (said, *_) = keyring("refusing")
    assert "KeyringLocked" in str(said["refused"])
    assert "canary" not in str(said)
