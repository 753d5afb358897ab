"""What exists only because we simulate. From Python: `from simulations import run, sweep, load`."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulations.results import compare as compare
    from simulations.results import load as load
    from simulations.results import run as run
    from simulations.results import sweep as sweep

__all__ = ["compare", "load", "run", "sweep"]


def __getattr__(name: str) -> Any:
    """Import on first use, so that a process of one part does not load the others."""
    if name in __all__:
        from simulations import results

        return getattr(results, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
