"""Which labels a client holds, from how often it says them."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from clients.mechanisms import Mechanism
from common.arrays import Floats, Ints
from common.component import component
from simulations.attacks import Attack, Finding
from simulations.attacks._figures import curve
from simulations.attacks._release import Defence, Said
from simulations.attacks._scene import Scene, noise_seed, repeatable
from simulations.attacks._training import listen, train

if TYPE_CHECKING:
    from simulations.attacks._taken import Taken

_LEAST = 4


@final
@component
class LabelDistribution(Attack):
    """The mean answer over the shared texts, taken for the shares of labels in the shard.

    Clients get shards as skewed as Dirichlet draws are, train by the mechanism of each row of the
    battery (with seeded noise, which the attack does not use), and what is read is what leaves
    them: rounded, noised, favourites alone. The blind guess is the same for every client: how
    labels are distributed in all of them. Reference: Shi, Ouyang, Wang 2025,
    https://arxiv.org/abs/2502.08001, section on label distribution inference.

    Attributes:
        clients: simulated ones.
        alpha: of the Dirichlet draws; the smaller, the more skewed.
    """

    clients: int = Field(default=16, ge=2)
    alpha: float = Field(default=0.3, gt=0)

    @override
    def run(self, scene: Scene) -> list[Finding]:
        game = scene.game
        rows = self._shards(game.pool.labels, game.num_labels, game.rng("skew"))
        truth = np.stack(
            [np.bincount(game.pool.labels[own], minlength=game.num_labels) for own in rows]
        ).astype(float)

        skewed, found = _Skewed(scene, rows), []
        for seen in scene.rows:
            guess = skewed.released(seen.defence).mean(axis=1)
            found.append(distribution_finding(compared(guess, truth), seen.defence.name))
        return found

    @override
    def against(self, taken: "Taken") -> list[Finding]:
        """What the clients of a run said of all its texts, against what they hold."""
        held = [taken.run.store(client).shard()[1] for client in taken.scenes]
        labels = taken.first.game.num_labels
        truth = np.stack([np.bincount(own, minlength=labels).astype(float) for own in held])
        made = []
        for name in taken.releases:
            guess = np.stack([taken.said(name, k).mean(axis=0) for k in taken.scenes])
            made.append(distribution_finding(compared(guess, truth), name))
        return made

    def _shards(self, labels: Ints, count: int, rng: np.random.Generator) -> list[Ints]:
        """For each client some candidates, drawn label by label; clients may share some."""
        size, made = len(labels) // 4, []
        for _ in range(self.clients):
            shares = rng.dirichlet(np.full(count, self.alpha))
            odds = shares[labels] / np.maximum(np.bincount(labels, minlength=count), 1)[labels]
            possible = np.flatnonzero(odds > 1e-12)
            take = max(min(size, len(possible) // 2), min(_LEAST, len(possible)))
            chance = odds[possible] / odds[possible].sum()
            made.append(np.sort(rng.choice(possible, take, replace=False, p=chance)))
        return made


class _Skewed:
    """Clients of skewed labels, trained as each defence says, and what leaves them."""

    def __init__(self, scene: Scene, rows: list[Ints]) -> None:
        self._scene, self._rows = scene, rows
        self._said: dict[Mechanism | None, Said] = {}

    def released(self, defence: Defence) -> Floats:
        """What leaves the K clients about the N shared texts, shape (K, N, C)."""
        game, own = self._scene.game, defence.mechanism
        if own is not None:
            own = repeatable(own, noise_seed(game))
        how = own if own is not None and own.trains else None
        if how not in self._said:
            trained = train(game, self._rows, "skewed", how, self._step)
            self._said[how] = listen(game, trained)
        rng = game.rng("alter", "skew", defence.name)
        return self._said[how].released(replace(defence, mechanism=own), rng).shared

    def _step(self, done: int, total: int) -> None:
        self._scene.progress("skewed", done, total)


def distribution_finding(figures: dict[str, Any], defence: str) -> Finding:
    """What :func:`compared` found, in words."""
    words = (
        f"The release misplaces {figures['tv']:.0%} of a client's label shares, a blind guess "
        f"{figures['tv_blind']:.0%}."
    )
    if (ranked := figures["absent_auc"]) is not None:
        words += f" Which labels a client lacks is ranked rightly {ranked:.0%} of the time."
    return Finding("label_distribution", defence, "disjoint", figures, words)


def compared(guess: Floats, counts: Floats) -> dict[str, Any]:
    """Guessed label shares against true ones.

    Args:
        guess: shape (K, C), rows sum to 1.
        counts: shape (K, C), examples of each label; rows with at least one.

    Returns:
        ``tv``, the mean total variation (half the sum of differences), ``tv_blind`` of the
        overall shares, ``correlation`` over all pairs, and ``absent_auc``, how often a label
        that a client lacks has a smaller guess than one that it has; None if none is lacking.
    """
    truth = counts / counts.sum(axis=1, keepdims=True)
    blind = counts.sum(axis=0) / counts.sum()
    lacking = counts == 0
    auc = None
    if lacking.any() and not lacking.all():
        one = np.ones((1, guess.size))
        auc = float(curve(-guess.ravel(), lacking.ravel(), one, (0.01,)).auc[0])
    moves = truth.std() > 0 and guess.std() > 0
    return {
        "tv": float(np.abs(guess - truth).sum(axis=1).mean() / 2),
        "tv_blind": float(np.abs(blind - truth).sum(axis=1).mean() / 2),
        "correlation": float(np.corrcoef(guess.ravel(), truth.ravel())[0, 1]) if moves else None,
        "absent_auc": auc,
    }
