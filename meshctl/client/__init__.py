"""How a program on this machine talks to meshd: where it is, how to start it, how to ask it.

Nothing here prints, and nothing at import time costs more than a socket and JSON: the fast
commands are made of these modules alone.
"""
