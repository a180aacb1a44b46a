"""The desktop clients that are known: where each keeps its servers, and under which key.

Linux, macOS and WSL only; a Windows client's own files are not looked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

AppId = Literal["claude-desktop", "claude-code", "cursor", "vscode"]


@dataclass(frozen=True, slots=True)
class App:
    """A client; `key` is the member of its files that holds `{name: entry}`.

    `rewrites_own`: it rewrites its own settings as it runs, so nobody else should edit them.
    `says_type`: its entries tell that they run a program.
    """

    id: AppId
    title: str
    key: str
    rewrites_own: bool = False
    says_type: bool = False

    def files(self, home: Path, platform: str, environ: Mapping[str, str]) -> list[Path]:
        """Return the user-level files, the one to write first; they need not exist.

        `platform` is `sys.platform`.
        """
        settings = _settings_folder(home, platform, environ)
        match self.id:
            case "claude-desktop":
                return [settings / "Claude" / "claude_desktop_config.json"]
            case "claude-code":
                own = _absolute(environ.get("CLAUDE_CONFIG_DIR"))
                return [(own or home) / ".claude.json"]
            case "cursor":
                return [home / ".cursor" / "mcp.json"]
            case "vscode":
                editions = ("Code", "Code - Insiders")
                return [settings / edition / "User" / "mcp.json" for edition in editions]

    def project_files(self, folder: Path) -> list[Path]:
        """Return the files that a project folder may hold for this client; for reading only."""
        match self.id:
            case "claude-desktop":
                return []
            case "claude-code":
                return [folder / ".mcp.json"]
            case "cursor":
                return [folder / ".cursor" / "mcp.json"]
            case "vscode":
                return [folder / ".vscode" / "mcp.json"]


APPS: tuple[App, ...] = (
    App("claude-desktop", "Claude Desktop", "mcpServers"),
    App("claude-code", "Claude Code", "mcpServers", rewrites_own=True, says_type=True),
    App("cursor", "Cursor", "mcpServers"),
    App("vscode", "VS Code", "servers", says_type=True),
)


def _settings_folder(home: Path, platform: str, environ: Mapping[str, str]) -> Path:
    """Return where the platform's programs keep settings (Electron's `appData`)."""
    if platform == "darwin":
        return home / "Library" / "Application Support"
    return _absolute(environ.get("XDG_CONFIG_HOME")) or home / ".config"


def _absolute(path: str | None) -> Path | None:
    # The XDG specification has relative paths ignored.
    return Path(path) if path and path.startswith("/") else None
