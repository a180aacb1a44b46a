"""Acceptance runs: what the daemon promises, under kills, locks, damage and floods."""
