"""The event bus as an engine: who matches, when to try again, who has which delivery. No rules."""
