"""The daemon's log: one line a record, to a file, off the event loop."""

import copy
import logging
import logging.handlers
import queue
import time
from pathlib import Path
from textwrap import indent

from meshd.core.redact import redact_text

FORMAT = "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s  %(message)s"
MAX_BYTES = 10 * 1024 * 1024
KEEP = 3
LONGEST = 8192
"""Characters of one message, or of one traceback."""


class _OneLine(logging.Formatter):
    """Redacts, and keeps a message on one line and a traceback indented: none can be forged."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(FORMAT, "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = redact_text(_visible(record.message[:LONGEST]))
        return super().formatMessage(record)

    def formatException(self, ei: object) -> str:  # noqa: N802 - logging's name
        text = super().formatException(ei)  # type: ignore[arg-type]
        lines = map(_visible, text[-LONGEST:].splitlines())  # the cause stands at the end
        return redact_text(indent("\n".join(lines), "  "))


class _Queue(logging.handlers.QueueHandler):
    """Hands records over as text: nothing that a traceback refers to waits in the queue."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:
            record.exc_text = _OneLine().formatException(record.exc_info)
            record.exc_info = None
        return record


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


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
    root.handlers[:] = [_Queue(line)]
    set_level(level)
    listener = logging.handlers.QueueListener(line, sink)
    listener.start()
    return listener


def set_level(level: str) -> None:
    """Log from `level` on: debug, info, warning or error."""
    logging.getLogger().setLevel(level.upper())


def close_log(listener: logging.handlers.QueueListener) -> None:
    """Write what is queued and close the file."""
    listener.stop()
    for handler in listener.handlers:
        handler.close()
    logging.getLogger().handlers.clear()
