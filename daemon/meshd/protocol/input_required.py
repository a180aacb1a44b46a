"""What a server asks its caller in the middle of a request: both eras' ways of saying it.

Handshake era: a request of the server's, on the stream of the answer. Stateless era: a result
`input_required` with the requests, after which the caller repeats its own with the answers.
Source: MCP 2026-07-28, basic/patterns, multi round-trip requests.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from msgspec import Raw

from meshd.protocol.members import UNREADABLE, joined, members, raw, text
from meshd.protocol.translation import URL_NEEDED, code_of, result_type

METHODS = frozenset({"tools/call", "prompts/get", "resources/read"})
"""Requests whose result may be `input_required`."""
RESPONSES, STATE = "inputResponses", "requestState"
ERRORS = "meshctl/inputErrors"
"""Errors in the place of answers, which a handshake server takes and the stateless era has not."""
RETRIED = frozenset({RESPONSES, ERRORS, STATE})
"""Members that a repeated request has besides its own."""

_CAPABILITY = {
    "elicitation/create": "elicitation",
    "sampling/createMessage": "sampling",
    "roots/list": "roots",
}


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a server. `params` are raw; empty where it has none."""

    method: str
    params: bytes


@dataclass(frozen=True, slots=True)
class Needed:
    """What has to be answered before a request is repeated, by the names that the answers bear."""

    questions: Mapping[str, Question]
    state: Raw | None


def read(result: bytes) -> Needed | None:
    """What a result asks for; None where it is complete."""
    if result_type(result) != "input_required":
        return None
    found = members(result)
    questions = {
        name: Question(text(asked.get("method")) or "", bytes(asked.get("params", b"")))
        for name, asked in (
            (name, members(value))
            for name, value in members(found.get("inputRequests", b"")).items()
        )
    }
    return Needed(questions, found.get(STATE))


def asking(questions: Mapping[str, Question], state: str | None) -> bytes:
    """The result that asks for input."""
    requests = {
        name: {"method": asked.method, **({"params": Raw(asked.params)} if asked.params else {})}
        for name, asked in questions.items()
    }
    found: dict[str, object] = {"resultType": "input_required", "inputRequests": requests}
    if state is not None:
        found[STATE] = state
    return joined(found)


def urls_asked(error: bytes, capabilities: bytes) -> bytes | None:
    """The result that asks to visit the URLs which a handshake server's error says are needed.

    None for another error, and for a client that cannot be asked that. Nothing waits for answers:
    the request is simply made again. In the handshake era clients know the error itself.
    """
    if code_of(error) != URL_NEEDED:
        return None
    named = members(members(error).get("data", b"")).get("elicitations", Raw(b"[]"))
    try:
        urls = msgspec.json.decode(named, type=list[Raw])
    except UNREADABLE:
        return None
    questions = {
        f"url-{number}": Question("elicitation/create", bytes(url))
        for number, url in enumerate(urls, 1)
    }
    if not questions or not all(may_ask(one, capabilities) for one in questions.values()):
        return None
    return asking(questions, None)


def with_state(result: bytes, state: str) -> bytes:
    """The same result with another `requestState`."""
    return joined({**members(result), STATE: state})


def repeated(
    params: Mapping[str, Raw], answers: Mapping[str, Raw], errors: Mapping[str, Raw],
    state: Raw | None,
) -> dict[str, Raw]:  # fmt: skip
    """The params of a request that is repeated with answers, or errors where none were given."""
    found = {name: value for name, value in params.items() if name not in RETRIED}
    found[RESPONSES] = raw(answers)
    if errors:
        found[ERRORS] = raw(errors)
    if state is not None:
        found[STATE] = state
    return found


def may_ask(question: Question, capabilities: bytes) -> bool:
    """Whether a client with these capabilities can be asked that."""
    name = _CAPABILITY.get(question.method)
    declared = members(capabilities)
    if name is None or name not in declared:
        return False
    if name == "elicitation":
        kinds = members(declared[name])
        mode = text(members(question.params).get("mode", b'"form"')) or ""
        return mode in kinds or (mode == "form" and not kinds)
    return True


def digest(method: str, params: Mapping[str, Raw]) -> bytes:
    """Names a request, whatever is repeated with it: SHA-256 of its method and own params."""
    own = {k: v for k, v in params.items() if k not in RETRIED and k != "_meta"}
    try:
        # Spelt anew: a client may write the same request in another way the second time.
        plain = msgspec.json.encode(msgspec.json.decode(joined(own)), order="sorted")
    except UNREADABLE:
        plain = joined(own)
    return hashlib.sha256(method.encode() + b"\0" + plain).digest()
