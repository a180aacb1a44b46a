"""Finding tools by what they are for: a ranking of definitions for a query in plain words. Pure.

The score is BM25F (Robertson, Zaragoza: The Probabilistic Relevance Framework, 2009): how often a
word stands in each field, weighted by field, against how many tools have the word at all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nsmallest
from math import log
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw, Struct

MAX_QUERY = 1000
"""Characters of a query that are read."""
MAX_FIELD = 4000
"""Characters of a field that are read."""

_K1 = 1.2
"""How soon more of the same word adds little."""
_WEIGHTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "name": (3.0, 0.4),
        "title": (1.5, 0.4),
        "description": (1.0, 0.7),
        "parameters": (0.3, 0.7),
        "connection": (1.5, 0.0),
    }
)
"""By field: its weight, and how much a long one counts less."""
_ALIKE = (
    "create make add new open insert",
    "delete remove drop erase forget",
    "update edit change modify replace",
    "get show read view retrieve look",
    "list all",
    "search find query look",
    "send post",
    "folder directory",
    "picture image screenshot photo",
    "message comment",
    "url page site website web",
    "issue bug ticket",
    "person user people who",
)
"""Words that people use for each other about tools."""
_SHORT = {"pr": "pull request", "mr": "merge request", "repo": "repository", "js": "javascript",
          "db": "database", "dir": "directory", "docs": "documents", "ci": "status"}  # fmt: skip
_OTHER_WORD = 0.5
"""What a word counts that stands for another."""
_TOGETHER = 0.25
"""How much more each further word of the query counts in the same tool."""
_SAYS_NOTHING = """
a an and are as at be by can could did do does for from has have how i in into is it its me my of on
or our so than that the their them then there these they this to us was we were what when where
which will with would you your
"""
_IDLE = frozenset(_SAYS_NOTHING.split())
"""Words that say nothing of what is wanted."""


class _Schema(Struct):
    properties: dict[str, Any] = {}


_decode_schema = msgspec.json.Decoder(_Schema).decode
_WORD = re.compile(r"[^\W_]+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_VOWEL = re.compile(r"[aeiouy]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A tool as it is looked for. `parameters` are as the function of that name gives them."""

    name: str
    title: str = ""
    description: str = ""
    parameters: str = ""
    connection: str = ""


class ToolIndex:
    """Tools, ready to be searched. Built once for a list, and never changed."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._names = [entry.name for entry in entries]
        self._found: dict[str, list[tuple[int, float]]] = {}
        heard: list[dict[str, float]] = [{} for _ in entries]
        for field, (weight, fall) in _WEIGHTS.items():
            texts = [_words_of(entry, field) for entry in entries]
            mean = sum(map(len, texts)) / max(1, len(texts)) or 1.0
            for mine, text in zip(heard, texts, strict=True):
                part = weight / (1 - fall + fall * len(text) / mean)
                for word in text:
                    mine[word] = mine.get(word, 0.0) + part
        for tool, mine in enumerate(heard):
            for word, much in mine.items():
                self._found.setdefault(word, []).append((tool, much / (_K1 + much)))

    def search(self, query: str, limit: int) -> list[str]:
        """At most so many names, best first; of equals in the order of the list."""
        scores: dict[int, float] = {}
        matched: dict[int, int] = {}
        for ways in _wanted(query[:MAX_QUERY]):
            heard: dict[int, float] = {}
            for word, part in ways.items():
                found = self._found.get(word, ())
                told = part * self._rarity(len(found))
                for tool, much in found:
                    heard[tool] = max(heard.get(tool, 0.0), told * much)
            for tool, score in heard.items():
                scores[tool] = scores.get(tool, 0.0) + score
                matched[tool] = matched.get(tool, 0) + 1
        for tool, times in matched.items():
            scores[tool] *= 1 + _TOGETHER * (times - 1)
        best = nsmallest(max(0, limit), scores, key=lambda tool: (-scores[tool], tool))
        return [self._names[tool] for tool in best]

    def _rarity(self, tools: int) -> float:
        """What a word tells that so many tools have."""
        return log(1 + (len(self._names) - tools + 0.5) / (tools + 0.5))


def parameters(schema: bytes | Raw) -> str:
    """Names and descriptions of the properties of an input schema; nothing where it has none."""
    try:
        properties = _decode_schema(schema).properties
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return "\n".join(f"{name} {about}" for name, about in map(_told, properties.items()))


def _told(pair: tuple[str, Any]) -> tuple[str, str]:
    name, schema = pair
    about = schema.get("description") if isinstance(schema, dict) else None
    return name, about if isinstance(about, str) else ""


def words(text: str) -> list[str]:
    """The words of a text as they are compared: `issue` and `issues` alike."""
    return list(map(stem, _WORD.findall(text.lower())))


def spelt(name: str) -> str:
    """A name with its words apart: `createIssue` as `create Issue`."""
    return _HUMPS.sub(" ", name)


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A word without the endings of English: a light form of Porter's, which keeps short words."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and _VOWEL.search(word[: -len(ending)]):
            left = word[: -len(ending)]
            if len(left) < 3:
                break
            word = left[:-1] if left[-1] == left[-2] and left[-1] not in "lsz" else left
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _words_of(entry: Entry, field: str) -> list[str]:
    text: str = getattr(entry, field)[:MAX_FIELD]
    return words(spelt(text) if field == "name" else text)


def _wanted(query: str) -> list[dict[str, float]]:
    """For each word of it what it may be called in a tool, and what that counts."""
    said = dict.fromkeys(_WORD.findall(query.lower()) + _WORD.findall(spelt(query).lower()))
    whole = [part for word in said for part in (word, *_SHORT.get(word, "").split())]
    meant = dict.fromkeys(stem(word) for word in whole if word not in _IDLE)
    alike = _alike()
    return [{**dict.fromkeys(alike.get(word, ()), _OTHER_WORD), word: 1.0} for word in meant]


@lru_cache(maxsize=1)
def _alike() -> Mapping[str, frozenset[str]]:
    """By word: those that people use for it."""
    groups = [frozenset(map(stem, line.split())) for line in _ALIKE]
    every = frozenset().union(*groups)
    return {
        word: frozenset().union(*(group for group in groups if word in group)) for word in every
    }
