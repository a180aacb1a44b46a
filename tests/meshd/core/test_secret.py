"""A Secret shows `***` wherever Python turns a value into text, and leaves only by `reveal()`."""

import copy
import dataclasses
import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from meshd.core.secret import Secret

VALUE = "sk-live-0123456789"


@dataclasses.dataclass
class Login:
    user: str
    password: Secret


class Record(msgspec.Struct):
    password: Secret


TEXTS: dict[str, Callable[[Secret], str]] = {
    "repr": repr,
    "str": str,
    "f-string": lambda secret: f"{secret}",
    "f-string with !r": lambda secret: f"{secret!r}",
    "f-string with a width": lambda secret: f"{secret:>40}",
    "f-string with a precision": lambda secret: f"{secret:.3}",
    "f-string with =": lambda secret: f"{secret=}",
    "percent": lambda secret: "%s %r" % (secret, secret),  # noqa: UP031 - the way loggers format
    "str.format": "{0} {0!r:>9}".format,
    "inside a list": lambda secret: str([secret]),
    "inside a mapping": lambda secret: str({"password": secret}),
    "inside a dataclass": lambda secret: repr(Login("ann", secret)),
    "inside a struct": lambda secret: repr(Record(secret)),
    "json with default=str": lambda secret: json.dumps(secret, default=str),
    "msgspec with enc_hook=str": lambda secret: msgspec.json.encode(secret, enc_hook=str).decode(),
    "an exception's argument": lambda secret: repr(ValueError(secret)),
}

REFUSED: dict[str, Callable[[Any], object]] = {
    "pickle": pickle.dumps,
    "pickle protocol 0": lambda secret: pickle.dumps(secret, 0),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "reduce": lambda secret: secret.__reduce__(),
    "state": lambda secret: secret.__getstate__(),
    "dataclasses.asdict": lambda secret: dataclasses.asdict(Login("ann", secret)),
    "json": json.dumps,
    "json of what vars finds": lambda secret: json.dumps(secret, default=vars),
    "msgspec json": msgspec.json.encode,
    "msgspec msgpack": msgspec.msgpack.encode,
    "msgspec in a struct": lambda secret: msgspec.json.encode(Record(secret)),
    "msgspec in a dataclass": lambda secret: msgspec.json.encode(Login("ann", secret)),
    "msgspec to_builtins": msgspec.to_builtins,
    "joining": lambda secret: ", ".join({"k": secret}.values()),
    "adding": lambda secret: "key: " + secret,
    "bytes": bytes,
    "iterating": list,
    "hash": hash,
    "length": len,
}


def test_reveal_gives_the_value():
    assert Secret(VALUE).reveal() == VALUE


@pytest.mark.parametrize("show", TEXTS.values(), ids=TEXTS)
def test_every_text_form_is_masked(show: Callable[[Secret], str]):
    """No part of the value, not even three characters of it, is in the text."""
    text = show(Secret(VALUE))
    assert "***" in text
    assert not any(VALUE[i : i + 3] in text for i in range(len(VALUE) - 2))


@pytest.mark.parametrize("take", REFUSED.values(), ids=REFUSED)
def test_every_other_way_out_is_refused(take: Callable[[Any], object]):
    """The refusal itself does not tell the value either."""
    with pytest.raises(TypeError) as refusal:
        take(Secret(VALUE))
    assert VALUE not in str(refusal.value)


def test_a_log_line_is_masked():
    """Through a real handler, as argument and as message."""
    stream = io.StringIO()
    log = logging.Logger("test")  # noqa: LOG001 - stays out of the global tree of loggers
    log.addHandler(logging.StreamHandler(stream))
    log.error("login with %s and %r", Secret(VALUE), {"k": Secret(VALUE)})
    log.error(Secret(VALUE))
    assert stream.getvalue().count("***") == 3
    assert VALUE not in stream.getvalue()


def test_a_traceback_with_local_variables_is_masked():
    """As crash reporters write it: each frame with the repr of its locals."""
    held = Secret(VALUE)
    try:
        copy.copy(held)
    except TypeError as failure:
        report = traceback.TracebackException.from_exception(failure, capture_locals=True)
    text = "".join(report.format())
    assert "held = ***" in text
    assert VALUE not in text


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("a", "a", True),
        ("a", "b", False),
        ("a", "aa", False),
        ("", "", True),
        ("é", "é", True),
        ("\ud800", "\ud800", True),
        ("\ud800", "?", False),
    ],
)
def test_secrets_compare_by_value(one: str, other: str, equal: bool):
    """Any text compares, also one that UTF-8 cannot hold."""
    assert (Secret(one) == Secret(other)) is equal
    assert (Secret(one) != Secret(other)) is not equal


def test_comparing_is_left_to_a_constant_time_function(monkeypatch: pytest.MonkeyPatch):
    """What `hmac.compare_digest` says is the answer."""
    monkeypatch.setattr("hmac.compare_digest", lambda one, other: (one, other) == (b"a", b"b"))
    assert Secret("a") == Secret("b")
    assert Secret("a") != Secret("a")


def test_a_secret_never_equals_its_text():
    assert Secret(VALUE) != VALUE


def test_only_text_is_held():
    """And the refusal names the type, not the value."""
    with pytest.raises(TypeError, match=r"^a Secret holds str, not bytes$"):
        Secret(VALUE.encode())


def test_nothing_can_be_hung_on_a_secret():
    """No instance dictionary, so `vars` and its users find nothing."""
    assert not hasattr(Secret(VALUE), "__dict__")
