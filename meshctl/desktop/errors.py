"""The errors of this package: what was wrong, and what to do about it."""

from __future__ import annotations


class DesktopError(Exception):
    """Something written by another program, or by hand, that cannot be used.

    `sentence` says what was found, `next` what the person can do; neither holds a credential.
    """

    def __init__(self, sentence: str, next_step: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.next = next_step


class PasteError(DesktopError):
    """A paste that is no MCP server."""


class WiringError(DesktopError):
    """A client's file that cannot be changed, or must not be."""
