"""MCP itself, without input or output: envelopes, versions, event streams."""
