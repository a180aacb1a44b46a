"""A daemon made of bytes: it keeps each request and answers what a test tells it to."""

import socket
import threading


class Peer:
    """Listens in a home. `answer(request)` gives bytes, or pieces of them; None hangs up."""

    def __init__(self, home, answer):
        self.requests = []
        self.answer = answer
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(home.at("meshd.sock"))
        self._listening.listen(64)
        self._serving = [threading.Thread(target=self._accept)]
        self._serving[0].start()

    def close(self):
        """Stop listening, and wait for every answer under way."""
        self._listening.shutdown(socket.SHUT_RDWR)
        for thread in self._serving:
            thread.join(10)
            assert not thread.is_alive()
        self._listening.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._serving.append(thread)
            thread.start()

    def _serve(self, connection):
        with connection:
            request = Request(connection)
            self.requests.append(request)
            pieces = self.answer(request)
            try:
                for piece in [pieces] if isinstance(pieces, bytes) else pieces or ():
                    connection.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                return


class Request:
    """A request as it came."""

    def __init__(self, connection):
        self.connection = connection
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := connection.recv(65536)):
                break
            data += piece
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.method, self.target = [*first.split(" "), "", ""][:2]
        pairs = (line.split(": ", 1) for line in lines)
        self.headers = {name.lower(): value for name, value in pairs}
        while len(self.body) < int(self.headers.get("content-length", 0)):
            self.body += connection.recv(65536)

    def gone(self):
        """Wait until the other side hung up."""
        return self.connection.recv(1) == b""


def answered(body, status=200, kind="application/json", **headers):
    """An answer with a Content-Length."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*pieces, kind="application/x-ndjson", status=200, end=True, **headers):
    """An answer in chunks, one a piece; without `end` it is cut."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", "Transfer-Encoding: chunked"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    yield "\r\n".join([*lines, "", ""]).encode()
    for piece in pieces:
        if callable(piece):
            piece()
        else:
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
    if end:
        yield b"0\r\n\r\n"
