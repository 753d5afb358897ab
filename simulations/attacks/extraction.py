"""How much of the teacher itself follows from its answers."""

from typing import TYPE_CHECKING, Any, final

import numpy as np
from typing_extensions import override

from clients.teachers import FittedTeacher
from common.arrays import Floats
from common.component import component
from simulations.attacks import Attack, Finding
from simulations.attacks._scene import Scene, Seen
from simulations.attacks._surrogate import RECIPES, recovered

if TYPE_CHECKING:
    from simulations.attacks._taken import Taken

_MOST, _SOLVED = 8, 3  # targets that are copied, and solved for


@final
@component
class Extraction(Attack):
    """Solves a linear head from its release, or copies another teacher's function.

    Reference: Tramer et al. *Stealing Machine Learning Models via Prediction APIs*, USENIX Security
    2016; for last layers Carlini et al. *Stealing Part of a Production Language Model*, 2024,
    https://arxiv.org/abs/2403.06634.
    """

    @override
    def run(self, scene: Scene) -> list[Finding]:
        return [self._against(scene, seen) for seen in scene.rows]

    @override
    def against(self, taken: "Taken") -> list[Finding]:
        """Of each kind of release, the client that gives most away."""
        found = [finding for scene in taken.scenes.values() for finding in self.run(scene)]
        each = ([f for f in found if f.defence == name] for name in taken.releases)
        return [max(some, key=lambda f: float(f.figures["agreement"])) for some in each]

    def _against(self, scene: Scene, seen: Seen) -> Finding:
        figures = _function(scene, seen) | _weights(scene, seen)
        return Finding("extraction", seen.defence.name, "disjoint", figures, _words(figures))


def _function(scene: Scene, seen: Seen) -> dict[str, Any]:
    """The best copy by how often it decides as the teacher itself does on fresh texts."""
    game, grain = scene.game, seen.defence.grain
    said = seen.targets.shared[:_MOST]
    truth = np.stack([m.predict(game.fresh.inputs) for m in seen.trained.models[:_MOST]])
    votes = truth.argmax(axis=2)
    best = 0.0
    for recipe in RECIPES:
        scores = scene.copyist_of_fresh.scores(recipe, said, grain)
        best = max(best, float((scores.argmax(axis=2) == votes).mean()))
    usual = float(np.mean([(row == np.bincount(row).argmax()).mean() for row in votes]))
    return {"agreement": best, "agreement_blind": usual}


def _weights(scene: Scene, seen: Seen) -> dict[str, Any]:
    """Relative errors of a linear head, and of its scores on fresh texts; None without one.

    Weights of features that hardly vary are not found and hardly matter; scores tell.
    """
    game, wanted = scene.game, []
    for model in seen.trained.models[:_SOLVED]:
        if (head := head_of(model, game.pool.view.shape[1])) is not None:
            wanted.append(head)
    if not wanted or len(game.shared) <= game.pool.view.shape[1]:
        return {"weight_error": None, "score_error": None}
    said = seen.targets.shared[: len(wanted)]
    found = [recovered(game.shared.view, part, seen.defence.grain) for part in said]
    asked = np.concatenate([game.fresh.view, np.ones((len(game.fresh), 1))], axis=1).T
    pairs = list(zip(found, wanted, strict=True))
    return {
        "weight_error": float(np.median([relative_error(a, b) for a, b in pairs])),
        "score_error": float(np.median([relative_error(a @ asked, b @ asked) for a, b in pairs])),
    }


def head_of(model: FittedTeacher, width: int) -> Floats | None:
    """Weights and bias (C, D + 1) of a teacher that is linear in its features; None of others."""
    tensors = model.tensors()
    if tensors.keys() != {"weights"} or tensors["weights"].shape[1] != width + 1:
        return None
    weights: Floats = tensors["weights"]
    return weights


def relative_error(found: Floats, truth: Floats) -> float:
    """Norm of the difference over that of the truth, both centred over the labels."""
    exact = truth.astype(np.float64)
    wanted = exact - exact.mean(axis=0)
    away = np.linalg.norm(found - found.mean(axis=0) - wanted)
    return float(away) / max(float(np.linalg.norm(wanted)), 1e-300)


def _words(figures: dict[str, Any]) -> str:
    copy = (
        f"A copy made from the release decides like the private teacher on "
        f"{figures['agreement']:.1%} of unseen texts (always saying the usual label: "
        f"{figures['agreement_blind']:.1%})"
    )
    error = figures["score_error"]
    return copy + ("." if error is None else f"; solved for, its scores are off by {error:.1e}.")
