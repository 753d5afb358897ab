"""A picture of each class, drawn from answers about other pictures."""

from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from common.configure import kind_of
from simulations.attacks import Attack, Finding
from simulations.attacks._scene import Scene
from simulations.attacks._surrogate import recovered

if TYPE_CHECKING:
    from simulations.attacks._taken import Taken

_MOST = 8  # targets


@final
@component
class Inversion(Attack):
    r"""What a client's class looks like, from the gap between its answers and the public ones.

    For pictures only. The release gives linear scores W of the client; public pictures give a
    Gaussian prior with mean m and covariance S. The likeliest picture of class c is

    .. math:: x_c = m + \tfrac1\lambda S\, w_c

    the maximiser of :math:`w_c x - \tfrac\lambda2 (x - m)^\top S^{-1} (x - m)`. It is compared
    with the mean private picture of the class; the baseline is the prior alone. What comes out
    is a prototype of the class and no single record. After Takahashi, Liu, Liu. *Breaching
    FedMD*, CVPR 2023, https://arxiv.org/abs/2304.11436, who train a network for it.

    Attributes:
        spread: length of the step from the prior's mean, in units of the prior's own spread.
    """

    spread: float = Field(default=1.0, gt=0)

    @override
    def obstacle(self, scene: Scene) -> str | None:
        if kind_of(scene.game.encoder) != "numbers":
            return "it draws pictures, and these are texts"
        return None

    @override
    def run(self, scene: Scene) -> list[Finding]:
        game, seen = scene.game, scene.own
        shared = game.shared.view.astype(np.float64)
        centre = shared.mean(axis=0)
        likeness, prior, named, chance = [], [], [], []
        for told, rows in zip(seen.targets.shared[:_MOST], seen.trained.rows, strict=False):
            head = recovered(game.shared.view, told, seen.defence.grain)[:, :-1]
            drawn = prototypes(head, shared, self.spread)
            labels = game.pool.labels[rows]
            there = np.unique(labels)
            means = np.stack([game.pool.view[rows][labels == c].mean(axis=0) for c in there])
            likeness += [_correlated(drawn[c], mean) for c, mean in zip(there, means, strict=True)]
            prior += [_correlated(centre, mean) for mean in means]
            named += [there[_nearest(drawn[c], means)] == c for c in there]
            chance += [1 / len(there)] * len(there)
        figures: dict[str, Any] = {
            "correlation": float(np.mean(likeness)),
            "correlation_prior": float(np.mean(prior)),
            "named": float(np.mean(named)),
            "named_prior": float(np.mean(chance)),
        }
        return [Finding("inversion", seen.defence.name, "disjoint", figures, _words(figures))]

    @override
    def against(self, taken: "Taken") -> list[Finding]:
        """The mean over the clients."""
        found = [self.run(scene)[0] for scene in taken.scenes.values()]
        keys = found[0].figures
        figures = {key: float(np.mean([f.figures[key] for f in found])) for key in keys}
        return [Finding("inversion", found[0].defence, "disjoint", figures, _words(figures))]


def prototypes(weights: Floats, shared: Floats, spread: float) -> Floats:
    """The likeliest picture of each class under the public prior, as of :class:`Inversion`.

    Lambda is chosen so that each picture lies ``spread`` times the root of the covariance's trace
    away from the mean: how large the weights are says little, and all pictures have one contrast.

    Args:
        weights: shape (C, D), without bias.
        shared: shape (N, D), public pictures.
        spread: as of :class:`Inversion`.

    Returns:
        Shape (C, D).
    """
    covariance = np.cov(shared, rowvar=False)
    step = weights @ covariance
    lengths = np.maximum(np.linalg.norm(step, axis=1, keepdims=True), 1e-300)
    made: Floats = shared.mean(axis=0) + spread * np.sqrt(np.trace(covariance)) * step / lengths
    return made


def _correlated(left: Floats, right: Floats) -> float:
    return float(np.corrcoef(left, right)[0, 1])


def _nearest(picture: Floats, means: Floats) -> int:
    """By correlation, which does not mind contrast."""
    return int(np.argmax([_correlated(picture, mean) for mean in means]))


def _words(figures: dict[str, Any]) -> str:
    return (
        f"Pictures drawn from the release correlate {figures['correlation']:.2f} with the mean "
        f"private picture of their class (a picture drawn without it: "
        f"{figures['correlation_prior']:.2f}) and are told for the right class "
        f"{figures['named']:.0%} of the time (chance: {figures['named_prior']:.0%})."
    )
