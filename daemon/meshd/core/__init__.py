"""Leaf parts of the daemon: settings, time, logs, tasks, secrets. They know nothing of MCP."""
