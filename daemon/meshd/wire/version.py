"""The version that both sides of the socket compare."""

VERSION = "0.1.0"
"""The release; the client warns when the daemon's differs."""
