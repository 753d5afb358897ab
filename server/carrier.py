"""What whoever carries the messages has to remember from round to round."""

from dataclasses import asdict, dataclass, field
from typing import Any


def _phases() -> dict[str, float]:
    return dict.fromkeys(("encode", "teachers", "predict"), 0.0)


@dataclass
class Carrier:
    """Kept by Flower's strategy or by the loop; part of every checkpoint.

    Attributes:
        ready: the clients that have a teacher and are asked; None before they were prepared.
        isolated: whether the server has had a process of its own all the time.
        envelope_bytes: what Flower added to the accepted byte strings.
        seconds: of the phases in which clients act.
    """

    ready: set[int] | None = None
    isolated: bool = True
    envelope_bytes: int = 0
    seconds: dict[str, float] = field(default_factory=_phases)

    def to_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"ready": None if self.ready is None else sorted(self.ready)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Carrier":
        """What :meth:`to_json` told."""
        ready = told["ready"]
        return cls(**told | {"ready": None if ready is None else set(ready)})
