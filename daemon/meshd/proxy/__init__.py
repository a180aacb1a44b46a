"""Upstream MCP servers: reaching them over HTTP and as child processes. Knows no rules."""
