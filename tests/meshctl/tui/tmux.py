"""A real terminal for a program: a tmux server of its own."""

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.wait import until


class Pane:
    """One window of that server."""

    def __init__(self, socket: Path) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]

    def start(self, words: list[str], environ: Mapping[str, str], width: int, height: int) -> None:
        """Run a program; when it ends, its exit code is what the pane says."""
        command = f"{shlex.join(words)}; echo exit code $?; read -r _"
        size = ["-x", str(width), "-y", str(height)]
        # pytest-xdist exports a size, which would beat that of the terminal.
        kept = {k: v for k, v in environ.items() if k not in {"COLUMNS", "LINES"}}
        self._run("new-session", "-d", *size, command, env=kept)

    @property
    def text(self) -> str:
        return self._run("capture-pane", "-p").stdout

    @property
    def coloured(self) -> str:
        """With its escapes."""
        return self._run("capture-pane", "-p", "-e").stdout

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._run("resize-window", "-x", str(width), "-y", str(height))

    def sees(self, *words: str) -> str:
        """Wait until all these words are on the screen."""
        try:
            until(lambda: all(word in self.text for word in words))
        except AssertionError:
            raise AssertionError(f"no {words} on the screen:\n{self.text}") from None
        return self.text

    def end(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], capture_output=True)

    def _run(
        self, *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._tmux, *words], capture_output=True, text=True, check=True, env=env, timeout=10
        )


@contextmanager
def pane(folder: Path) -> Iterator[Pane]:
    """A terminal whose server lives in that folder and ends with the block."""
    if shutil.which("tmux") is None:
        raise AssertionError("this test drives a real terminal: install tmux (apt install tmux)")
    made = Pane(folder / "tmux.sock")
    try:
        yield made
    finally:
        made.end()
