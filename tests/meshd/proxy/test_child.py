"""A child process from its start to its end, and what it may see and leave behind."""

import asyncio
import os
import resource
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshd.core.secret import Secret
from meshd.proxy.child import Child, Command
from meshd.proxy.stderr_tail import KEPT_BYTES, LINE_BYTES, StderrTail
from meshd.wire.errors import UpstreamFailed
from tests.meshd.proxy.stdio_servers import STUBBORN, lifelines, quiet_loop, server


class Ear:
    """Collects what a child writes, and knows when nothing more comes."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = asyncio.Event()
        self.ends = 0
        self._more = asyncio.Event()

    def hear(self, chunk: bytes) -> None:
        self.heard += chunk
        self._more.set()

    def end(self) -> None:
        self.ends += 1
        self.ended.set()

    async def until(self, condition: Callable[[bytes], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition(self.heard):
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def running(command: Command, folder: Path) -> AsyncIterator[tuple[Child, Ear]]:
    ear = Ear()
    child = Child(command, folder=folder / "children", on_stdout=ear.hear, on_end=ear.end)
    await child.spawn()
    with quiet_loop():
        try:
            yield child, ear
        finally:
            await child.stop(eof_wait=0, term_wait=0)


async def output_of(command: Command, folder: Path) -> tuple[Child, str]:
    """The child, ended by itself, and all it wrote."""
    async with running(command, folder) as (child, ear), asyncio.timeout(10):
        await ear.ended.wait()
    return child, ear.heard.decode()


def python(code: str, *arguments: str, **env: str) -> Command:
    secrets = {name: Secret(value) for name, value in env.items()}
    return Command((sys.executable, "-I", "-S", "-c", code, *arguments), secrets)


def is_reaped(pid: int) -> bool:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


DOCUMENTED = {
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    "NODE_EXTRA_CA_CERTS",
}


async def test_environment_is_the_documented_list_and_what_is_given(tmp_path, monkeypatch):
    """Everything else of the daemon's environment stays behind."""
    for name in [*DOCUMENTED - {"PATH"}, "LC_ALL", "XDG_DATA_HOME"]:
        monkeypatch.setenv(name, f"the {name}")
    for name in ["MESHCTL_HOME", "MESHCTL_MASTER_KEY", "AWS_SECRET_ACCESS_KEY", "NODE_OPTIONS",
                 "LD_PRELOAD", "PYTHONPATH", "PORT", "LCX", "XDGX"]:  # fmt: skip
        monkeypatch.setenv(name, "the daemon's")
    given = {"API_KEY": Secret("k=1 ; $x"), "TZ": Secret("UTC"), "LD_PRELOAD": Secret("")}
    _, text = await output_of(Command(("env",), given), tmp_path)
    seen = dict(line.split("=", 1) for line in text.splitlines())
    assert seen.pop("API_KEY") == "k=1 ; $x"
    assert seen.pop("TZ") == "UTC"
    assert seen.pop("LD_PRELOAD") == ""
    inherited = DOCUMENTED - {"TZ"} | {name for name in os.environ if name[:3] == "LC_"}
    inherited |= {name for name in os.environ if name[:4] == "XDG_"}
    assert seen == {name: os.environ[name] for name in inherited}


async def test_arguments_reach_the_program_without_a_shell(tmp_path):
    """Metacharacters and dashes are only text."""
    odd = ("; touch x", "$(touch y)", "`touch z`", "--flag", "-", "*", "a b", "", "ü\n")
    _, text = await output_of(python("import sys; print(sys.argv[1:])", *odd), tmp_path)
    assert text == f"{list(odd)!r}\n"


