"""The request that asks nothing."""

from msgspec import Struct


class Nothing(Struct):
    """No fields."""
