"""JSON-RPC 2.0 envelopes. Payloads stay raw JSON: unknown fields and odd numbers survive."""

import re
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

MAX_DEPTH = 64
NOTIFICATION = "notifications/"
"""How the method of every notification begins."""
_EMPTY = Raw(b"")
# Possessive: a long string must not be remembered step by step.
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class BadMessage(ValueError):
    """Not one JSON-RPC message; `code` is the JSON-RPC error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Message(Struct):
    """A request, notification or response. Absent members are empty."""

    jsonrpc: str = ""
    id: Raw = _EMPTY
    method: str = ""
    params: Raw = _EMPTY
    result: Raw = _EMPTY
    error: Raw = _EMPTY

    @property
    def is_request(self) -> bool:
        """Whether it wants an answer."""
        return bool(self.method) and bool(bytes(self.id))


class Named(Struct):
    """The members of params that decide: a tool's or prompt's name, a resource's URI."""

    name: str = ""
    uri: str = ""
    arguments: Raw = _EMPTY


class Completion(Struct):
    """Params of `completion/complete`; `ref` names a prompt or a resource template."""

    ref: Raw = Raw(b"{}")


@dataclass(frozen=True, slots=True)
class Reply:
    """An upstream's answer: raw JSON of either its result or its error."""

    result: bytes | None
    error: bytes | None


_decode_message = msgspec.json.Decoder(Message).decode
_decode_named = msgspec.json.Decoder(Named).decode
_decode_completion = msgspec.json.Decoder(Completion).decode


def parse(body: bytes) -> Message:
    """Read one message.

    Raises:
        BadMessage: not JSON, nested deeper than `MAX_DEPTH`, a batch, or not JSON-RPC 2.0.
    """
    check_depth(body)
    try:
        if not body.isascii():
            body.decode()  # raw members are not checked by the decoder
        message = _decode_message(body)
    except msgspec.ValidationError as error:
        raise BadMessage(INVALID_REQUEST, f"one JSON-RPC message expected: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BadMessage(PARSE_ERROR, f"the body is not valid JSON: {error}") from None
    if message.jsonrpc != "2.0":
        raise BadMessage(INVALID_REQUEST, '"jsonrpc" must be "2.0"')
    ident = bytes(message.id)
    if message.method:
        if not ident and not message.method.startswith(NOTIFICATION):
            # A server that runs it all the same would run what nobody decided about.
            raise BadMessage(INVALID_REQUEST, f'{message.method[:80]!r} needs an "id"')
    elif not ident or not (bytes(message.result) or bytes(message.error)):
        raise BadMessage(INVALID_REQUEST, "neither a request, a notification nor a response")
    if ident and ident[:1] not in b'"-0123456789' and (message.method or ident != b"null"):
        raise BadMessage(INVALID_REQUEST, '"id" must be a string or a number')
    return message


def check_depth(body: bytes) -> None:
    """Refuse what nests deeper than `MAX_DEPTH`.

    Raises:
        BadMessage: it does.
    """
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return  # brackets inside strings count too, so this is an upper bound
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", body)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise BadMessage(INVALID_REQUEST, f"nested deeper than {MAX_DEPTH}")


def named(params: Raw) -> Named:
    """The deciding members of `params`.

    Raises:
        BadMessage: params is no object, or a member has the wrong type.
    """
    try:
        return _decode_named(params or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(INVALID_PARAMS, f"params: {error}") from None


def completed(params: Raw) -> Raw:
    """What `completion/complete` completes: an object that `named` reads.

    Raises:
        BadMessage: params is no object.
    """
    try:
        return _decode_completion(params or b"{}").ref
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadMessage(INVALID_PARAMS, f"params: {error}") from None


def request(ident: int, method: str, params: bytes = b"") -> bytes:
    """A request of ours."""
    tail = b',"params":' + params if params else b""
    return b'{"jsonrpc":"2.0","id":%d,"method":%b%b}' % (ident, msgspec.json.encode(method), tail)


def notification(method: str, params: bytes = b"") -> bytes:
    """A notification of ours."""
    tail = b',"params":' + params if params else b""
    return b'{"jsonrpc":"2.0","method":%b%b}' % (msgspec.json.encode(method), tail)


def success(ident: bytes, result: bytes) -> bytes:
    """The answer to the request whose raw id is `ident`."""
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (ident, result)


def failure(ident: bytes, error: bytes) -> bytes:
    """An error answer; `error` is raw JSON."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (ident or b"null", error)


def error_object(code: int, message: str, data: Any = None) -> bytes:
    """The `error` member."""
    body: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        body["data"] = data
    return msgspec.json.encode(body)
