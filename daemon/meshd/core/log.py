"""The daemon's log: one line a record, to a file, off the event loop."""

import logging
import logging.handlers
import queue
from pathlib import Path

from meshd.core.redact import redact_text

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s  %(message)s"
MAX_BYTES = 10 * 1024 * 1024
KEEP = 3


class _OneLine(logging.Formatter):
    """Redacts, and keeps a record on one line but for tracebacks, so that none can be forged."""

    def __init__(self) -> None:
        super().__init__(FORMAT, "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = redact_text(_visible(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        return redact_text(super().formatException(ei))  # type: ignore[arg-type]


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:8192])


def open_log(path: Path, level: str) -> logging.handlers.QueueListener:
    """Send the root logger to `path` (mode 0600, rotated) through a queue.

    The caller stops the returned listener last of all.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    sink = logging.handlers.RotatingFileHandler(
        path, maxBytes=MAX_BYTES, backupCount=KEEP, encoding="utf-8"
    )
    sink.setFormatter(_OneLine())
    line: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    root = logging.getLogger()
    root.handlers[:] = [logging.handlers.QueueHandler(line)]
    root.setLevel(level.upper())
    listener = logging.handlers.QueueListener(line, sink)
    listener.start()
    return listener


def close_log(listener: logging.handlers.QueueListener) -> None:
    """Write what is queued and close the file."""
    listener.stop()
    for handler in listener.handlers:
        handler.close()
    logging.getLogger().handlers.clear()
