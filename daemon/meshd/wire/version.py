"""Versions that both sides of the socket compare."""

VERSION = "0.1.0"
"""The release; the client warns when the daemon's differs."""

API = 1
"""The control API's generation, the `v1` in its paths."""
