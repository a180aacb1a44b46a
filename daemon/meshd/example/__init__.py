"""A small example MCP server that ships with the package. Imported by nothing; run as a module."""
