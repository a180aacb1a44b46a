"""The floor in C: nginx as a blind proxy, one process, where it is installed."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.server import Started

CONFIG = """
daemon off;
master_process off;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    keepalive_requests 1000000;
    upstream target {{ server {target}; keepalive 128; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://target;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


def installed() -> str | None:
    """The program, if it is here; Debian keeps it where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@contextmanager
def proxy(target: str) -> Iterator[Started]:
    """Run it in front of `target` until the block is left."""
    program = installed()
    assert program is not None
    parts = urlsplit(target)
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        port = _free_port()
        config = Path(home, "nginx.conf")
        config.write_text(CONFIG.format(home=home, port=port, target=parts.netloc))
        command = [program, "-p", home, "-e", f"{home}/error.log", "-c", str(config)]
        with subprocess.Popen(command) as process:
            try:
                _wait_for(process, port)
                yield Started(f"http://127.0.0.1:{port}{parts.path}", process.pid)
            finally:
                process.terminate()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    """Until it listens."""
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
            continue
        return
    raise RuntimeError("nginx did not start")
