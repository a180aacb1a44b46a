"""As much of meshd as its process contract says: lock, ready line, status, stop; `FAKE` spoils it.

`FAKE=refuse` reports an error, `FAKE=die` ends without a word, `FAKE=deaf` holds the lock and never
serves. The words `doctor --json` and `config --json` print `FAKE_SAYS`.
"""

import argparse
import fcntl
import json
import os
import socketserver
import sys
from http.server import BaseHTTPRequestHandler
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer({"daemon": STATE, "url": URL, "problems": []})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.stopping = self.path == "/v1/daemon/stop"
        self._answer({"pid": os.getpid()})

    def _answer(self, data):
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


def report(fd, answer):
    if fd is not None:
        os.write(fd, json.dumps(answer).encode() + b"\n")
        os.close(fd)


def error(code, text, **facts):
    return {"error": {"code": code, "message": text, "facts": facts}}


if len(sys.argv) > 1 and sys.argv[1] in {"doctor", "config"}:
    print(os.environ["FAKE_SAYS"])
    sys.exit(0)

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, default=3000)
parser.add_argument("--ready-fd", type=int)
given = parser.parse_args()
home = os.environ["MESHCTL_HOME"]
mode = os.environ.get("FAKE")
print("starting", file=sys.stderr, flush=True)
if mode == "die":
    sys.exit(1)
if mode == "refuse":
    report(given.ready_fd, error("conflict", "port 3000 is taken"))
    sys.exit(1)
lock = os.open(f"{home}/meshd.lock", os.O_RDWR | os.O_CREAT, 0o600)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    report(given.ready_fd, error("conflict", "meshd is already running", pid="1"))
    sys.exit(1)
path = f"{home}/meshd.sock"
Path(path).unlink(missing_ok=True)
URL = f"http://127.0.0.1:{given.port or 40123}"
STATE = {
    "state": "running",
    "version": "0.1.0",
    "pid": os.getpid(),
    "uptime_s": 0.1,
    "socket": path,
}
with socketserver.UnixStreamServer(path, Handler) as server:
    server.stopping = False
    report(given.ready_fd, {"pid": os.getpid(), "socket": path, "url": URL, "version": "0.1.0",
                            "state": "running"})  # fmt: skip
    while not server.stopping:
        server.handle_request()
Path(path).unlink()
