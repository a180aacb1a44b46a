"""How long keys live: what holds without a word, and the most that may be said."""

from dataclasses import dataclass

from meshd.core.clock import MICROSECONDS, instant
from meshd.wire.errors import BadRequest

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


@dataclass(slots=True)
class Lifetimes:
    """In microseconds; None is for ever. They may change while the daemon runs.

    Without a `default` a key lives for as long as it may. Keys that are there stay as they are.
    """

    default: int | None = None
    most: int | None = None

    def of_new(self, text: str | None, now: int, command: str) -> int | None:
        """When a new key expires; `command` is what would issue it. Raises as `checked`."""
        if text is not None:
            return self.checked(text, now, command)
        span = self.default or self.most
        return None if span is None else now + span

    def shortened(self, expires: int | None, now: int) -> int | None:
        """When a key that gets a new secret expires: as before, unless that is too late now."""
        if self.most is None or (expires is not None and expires <= now + self.most):
            return expires
        return now + self.most

    def checked(self, text: str | None, now: int, command: str) -> int | None:
        """The moment that `text` says; None for never.

        Raises:
            BadRequest: it is no moment, lies in the past, or later than a key may live.
        """
        moment = None if text is None else instant(text, now, ahead=True)
        if moment is not None and moment <= now:
            raise BadRequest(f'"{ascii(text)[1:-1]}" lies in the past')
        if self.most is not None and (moment is None or moment > now + self.most):
            longest = span_text(self.most)
            raise BadRequest(
                f"a key may live for {longest} at most",
                facts={"because of": "MESHCTL_KEY_MAX_LIFETIME"},
                next=f"{command} --expires {longest}",
            )
        return moment


def span_text(span: int) -> str:
    """Microseconds as a duration is written, in the largest unit that says it exactly."""
    seconds = span // MICROSECONDS
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"