async def test_what_the_operator_sets_reaches_this_child_alone(tmp_path):
    """Also what steers loaders and interpreters; no other child and not the daemon gets it."""
    given = {
        "LD_PRELOAD": "", "NODE_OPTIONS": "--require ./x.js; $(touch y)", "PATH": "/bin:/usr/bin",
        "PYTHONPATH": "/nowhere", "BASH_ENV": "`touch z`",
    }  # fmt: skip
    before = dict(os.environ)
    secrets = {name: Secret(value) for name, value in given.items()}
    _, text = await output_of(Command(("env",), secrets, str(tmp_path)), tmp_path)
    seen = dict(line.split("=", 1) for line in text.splitlines())
    assert given.items() <= seen.items()
    assert dict(os.environ) == before
    _, text = await output_of(Command(("env",), {}, str(tmp_path)), tmp_path)
    assert not {"NODE_OPTIONS", "BASH_ENV", "LD_PRELOAD"} & {
        line.partition("=")[0] for line in text.splitlines()
    }
    assert {path.name for path in tmp_path.iterdir()} <= {"children"}  # no x, y or z


async def test_the_program_is_looked_for_on_the_path_it_is_given(tmp_path):
    """So that an operator's own PATH decides; the daemon's does not."""
    program(tmp_path / "bin", "server", "mine")
    command = Command(("server",), {"PATH": Secret(f"{tmp_path / 'bin'}:/bin:/usr/bin")})
    _, text = await output_of(command, tmp_path)
    assert text == "mine\n"


@pytest.mark.parametrize("name", ["-server", "a b;c", "$(x)", "*"])
async def test_a_relative_program_is_relative_to_its_folder(tmp_path, name):
    """And its name is a name, whatever characters are in it."""
    program(tmp_path / "bin", name, "here")
    command = Command((f"./{name}", "--help"), {}, str(tmp_path / "bin"))
    _, text = await output_of(command, tmp_path)
    assert text == "here\n"


def program(folder: Path, name: str, says: str) -> None:
    folder.mkdir()
    path = folder / name
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o700)


async def test_working_folder(tmp_path):
    """`cwd` is where the child starts."""
    _, text = await output_of(Command(("pwd",), {}, str(tmp_path)), tmp_path)
    assert text.strip() == os.path.realpath(tmp_path)


def test_no_secret_in_the_text_of_a_command():
    """A command can be logged."""
    command = Command(("npx", "thing"), {"API_KEY": Secret("hunter2hunter2")})
    assert "hunter2" not in f"{command} {command!r}"
    assert "API_KEY" in repr(command)


@pytest.mark.parametrize(
    ("command", "says", "next_step"),
    [
        (Command(("no-such-program", "x")), "no-such-program does not exist", True),
        (Command(("sh",), {}, "/no/such/folder"), "/no/such/folder does not exist", False),
        (Command(("/etc",)), "Permission denied", False),
        (Command(("sh",), {"A=B": Secret("c")}), "illegal environment variable name", False),
        (Command(("sh", "a\0b")), "null byte", False),
        (Command(()), "no command", False),
    ],
)
async def test_a_start_that_fails_says_why(tmp_path, command, says, next_step):
    """A typed error with the system's reason, and no process or record left."""
    child = Child(command, folder=tmp_path, on_stdout=lambda _: None, on_end=lambda: None)
    with pytest.raises(UpstreamFailed, match=says) as caught:
        await child.spawn()
    assert (caught.value.next is not None) == next_step
    await child.stop()
    assert list(tmp_path.iterdir()) == []


async def test_a_child_that_cannot_be_recorded_does_not_stay(tmp_path):
    """Without a record nobody could kill it after a crash."""
    (tmp_path / "children").write_text("a file, not a folder")
    child = Child(
        python("import time; time.sleep(600)"),
        folder=tmp_path / "children",
        on_stdout=lambda _: None,
        on_end=lambda: None,
    )
    with pytest.raises(UpstreamFailed, match="cannot record"):
        await child.spawn()
    assert is_reaped(child.pid)


async def test_natural_end(tmp_path):
    """The last output is read, the exit code kept, the record removed, the process reaped."""
    code = "import sys; print('bye'); sys.stderr.write('why'); sys.exit(3)"
    child, text = await output_of(python(code), tmp_path)
    assert (text, child.returncode, child.fate) == ("bye\n", 3, "exited with code 3")
    assert child.facts() == {"exit": "3", "stderr": "why"}
    assert is_reaped(child.pid)
    assert list((tmp_path / "children").iterdir()) == []


