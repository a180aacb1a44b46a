"""The dashboard `meshctl tui`: one screen over the same calls that the commands make.

Threads of `feed` ask the daemon and post messages; the app owns everything that is shown.
"""
