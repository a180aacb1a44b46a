"""A gateway with the fixture behind it in each of the four ways."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.daemon import Daemon

ROOT = Path(__file__).parents[2]
_STDIO = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from tests.conformance.fixture import main; main()"
)


@contextmanager
def house() -> Iterator[tuple[Daemon, str]]:
    """The daemon, with connections `handshake`, `stateless`, `sse-only`, `stdio`, and a key for them."""
    with ExitStack() as stack:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        origins = f"http://localhost:{port},http://127.0.0.1:{port}"
        daemon = Daemon.fresh(ALLOWED_ORIGINS=origins)  # the suite calls from a page of this site
        stack.callback(daemon.remove)
        daemon.start(port=port)
        for era in ("handshake", "stateless", "sse-only"):
            daemon.connect_http(era, stack.enter_context(fixture(era)))
        daemon.connect("stdio", sys.executable, "-c", _STDIO, str(ROOT), "--stdio")
        yield daemon, daemon.add_key("conformance")


@contextmanager
def fixture(era: str) -> Iterator[str]:
    """The URL of the fixture over HTTP, in one era."""
    command = [
        sys.executable,
        "-m",
        "tests.conformance.fixture",
        "--era",
        era.removesuffix("-only"),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()
