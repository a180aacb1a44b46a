"""The request that asks nothing."""

from msgspec import Raw, Struct


class Nothing(Struct):
    """No fields."""


def null() -> Raw:
    """JSON's null. A factory: a schema cannot show a default that is raw."""
    return Raw(b"null")
