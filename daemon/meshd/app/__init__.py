"""The composition root: opens everything in order, closes in reverse."""

from meshd.app.serving import Serving, serving

__all__ = ["Serving", "serving"]