NAMELESS = [(40, "signal 40")] if sys.platform == "linux" else []  # macOS names all it has


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), *NAMELESS])
async def test_the_end_by_a_signal(tmp_path, number, name):
    """Named where the signal has a name."""
    child, _ = await output_of(python(f"import os; os.kill(os.getpid(), {number})"), tmp_path)
    assert child.fate == f"was ended by {name}"


async def test_leads_its_own_session_and_group(tmp_path):
    """So that the terminal's signals do not reach it, and ours reach all of it."""
    code = "import os; print(os.getpid() == os.getpgid(0) == os.getsid(0))"
    _, text = await output_of(python(code), tmp_path)
    assert text == "True\n"


async def test_stop_closes_stdin_first(tmp_path):
    """A well-behaved server ends by itself, with no signal."""
    code = "import sys; print('up', flush=True); sys.stdin.read(); print('bye')"
    async with running(python(code), tmp_path) as (child, ear):
        await ear.until(lambda heard: b"up" in heard)
        await child.stop()
        assert (child.returncode, ear.heard) == (0, b"up\nbye\n")


async def test_stop_asks_before_it_kills(tmp_path):
    """A server that ignores its stdin gets SIGTERM."""
    async with running(python("print(1, flush=True); import time; time.sleep(600)"), tmp_path) as (
        child,
        ear,
    ):
        await ear.until(bool)
        await child.stop(eof_wait=0.01)
        assert child.fate == "was ended by SIGTERM"


async def test_stop_kills_the_stubborn_and_its_offspring(tmp_path):
    """Neither closed stdin nor SIGTERM help here; no process and no zombie remains."""
    command = server(tmp_path, str(tmp_path / "line"), source=STUBBORN)
    with lifelines(tmp_path) as (leader, grandchild):
        async with running(command, tmp_path) as (child, ear):
            assert await leader.holder() == child.pid
            await grandchild.holder()
            stops = [child.stop(eof_wait=0.01, term_wait=0.05) for _ in range(3)]
            await asyncio.gather(*stops)
            await leader.gone()
            await grandchild.gone()
            assert child.fate == "was ended by SIGKILL"
            assert is_reaped(child.pid)
            assert ear.ends == 1


async def test_offspring_die_with_a_leader_that_ends_by_itself(tmp_path):
    """Nobody called `stop`."""
    command = server(tmp_path, str(tmp_path / "line"), source=STUBBORN)
    with lifelines(tmp_path) as (leader, grandchild):
        async with running(command, tmp_path) as (child, _):
            await leader.holder()
            await grandchild.holder()
            os.kill(child.pid, 9)
            await leader.gone()
            await grandchild.gone()


async def test_a_cancelled_stop_goes_on(tmp_path):
    """Whoever waited may leave; the child ends all the same."""
    async with running(python("print(1, flush=True); import time; time.sleep(600)"), tmp_path) as (
        child,
        ear,
    ):
        await ear.until(bool)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await child.stop(eof_wait=0.05)
        async with asyncio.timeout(10):
            await ear.ended.wait()
        assert child.fate == "was ended by SIGTERM"


async def test_a_broken_off_stop_kills(tmp_path):
    """The event loop ends and cancels what is left: there is no time for manners."""
    async with running(python("print(1, flush=True); import time; time.sleep(600)"), tmp_path) as (
        child,
        ear,
    ):
        await ear.until(bool)
        stop = asyncio.create_task(child.stop(eof_wait=600))
        await asyncio.sleep(0)
        (work,) = (task for task in asyncio.all_tasks() if "child.stop" in task.get_name())
        await asyncio.sleep(0)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        async with asyncio.timeout(10):
            await ear.ended.wait()
        assert child.fate == "was ended by SIGKILL"


