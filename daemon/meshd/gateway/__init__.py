"""MCP for clients: the TCP site with its gate, and the endpoint of each connection."""
