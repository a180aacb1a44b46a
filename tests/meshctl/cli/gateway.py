"""A gateway on TCP that is a script of answers."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def gateway(answer):
    """Serve `answer(message) -> (status, headers, body)`; yields the base URL and what came."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            message = json.loads(body) if body else None
            seen.append((self.command, self.path, dict(self.headers), message))
            status, headers, data = answer(message)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_DELETE = _serve

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def polite(message, result=None):
    """A gateway that answers `initialize` in JSON and everything else in a stream."""
    if message is None or "id" not in message:
        return 202, {}, b""
    if message["method"] == "initialize":
        agreed = {"protocolVersion": "2025-06-18"}
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": agreed}).encode()
        return 200, {"Content-Type": "application/json", "Mcp-Session-Id": "s1"}, body
    note = json.dumps({"jsonrpc": "2.0", "method": "notifications/message"})
    done = {"jsonrpc": "2.0", "id": message["id"], "result": result or {"tools": []}}
    stream = f": hello\n\ndata: {note}\n\nevent: message\ndata: {json.dumps(done)}\n\n".encode()
    return 200, {"Content-Type": "text/event-stream"}, stream
