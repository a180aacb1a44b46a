"""The command line of meshctl."""

__version__ = "0.1.0"
