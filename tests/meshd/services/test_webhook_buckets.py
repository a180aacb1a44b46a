"""What is counted of a webhook goes with it, whoever removed it."""

from types import SimpleNamespace
from typing import Any

from meshd.services.webhooks import PER_MINUTE, Webhooks


def test_those_of_webhooks_that_are_gone_are_dropped() -> None:
    """When another one is needed, and what others have used up stays."""
    there: dict[str, Any] = {
        f"hook_{number}": SimpleNamespace(id=f"hook_{number}") for number in range(3)
    }
    directory: Any = SimpleNamespace(view=SimpleNamespace(webhooks=there))
    nothing: Any = None
    webhooks = Webhooks(nothing, directory, nothing, nothing, nothing, str, nothing)
    first, second, third = there.values()
    webhooks._bucket(first, 0.0).take(0.0, PER_MINUTE)
    webhooks._bucket(second, 0.0)
    del there[second.id]
    webhooks._bucket(third, 0.0)
    assert set(webhooks._buckets) == {first.id, third.id}
    assert webhooks._bucket(first, 0.0).tokens == PER_MINUTE - 1
