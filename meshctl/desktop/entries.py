"""Server entries in JSON, in the dialects of the known clients, as `ServerSpec`s.

Reading text is `jsonc_reader`; which files there are is `apps`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from meshctl.desktop.errors import DesktopError
from meshctl.desktop.launchers import is_launcher, server_name
from meshctl.desktop.spec import ServerSpec, Transport, connection_name

CONTAINERS = ("mcpServers", "servers", "context_servers", "mcp_servers")
"""Keys that hold `{name: entry}`: most clients, VS Code, Zed, Codex."""

# "httpUrl" is Gemini's and always streamable HTTP, "serverUrl" Windsurf's, "uri" Goose's.
_URL_KEYS = ("httpUrl", "serverUrl", "url", "uri")
_TYPES: Mapping[str, Transport] = {
    "http": "http",
    "streamablehttp": "http",
    "streamable": "http",
    "remote": "http",
    "sse": "sse",
    "stdio": "stdio",
    "local": "stdio",
}
_EXAMPLE = 'an entry looks like {"command": "npx", "args": ["-y", "NAME"]} or {"url": "https://…"}'


def read_document(value: Any, source: str) -> list[ServerSpec]:
    """Return the servers of a whole document: a container, `{name: entry}`, or a bare entry.

    Raises `DesktopError` naming the entry that is not one.
    """
    if isinstance(value, list):
        return [read_entry(None, entry, source) for entry in value]
    if not isinstance(value, dict) or not value:
        raise DesktopError("the JSON holds no server entry", _EXAMPLE)
    if _is_entry(value):
        return [read_entry(None, value, source)]
    held = [value[key] for key in CONTAINERS if isinstance(value.get(key), dict | list)]
    if held:
        return [spec for servers in held for spec in read_servers(servers, source)]
    # VS Code's settings.json and opencode keep theirs one level further down.
    inner = value.get("mcp")
    if isinstance(inner, dict) and not _is_entry(inner):
        return read_document(inner, source)
    return read_servers(value, source)


def read_servers(servers: Any, source: str) -> list[ServerSpec]:
    """Return the servers of a container's value: `{name: entry}`, or a list of named entries."""
    if isinstance(servers, list):
        return [read_entry(None, entry, source) for entry in servers]
    return [read_entry(name, entry, source) for name, entry in servers.items()]


def read_entry(name: str | None, entry: Any, source: str) -> ServerSpec:
    """Return one entry's spec; without a name it is the entry's own or a guess."""
    shown = "the entry" if name is None else f'"{name}"'
    if not isinstance(entry, dict) or not _is_entry(entry):
        raise DesktopError(f"{shown} has neither a command nor a URL", _EXAMPLE)
    if isinstance(entry.get("command"), dict):
        # Zed's former notation: {"command": {"path": …, "args": …, "env": …}}.
        inner = entry["command"]
        entry = {**entry, **inner, "command": inner.get("path")}
    command = _command(entry, shown)
    url = next((entry[key] for key in _URL_KEYS if isinstance(entry.get(key), str)), None)
    transport = _transport(entry, shown, command, url)
    if name is None:
        own = entry.get("name")
        guess = connection_name(url) if url and transport != "stdio" else server_name(command)
        name = own if isinstance(own, str) and own else guess
    disabled = entry.get("disabled") is True or entry.get("enabled") is False
    if transport == "stdio":
        env = _strings(entry.get("env", entry.get("environment")), f'{shown}: "env"')
        cwd = entry.get("cwd")
        return ServerSpec(
            name=name,
            transport=transport,
            command=command,
            env=env,
            cwd=cwd if isinstance(cwd, str) and cwd else None,
            source=source,
            disabled=disabled,
        )
    headers = _strings(entry.get("headers", entry.get("http_headers")), f'{shown}: "headers"')
    return ServerSpec(
        name=name, transport=transport, url=url, headers=headers, source=source, disabled=disabled
    )


def transport_of(url: str) -> Transport:
    """Guess the transport of a URL that came without one: `…/sse` is the 2024-11-05 transport."""
    return "sse" if re.search(r"/sse/?(?:[?#]|$)", url) else "http"


def must_be_url(url: str, shown: str) -> str:
    """Return the URL if it is one for HTTP, or begins with a placeholder for one."""
    if not re.match(r"(?:https?://[^\s/]|[<$\[{])", url, re.IGNORECASE):
        raise DesktopError(
            f"{shown} has an address that is not an http:// or https:// URL",
            "write the whole URL, for example https://host.example/mcp",
        )
    return url


def _is_entry(value: Mapping[str, Any]) -> bool:
    if any(isinstance(value.get(key), str) for key in _URL_KEYS):
        return True
    command = value.get("command")
    return isinstance(command, str | list) or (
        isinstance(command, dict) and isinstance(command.get("path"), str)
    )


def _transport(
    entry: Mapping[str, Any], shown: str, command: tuple[str, ...], url: str | None
) -> Transport:
    said = entry.get("type", entry.get("transport"))
    transport = None
    if isinstance(said, str):
        transport = _TYPES.get(re.sub(r"[-_ ]", "", said).casefold())
        if transport is None:
            raise DesktopError(
                f"{shown} has the type {said[:30]!r}, which is not spoken here",
                "the types are http (streamable HTTP), sse and stdio",
            )
    if transport is None:
        if url is None or command:
            transport = "stdio"
        else:
            transport = "http" if "httpUrl" in entry else transport_of(url)
    if transport == "stdio":
        if not command:
            raise DesktopError(f"{shown} is of type stdio and has no command", _EXAMPLE)
        return transport
    if url is None:
        raise DesktopError(f"{shown} is of type {transport} and has no URL", _EXAMPLE)
    must_be_url(url, shown)
    # opencode's "remote" says nothing about which of the two it is.
    return transport_of(url) if said == "remote" else transport


def _command(entry: Mapping[str, Any], shown: str) -> tuple[str, ...]:
    command = entry.get("command")
    if not command:
        return ()
    if isinstance(command, list):
        return tuple(_string(word, f'{shown}: "command"') for word in command)
    args = entry.get("args") or []
    if not isinstance(args, list):
        raise DesktopError(f'{shown}: "args" is not a list', 'write "args": ["ONE", "TWO"]')
    if not args and " " in command and is_launcher(command.split()[0]):
        # A whole line in "command": some clients run it, so people write it.
        try:
            return tuple(shlex.split(command))
        except ValueError:
            raise DesktopError(
                f'{shown}: "command" has a quote that is never closed',
                'put the program in "command" and the rest in "args"',
            ) from None
    return (command, *(_string(word, f'{shown}: "args"') for word in args))


def _strings(value: Any, shown: str) -> dict[str, str]:
    """Return `{name: text}`; null values are left out, as VS Code reads them."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DesktopError(f"{shown} is not an object", 'write {"NAME": "VALUE"}')
    return {
        name: _string(text, f"{shown} {name}") for name, text in value.items() if text is not None
    }


def _string(value: Any, shown: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise DesktopError(f"{shown} holds something that is no text", "put the value in quotes")
