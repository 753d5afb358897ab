"""The attack that makes everything look private."""

from typing import final

from typing_extensions import override

from common.arrays import Floats
from common.component import component
from simulations.attacks._likelihood import of_labels
from simulations.attacks._membership import Membership
from simulations.attacks._scene import Scene, Seen


@final
@component
class Naive(Membership):
    """Confidence in the true label, as it is; a control, for it says little of what leaks.

    A record that is easy for every model looks like a member, a hard one never does. Reference:
    Yeom et al. *Privacy Risk in Machine Learning*, CSF 2018, adversary 2; why it misleads: Carlini
    et al. *Membership Inference Attacks From First Principles*, IEEE S&P 2022, section 4.
    """

    @override
    def scores(self, scene: Scene, seen: Seen) -> Floats:
        return of_labels(seen.targets.pool, scene.game.pool.labels)
