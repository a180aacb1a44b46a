"""A collector of traces over OTLP/HTTP that decodes what it gets."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Attributes = dict[str, str | int]


@dataclass(frozen=True)
class Got:
    """One span with the resource that it is of."""

    span: Any
    resource: Attributes

    @property
    def attributes(self) -> Attributes:
        return values(self.span.attributes)


@dataclass
class Collector:
    """What came, and how it answers."""

    url: str = ""
    status: int = 200
    spans: list[Got] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)


def values(attributes: Any) -> Attributes:
    """Attributes as they are written down."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port."""
    made = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            made.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            if made.status == 200:
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    about = values(resource.resource.attributes)
                    made.spans += [Got(s, about) for of in resource.scope_spans for s in of.spans]
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
