"""What threads tell the screen. Items of streams wait in an `Inbox`; a message only rings."""

from collections.abc import Mapping, Sequence
from typing import Any

from textual.message import Message

from meshd.wire.errors import MeshError


class Facts(Message):
    """How things stand: the answers of `status` and `connection.list`."""

    def __init__(self, status: Mapping[str, Any], connections: Sequence[Mapping[str, Any]]) -> None:
        self.status = status
        self.connections = connections
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        """Of several that wait, the newest is enough."""
        return isinstance(message, Facts)


class BusFacts(Message):
    """How the bus stands: the answers of `event.stats`, `event.dead_list` and the lists."""

    def __init__(
        self,
        stats: Mapping[str, Any],
        dead: Sequence[Mapping[str, Any]],
        deliveries: Sequence[Mapping[str, Any]],
        subscriptions: Sequence[Mapping[str, Any]],
    ) -> None:
        self.stats = stats
        self.dead = dead
        self.deliveries = deliveries
        self.subscriptions = subscriptions
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        """Of several that wait, the newest is enough."""
        return isinstance(message, BusFacts)


class Arrived(Message):
    """Something waits in an inbox."""

    def can_replace(self, message: Message) -> bool:
        """One ring is enough."""
        return isinstance(message, Arrived)


class Stands(Message):
    """A source answers: for the first time, or again."""

    def __init__(self, source: str) -> None:
        self.source = source
        super().__init__()


class Lost(Message):
    """A source does not answer; it is asked again at `retry_at` (monotonic seconds)."""

    def __init__(self, source: str, error: MeshError, retry_at: float) -> None:
        self.source = source
        self.error = error
        self.retry_at = retry_at
        super().__init__()


class Said(Message):
    """A sentence for the line above the footer."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__()
