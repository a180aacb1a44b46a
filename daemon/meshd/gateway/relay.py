"""What an upstream answers with: whether it is an answer, and where it stands in an event stream.

Everything that is not looked for passes byte for byte.
"""

import re
from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from meshd.protocol import jsonrpc, sse
from meshd.protocol.members import joined, members
from meshd.proxy.http_resume import Place

# Two line ends. One that is cut after a CR takes a following LF for the next event's beginning,
# where it says nothing.
_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_BLANK = 4
_MARK = b"\xef\xbb\xbf"
"""A byte order mark, which clients drop from the beginning of a stream."""
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Shape = Callable[[bytes], bytes]
"""Makes of an answer what its client may see."""


class _Reply(Struct):
    id: Raw = Raw(b"")
    method: Raw = Raw(b"")
    result: Raw = Raw(b"")
    error: Raw = Raw(b"")


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_many = msgspec.json.Decoder(list[Raw]).decode
_decode_id = msgspec.json.Decoder(str | int | float).decode


def answer_to(body: bytes, ident: bytes) -> bytes | None:
    """The response to the request of that raw id, with that id; None for anything else.

    Servers write ids in another spelling, a number as text too. An error without an id answers as
    well: the server did not get as far as to read one.
    """
    try:
        reply = _decode_reply(body)
    except UNREADABLE:
        return None
    if reply.method or not (reply.result or reply.error):
        return None
    given = bytes(reply.id)
    if given == ident:
        return body
    if given in {b"", b"null"}:
        error = bytes(reply.error)
        return jsonrpc.failure(ident, error) if error not in {b"", b"null"} else None
    return joined({**members(body), "id": Raw(ident)}) if _same(given, ident) else None


def _same(one: bytes, other: bytes) -> bool:
    """Whether two raw ids are one."""
    try:
        ids = _decode_id(one), _decode_id(other)
    except UNREADABLE:
        return False
    return ids[0] == ids[1] or str(ids[0]) == str(ids[1])


class Ear:
    """Hears one word in a stream, also where two chunks share it."""

    def __init__(self, word: bytes) -> None:
        self._word = word
        self._before = b""

    def hears(self, chunk: bytes) -> bool:
        """Whether the word ends in this chunk."""
        heard = self._word in self._before + chunk
        self._before = (self._before + chunk)[1 - len(self._word) :]
        return heard


class Events:
    """The event stream that should answer one request. `answer` is that answer once it came.

    Nothing answers where nothing was asked, with an empty `ident`. Not a byte of it is lost, unlike
    with `sse.Splitter`, but for responses: a second one, or one to a request that was not made
    here, would pass unseen by whatever decides about answers. An event that is still open is held
    back, so that the client never sees half of one when the stream breaks.
    """

    def __init__(self, ident: bytes, shape: Shape) -> None:
        self.answer: bytes | None = None
        self.place = Place()
        """Where the stream may be taken up again, should it end before the answer."""
        self._ident = ident
        self._shape = shape
        self._open = bytearray()

    @property
    def owed(self) -> bool:
        """Whether an answer is to come, and the server said where its stream goes on."""
        return self.answer is None and self.place.last is not None

    def part(self) -> None:
        """The stream ended: what it did not end of an event comes again."""
        self._open.clear()

    def feed(self, chunk: bytes) -> bytes:
        """What of the stream may go to the client now.

        Raises:
            EventTooLarge: an event does not end.
        """
        seen = max(0, len(self._open) - _LONGEST_BLANK)
        self._open += chunk
        out: list[bytes] = []
        start = 0
        for blank in _BLANK.finditer(self._open, seen):
            out.append(self._passed(bytes(self._open[start : blank.start()]), blank[0]))
            start = blank.end()
        del self._open[:start]
        if len(self._open) > sse.MAX_EVENT:
            raise sse.EventTooLarge
        return b"".join(out)

    def _passed(self, event: bytes, end: bytes) -> bytes:
        """What of a whole event goes to the client."""
        data = sse.data_of(event.removeprefix(_MARK))
        found = answer_to(data, self._ident) if self.answer is None and self._ident else None
        if found is not None:
            self.answer = found
            shaped = self._shape(found)
            return event + end if shaped is data else sse.with_data(event, shaped)
        self.place.note(event)
        return b"" if _answers(data) else event + end


def _answers(data: bytes) -> bool:
    """Whether a client might take it for a response, or for several."""
    try:
        one = _decode_reply(data)
    except UNREADABLE:
        try:
            return any(map(_answers, map(bytes, _decode_many(data))))
        except UNREADABLE:
            return False
    return bool(one.result or one.error)
