"""What whoever carries the messages has to remember from round to round."""

from dataclasses import dataclass, field
from typing import Any


def _phases() -> dict[str, float]:
    return dict.fromkeys(("encode", "teachers", "predict"), 0.0)


@dataclass
class Carrier:
    """Kept by Flower's strategy or by the loop; part of every checkpoint.

    Attributes:
        ready: the clients that have a teacher and can be asked; None before any was prepared.
        gone: the clients that failed to prepare, or broke their node; asked nothing more.
        isolated: whether the server has had a process of its own all the time.
        envelope_bytes: what Flower added to the accepted byte strings.
        seconds: of the phases in which clients act.
    """

    ready: set[int] | None = None
    gone: set[int] = field(default_factory=set)
    isolated: bool = True
    envelope_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=_phases)
    _met: set[int] = field(default_factory=set, repr=False)

    def strangers(self, cohort: set[int]) -> set[int]:
        """Those of a cohort who are still to be prepared by this process.

        Who was ready in an earlier process is prepared once more: what is stored is loaded, and
        what is damaged is made anew.
        """
        return cohort - self._met - self.gone

    def met(self, asked: set[int], ready: set[int]) -> None:
        """Note who was prepared by this process, and which of them can be asked now."""
        self._met |= asked
        self.gone |= asked - ready
        self.ready = ((self.ready or set()) - asked) | ready

    def of(self, cohort: set[int]) -> set[int]:
        """Those of a cohort who can be asked."""
        return (self.ready or set()) & cohort

    def drop(self, clients: set[int]) -> None:
        """Never ask these again."""
        self.gone |= clients
        if self.ready is not None:
            self.ready -= clients

    def spend(self, phase: str, seconds: float) -> None:
        """Add to the time of a phase; the refinement is a phase in runs that have one."""
        self.seconds[phase] = self.seconds.get(phase, 0.0) + seconds

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        told = vars(self) | {"gone": sorted(self.gone), "seconds": dict(self.seconds)}
        del told["_met"]  # of this process only
        return told | {"ready": None if self.ready is None else sorted(self.ready)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Carrier":
        """What :meth:`to_json` told."""
        ready = told["ready"]
        sets = {"ready": None if ready is None else set(ready), "gone": set(told["gone"])}
        return cls(**told | sets)
