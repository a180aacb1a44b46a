"""Arguments made of an event: `{{ event.data.no }}` in JSON. Paths and nothing else. Pure.

A text that is one template as a whole keeps the type of what it names; inside of a text, what is
no text itself stands as JSON.
"""

import re
from typing import Any

import msgspec

MAX_DEPTH = 32
_TEMPLATE = re.compile(r"\{\{\s*([^\s{}]+)\s*\}\}")


class BadTemplate(ValueError):
    """A template that is none, or asks for what the event has not; the text says which."""


def check_template(template: Any) -> None:
    """Pass a template.

    Raises:
        BadTemplate: a path begins with something else than `event`, or a brace is left over.
    """
    _walk(template, MAX_DEPTH, _checked)


def render(template: Any, event: Any) -> Any:
    """The template filled with an event in its JSON form.

    Raises:
        BadTemplate: the event has not what is asked for.
    """
    return _walk(template, MAX_DEPTH, lambda text: _filled(text, event))


def _walk(node: Any, depth: int, of_text: Any) -> Any:
    if depth == 0:
        raise BadTemplate(f"it is deeper than {MAX_DEPTH}")
    if isinstance(node, str):
        return of_text(node)
    if isinstance(node, list):
        return [_walk(item, depth - 1, of_text) for item in node]
    if isinstance(node, dict):
        return {key: _walk(item, depth - 1, of_text) for key, item in node.items()}
    return node


def _checked(text: str) -> str:
    if "{{" in _TEMPLATE.sub("", text):
        raise BadTemplate(f"{_shown(text)} has braces that are no template")
    for path in _TEMPLATE.findall(text):
        first, *rest = path.split(".")
        if first != "event" or not all(rest):
            raise BadTemplate(f"{_shown(path)} is not event.ATTRIBUTE or event.data.FIELD")
    return text


def _filled(text: str, event: Any) -> Any:
    whole = _TEMPLATE.fullmatch(text)
    if whole:
        return _found(whole[1], event)

    def inside(match: re.Match[str]) -> str:
        value = _found(match[1], event)
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    return _TEMPLATE.sub(inside, text)


def _found(path: str, event: Any) -> Any:
    held: Any = {"event": event}
    for step in path.split("."):
        if isinstance(held, dict) and step in held:
            held = held[step]
        elif isinstance(held, list) and re.fullmatch("[0-9]{1,6}", step) and int(step) < len(held):
            held = held[int(step)]
        else:
            raise BadTemplate(f"the event has no {_shown(path.removeprefix('event.'))}")
    return held


def _shown(text: str) -> str:
    return f'"{ascii(text[:60])[1:-1]}"'
