"""Housekeeping over the decision floors, as the daemon wires it."""

from meshd.services.dead_letters import DeadLetters
from meshd.services.sweeping import Retention, Sweeper
from tests.support.floors import Floors


def sweeper(house: Floors, keep: Retention) -> Sweeper:
    """One that keeps things so long."""
    dead = DeadLetters(
        house.scoped, house.events, lambda: house.directory.latest.subscriptions, house.clock
    )
    return Sweeper(
        house.scoped, house.scoped_calls, house.keys, house.records, house.clock, keep, dead.expire
    )
