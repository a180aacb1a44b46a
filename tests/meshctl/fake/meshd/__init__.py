"""Stands in for the daemon's program in tests of starting, stopping and finding it.

Everything but `__main__` is the real package's, which comes later on the path.
"""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
