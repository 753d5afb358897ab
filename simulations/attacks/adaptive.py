"""The attack that needs no candidate in the transfer set."""

from typing import ClassVar, final

from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.attacks._adaptive import copied
from simulations.attacks._membership import Membership, Place
from simulations.attacks._scene import Scene, Seen


@final
@component
class Adaptive(Membership):
    """Copies the teacher from its release, then asks the copy about the candidates.

    A transfer set without private records protects nothing against it: a linear head is solved
    for, another one distilled, and likelihood ratios compare the copy with copies of shadow
    models. Reference: Jagielski et al. *Students Parrot Their Teachers*, NeurIPS 2023,
    https://arxiv.org/abs/2303.03446; Carlini et al., IEEE S&P 2022.
    """

    place: ClassVar[Place] = "disjoint"

    @override
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        said, shadowed = seen.targets.shared, seen.shadows.shared
        return copied(scene, said, shadowed, seen.defence.grain).scores
