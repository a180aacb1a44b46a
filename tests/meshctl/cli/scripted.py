"""A daemon that is a script: each control call has its answer, and what was asked is kept.

Requests are decoded with the call table's own types and answers are checked against them, so a
script cannot drift from the contract.
"""

import io
import json
import re
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from meshctl.cli.build import run
from meshctl.cli.context import Ctx
from meshctl.cli.fail import report
from meshctl.cli.flags import take
from meshctl.cli.output import Output
from meshctl.client.home import Home
from meshd.wire.calls import CALLS
from meshd.wire.errors import MeshError


class Scripted:
    """`answers` maps a call's name to data, an error to send, or a function of the request."""

    def __init__(self, folder):
        self.home = Home(folder)
        self.answers = {}
        self.asked = []
        self.environ = {"MESHCTL_HOME": self.home.text}
        self._server = _Server(self.home.at("meshd.sock"), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        """Stop serving and wait for it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def run(self, *argv, stdin="", terminal=False):
        """Run one command line in this process: exit code, stdout, stderr."""
        out, err = io.StringIO(), io.StringIO()
        typed = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        typed.isatty = lambda: terminal
        err.isatty = lambda: terminal
        flags = None
        before = sys.stdin, sys.stderr
        sys.stdin, sys.stderr = typed, err
        try:
            flags, words = take(argv, self.environ)
            me = Ctx(
                flags, self.home, Output(flags, self.environ, out, err), self.environ, start=False
            )
            code = run(words, me)
        except MeshError as error:
            code = report(error, flags, err)
        finally:
            sys.stdin, sys.stderr = before
        return code, out.getvalue(), err.getvalue()

    def answer(self, row, request):
        """What the script has for a call, as HTTP status and body."""
        self.asked.append((row.name, request))
        found = self.answers[row.name]
        if callable(found):
            found = found(request)
        if isinstance(found, MeshError):
            return found.status, json.dumps(found.body()).encode()
        lines = [json.dumps(item).encode() for item in (found if row.streams else [found])]
        for line in lines:
            msgspec.json.decode(line, type=row.answers)
        return 200, b"\n".join(lines) + b"\n"


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = True

    def __init__(self, path, script):
        self.script = script
        super().__init__(path, _Handler)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        row, fields = _find(self.command, parts.path)
        if body:
            fields |= msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        request = _request(row, fields, parse_qs(parts.query, keep_blank_values=True))
        status, data = self.server.script.answer(row, request)
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Meshctl-Version", "0.1.0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


def _find(method, path):
    for row in CALLS:
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", row.path)
        if row.method == method and (found := re.fullmatch(pattern, path)):
            named = {
                k: msgspec.Raw(json.dumps(unquote(v)).encode())
                for k, v in found.groupdict().items()
            }
            return row, named
    raise LookupError(f"{method} {path}")


def _request(row, fields, query):
    """The request as its own type; a query's text is read as that type reads it."""
    types = {field.name: field.type for field in msgspec.structs.fields(row.asks)}
    assert {*fields, *query} <= types.keys(), (row.name, fields, query)
    given = {name: msgspec.json.decode(raw, type=types[name]) for name, raw in fields.items()}
    for name, texts in query.items():
        many = getattr(types[name], "__origin__", None) is list
        given[name] = msgspec.convert(texts if many else texts[0], types[name], strict=False)
    return row.asks(**given)
