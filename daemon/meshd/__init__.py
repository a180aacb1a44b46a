"""The daemon of meshctl."""
