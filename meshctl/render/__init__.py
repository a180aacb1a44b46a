"""How things become text: pure functions from plain mappings to cells and lines.

Only the standard library is imported, so that the fast commands can draw; `terminal` takes rich
inside its function. Nothing here prints, asks the daemon or reads the environment but `Look.of`.
"""
