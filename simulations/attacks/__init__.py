"""Attacks: what somebody who reads releases finds out, played on simulated clients only."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from simulations.attacks._scene import Scene
    from simulations.attacks._taken import Taken


@dataclass(frozen=True)
class Finding:
    """One attack against one kind of release.

    Attributes:
        attack: the kind of the attack.
        defence: what was done to the release; empty where it does not matter.
        place: what the attacker looked at, as ``overlap``, ``disjoint``, ``student``.
        figures: numbers, intervals as [low, high]; texts where there is no number.
        sentence: what it means, for somebody who has never read a paper about it.
        fault: why a gate fails; empty where none does.
    """

    attack: str
    defence: str
    place: str
    figures: Mapping[str, Any]
    sentence: str
    fault: str = ""


class Attack(ABC):
    """One attack with its settings. Intended for one's own simulated clients and nobody else's.

    Attributes:
        quick: whether it belongs to the quick battery as well.
    """

    quick: ClassVar[bool] = True

    def obstacle(self, scene: "Scene") -> str | None:
        """Why it cannot be played in this scene; None if it can."""
        del scene
        return None

    @abstractmethod
    def run(self, scene: "Scene") -> list[Finding]:
        """Play it; the same scene gives the same findings.

        Args:
            scene: models, what they were trained on, and what they said.
        """

    def obstacle_in(self, taken: "Taken") -> str | None:
        """Why it cannot be played against a finished run; None if it can."""
        return self.obstacle(taken.first)

    def against(self, taken: "Taken") -> list[Finding]:
        """Play it against a finished run; if not overridden, against the first of its clients.

        Args:
            taken: what its clients released, and models of the attacker's own.
        """
        return self.run(taken.first)
