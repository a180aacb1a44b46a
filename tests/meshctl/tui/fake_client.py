"""A client that is a script: what each call answers, and what each stream brings until it ends."""

import queue
import threading
from collections.abc import Iterator
from typing import Any


class Hold:
    """In a stream: it stands and brings nothing more, until the test ends."""


class FakeClient:
    """`answers`: by call name, an answer, an error, or a list of them of which the last stays.

    `streams`: by call name, the runs of a stream; a run ends with its items, an error or `Hold`.
    The last run is repeated.
    """

    def __init__(self, answers: dict[str, Any], streams: dict[str, list[list[Any]]]) -> None:
        self.answers = {name: value if isinstance(value, list) else [value]
                        for name, value in answers.items()}  # fmt: skip
        self.streams = streams
        self.asked: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._over = threading.Event()

    def end(self) -> None:
        self._over.set()

    def call(self, row: Any, asks: Any = None, *, timeout: float | None = None) -> Any:
        self.asked.put((row.name, asks))
        script = self.answers[row.name]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return answer()

    def stream(self, row: Any, asks: Any = None) -> Iterator[dict[str, Any] | None]:
        self.asked.put((row.name, asks))
        runs = self.streams[row.name]
        for item in runs.pop(0) if len(runs) > 1 else runs[0]:
            if isinstance(item, Exception):
                raise item
            if item is Hold:
                self._over.wait()
                return
            yield item
