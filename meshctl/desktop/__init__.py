"""MCP servers as other programs write them down, and meshctl written into those programs' files.

What lives here: reading a paste, reading and editing client configuration files. What does not:
asking the user, printing, and the daemon; nothing here starts a process or opens a socket.
"""
