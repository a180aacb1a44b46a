"""The only writer of answers: stdout, and the notes beside them on stderr.

How a thing looks stands in `render`; which of text, JSON and ids is asked for is decided here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TextIO

    from meshctl.cli.flags import Flags
    from meshctl.render.columns import Table
    from meshctl.render.look import Look


class Output:
    """Writes what one command has to say, in the form its flags ask for."""

    __slots__ = ("_environ", "_err", "_look", "_out", "as_json", "quiet")

    def __init__(
        self,
        flags: Flags,
        environ: Mapping[str, str],
        out: TextIO | None = None,
        err: TextIO | None = None,
    ) -> None:
        self.as_json = flags.json
        self.quiet = flags.quiet
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._environ = {**environ, "NO_COLOR": "1"} if flags.no_color else environ
        self._look: Look | None = None

    @property
    def terminal(self) -> bool:
        """Whether a person reads stdout directly."""
        return self._out.isatty()

    @property
    def look(self) -> Look:
        """What drawing depends on here: time, characters, colour."""
        if self._look is None:
            from meshctl.render.look import Look

            self._look = Look.of(self._environ, terminal=self.terminal)
        return self._look

    def json(self, data: Any) -> None:
        """JSON on stdout: one line, or indented where a person reads it."""
        import json

        from meshctl.render.safe import safe_json

        indent = 2 if self.terminal else None
        separators = None if indent else (",", ":")
        text = json.dumps(data, ensure_ascii=False, indent=indent, separators=separators)
        self._write(safe_json(text))

    def line(self, text: str = "") -> None:
        """One line of the answer."""
        self._write(text)

    def lines(self, texts: Sequence[str]) -> None:
        """Lines of the answer."""
        self._write("\n".join(texts))

    def rows(
        self,
        table: Table,
        items: Sequence[Mapping[str, Any]],
        *,
        empty: str,
        next: str | None = None,  # noqa: A002 - the printed word is "next:"
    ) -> None:
        """A list: a table, JSON, or ids. An empty one is no error: `empty` and `next` are said."""
        if self.as_json:
            self.json(items)
        elif self.quiet:
            from meshctl.render.safe import safe

            for item in items:  # a program gets the exact words, a terminal harmless ones
                self._write(safe(table.key(item)) if self.terminal else table.key(item))
        elif not items:
            self.note(empty)
            if next:
                self.next(next)
        elif self.terminal:
            from shutil import get_terminal_size

            from meshctl.render.terminal import draw

            self.lines(draw(table, items, self.look, get_terminal_size().columns))
        else:
            from meshctl.render.columns import plain

            self.lines(plain(table, items))

    def card(
        self, item: Mapping[str, Any], pairs: Sequence[tuple[str, str]], *, key: str = "id"
    ) -> None:
        """One thing: labels with values, its JSON, or its `key`."""
        if self.as_json:
            self.json(item)
        elif self.quiet:
            self._write(str(item[key]))
        else:
            from meshctl.render.lines import aligned

            self.lines(aligned(pairs))

    def done(self, item: Mapping[str, Any], text: str, *, key: str = "id") -> None:
        """What a command changed: one sentence, its JSON, or its `key`."""
        if self.as_json:
            self.json(item)
        else:
            self._write(str(item[key]) if self.quiet else text)

    def stream_line(self, item: Mapping[str, Any], text: str) -> None:
        """One item of a tail, out at once: its text, one line of JSON, or its id."""
        if self.as_json:
            import json

            from meshctl.render.safe import safe_json

            text = safe_json(json.dumps(item, ensure_ascii=False, separators=(",", ":")))
        elif self.quiet:
            text = str(item["id"])
        self._write(text)
        self._out.flush()

    def secret(self, text: str) -> None:
        """A secret, alone on stdout, so that `> FILE` holds nothing else."""
        self._write(text)

    def note(self, text: str) -> None:
        """A sentence beside the answer, on stderr; `--quiet` leaves it out."""
        if not self.quiet:
            self._out.flush()  # keeps the order where both go to one place
            self._err.write(text + "\n")

    def next(self, command: str) -> None:
        """The command that probably comes next, on stderr."""
        self.note(f"next: {command}")

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