ESCAPE = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    with open(sys.argv[1], "w") as line:
        line.write(f"{os.getpid()}\\n")
        line.flush()
        time.sleep(600)
print("up", flush=True)
"""


@pytest.mark.parametrize("unread", [0, 1 << 20])
@pytest.mark.parametrize("then", ["", "time.sleep(600)"])
async def test_escaped_offspring_cannot_hold_the_pipes_open(tmp_path, then, unread):
    """A process that left the group keeps all pipes open, and reads nothing of what was sent.

    The end comes all the same, whether the child ends by itself or is stopped.
    """
    with lifelines(tmp_path) as (escaped, _):
        async with running(python(ESCAPE + then, str(escaped.path)), tmp_path) as (child, ear):
            await escaped.holder()
            await ear.until(bool)
            async with asyncio.timeout(10):
                while not then and child.returncode is None:
                    await asyncio.sleep(0)
                child.write(b"x" * unread)
                if then:
                    await child.stop(eof_wait=0.01)
                await ear.ended.wait()
            assert ear.ends == 1
            assert child.returncode == (-15 if then else 0)


async def test_what_was_written_before_the_stop_still_arrives(tmp_path):
    """Writes are gathered, not lost."""
    code = "import sys; print('up', flush=True); print(sys.stdin.read())"
    async with running(python(code), tmp_path) as (child, ear):
        await ear.until(bool)
        child.write(b"last ")
        child.write(b"words")
        await child.stop()
        child.write(b"too late")
        assert ear.heard == b"up\nlast words\n"


async def test_a_flood_on_stderr_is_bounded_and_does_not_block(tmp_path):
    """100 MB pass, the last 64 KiB stay."""
    code = """if True:
        import sys
        for n in range(100 * 8192):
            sys.stderr.buffer.write(b"%0127d\\n" % n)
        """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child, _ = await output_of(python(code), tmp_path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert child.returncode == 0
    assert len(child.stderr) <= 2 * KEPT_BYTES
    assert child.stderr.lines(1) == [f"{100 * 8192 - 1:0127d}"]
    assert len(child.stderr.lines(10_000)) == KEPT_BYTES // 128 - 1
    assert grown < (20 << 20 if sys.platform == "darwin" else 20 << 10)


def tail(*chunks: bytes, secrets: tuple[str, ...] = (), count: int = 10) -> list[str]:
    stderr = StderrTail(secrets)
    for chunk in chunks:
        stderr.feed(chunk)
    return stderr.lines(count)


PEM = "-----BEGIN X-----\nabcdefgh\nijklmnop\n-----END X-----"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (tail(b""), []),
        (tail(b"a\nb\nc\n", count=2), ["b", "c"]),
        (tail(b"\x1b[31mred\x07\ttab\xff\n"), ["\\x1b[31mred\\x07\ttab\ufffd"]),
        (tail("\u202egnp".encode()), ["\\u202egnp"]),
        (tail(b"x" * 5000), ["x" * LINE_BYTES + "…"]),
        (tail(b"key hunt", b"er22!\n", secrets=("hunter22",)), ["key ***!"]),
        (tail(b"DEBUG=1\n", secrets=("1",)), ["DEBUG=1"]),
        (tail(b"got abcdefgh\n", secrets=(PEM,)), ["got ***"]),
        (tail(b"abcdefghij\n", secrets=("abcdef", "abcdefghij")), ["***"]),
        (tail(b"x" * LINE_BYTES + b"secret99", secrets=("secret99",)), ["x" * LINE_BYTES + "…"]),
    ],
)
def test_last_words(shown, expected):
    """Cut, made visible, and free of the secrets that the child was given."""
    assert shown == expected


def test_half_a_secret_at_the_cut_does_not_show():
    """The head of what is kept may be the rest of a secret, known no more by its beginning."""
    stream = b"z" * KEPT_BYTES + b"secret99" + b"p" * (KEPT_BYTES - 4)
    (line,) = tail(stream, secrets=("secret99",))
    assert set(line) == {"p", "…"}
