"""Favourites alone still give members away."""

from typing import ClassVar, final

from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.quantise import to_codes, to_probs
from simulations.attacks._adaptive import copied
from simulations.attacks._membership import Membership, Place
from simulations.attacks._scene import Scene, Seen


@final
@component
class LabelOnly(Membership):
    """Looks at nothing but the favourite label of each shared text, copies, then compares.

    Played against the experiment's own release, of which it shows the part that no rounding
    removes. Reference: Choquette-Choo et al. *Label-Only Membership Inference Attacks*, ICML
    2021, https://arxiv.org/abs/2007.14321 (theirs perturbs candidates instead).
    """

    place: ClassVar[Place] = "disjoint"
    own_only: ClassVar[bool] = True

    @override
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        parts = (seen.targets.shared, seen.shadows.shared)
        said, shadowed = (to_probs(to_codes(part, 1), 1) for part in parts)
        return copied(scene, said, shadowed, 1.0).scores
