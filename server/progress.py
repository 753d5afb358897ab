"""How whoever watches a run is told how far it is."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Told (phase, done, total)."""
