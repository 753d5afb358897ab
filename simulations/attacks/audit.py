"""Does a guarantee hold? Plant canaries, guess which were there, and bound epsilon from below."""

import math
from typing import TYPE_CHECKING, Any, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from clients.mechanisms import Mechanism
from clients.mechanisms.dp_gd import DpGd
from clients.teachers import Teacher
from common.arrays import Floats
from common.component import component
from common.configure import kind_of
from common.gaussian_dp import epsilon_of
from common.seeds import derive, stream
from simulations.attacks import Attack, Finding
from simulations.attacks._bounds import gaussian_mu, one_run_epsilon
from simulations.attacks._canaries import Auditor, Canaries, Runs, plant
from simulations.attacks._release import EPSILON
from simulations.attacks._scene import Scene, own_mechanism
from simulations.events import Progress

if TYPE_CHECKING:
    from simulations.attacks._taken import Taken


@final
@component
class Audit(Attack):
    """A lower bound of epsilon at 95 %, from releases alone; above the claim, it fails.

    Every canary is part of a training with probability 1/2; the auditor has runs of its own to
    learn from. Two bounds, each at 97.5 %: of the one run with (epsilon, delta) alone (Steinke,
    Nasr, Jagielski. *Privacy Auditing with One (1) Training Run*, NeurIPS 2023,
    https://arxiv.org/abs/2305.08846), and, where the mechanism is Gaussian, of mu over all runs
    (Nasr et al., USENIX Security 2023). Steps on samples are not Gaussian: what is found of mu is
    no epsilon of theirs, and the first bound is all there is. A mechanism whose noise is seeded is
    audited by somebody who knows the seed. The bound says what was found, and never that there is
    no more.

    Attributes:
        significance: of both bounds together.
    """

    significance: float = Field(default=0.05, gt=0, lt=0.5)

    @override
    def obstacle(self, scene: Scene) -> str | None:
        if scene.game.recipe.reads != "features":
            return "it plants features, and this teacher reads texts"
        if own_mechanism(scene.game) is None and not _guarded(scene):
            return "no mechanism can train this teacher"
        return None

    @override
    def obstacle_in(self, taken: "Taken") -> str | None:
        own = own_mechanism(taken.first.game)
        if own is None or own.unit == "none":
            return "this run promises nothing that could be refuted"
        return self.obstacle(taken.first)

    @override
    def run(self, scene: Scene) -> list[Finding]:
        game = scene.game
        canaries = plant(
            game.shared.view,
            (game.pool.view, game.pool.labels),
            game.num_labels,
            game.rng("canaries"),
        )
        own = own_mechanism(game)
        seed = derive(game.seed, "attack", "audit") % 2**32
        # Seeded so that figures repeat; this auditor does not use the seed.
        mechanism = own or DpGd(epsilon_target=EPSILON, noise_seed=seed)
        replayed = getattr(own, "noise_seed", None) is not None
        figures = self.bounds(mechanism, game.recipe, canaries, game, replayed, scene.progress)
        return [_finding(figures, mechanism, replayed)]

    def bounds(
        self,
        mechanism: Mechanism,
        recipe: Teacher,
        canaries: Canaries,
        game: Any,
        replayed: bool,
        progress: Progress,
    ) -> dict[str, Any]:
        """What the audit of a mechanism finds.

        Args:
            mechanism: what is audited.
            recipe: what it trains.
            canaries: what is planted.
            game: anything with ``seed``, ``size.audits`` and ``experiment.wire.bits``.
            replayed: whether the auditor can draw the noise again.
            progress: told ("audit", runs done, all).

        Returns:
            ``epsilon_claimed``, ``epsilon_lower`` and its parts ``one_run`` and ``gaussian``
            (None where steps were sampled, or without delta), ``mu_lower``, ``correct``, the
            share of right guesses, ``canaries``, ``runs``, ``replayed``.
        """
        count = game.size.audits
        auditor = Auditor(
            mechanism,
            recipe,
            canaries,
            game.experiment.wire.bits,
            lambda *path: stream(game.seed, "audit", *path),
        )

        def some(name: str, before: int) -> Runs:
            return auditor.runs(
                name, count, replayed, lambda done: progress("audit", before + done, 2 * count)
            )

        learned, judged = some("learned", 0), some("judged", count)
        delta = mechanism.failure_probability()
        return self._bounded(learned, judged, delta) | {"replayed": replayed}

    def _bounded(self, learned: Runs, judged: Runs, delta: float | None) -> dict[str, Any]:
        sure = _sureness(learned, judged.marks)
        right = (sure > 0) == judged.included
        half, one = right.shape[1] // 2, self.significance / 2
        first = np.argsort(-np.abs(sure[0]), kind="stable")[:half]
        correct = int(right[0, first].sum())
        one_run = one_run_epsilon(right.shape[1], half, correct, delta or 0.0, one)
        mu = gaussian_mu(right.mean(axis=1), one)
        gaussian = None
        if delta is not None and learned.gaussian and judged.gaussian:
            gaussian = epsilon_of(mu, delta) if mu > 0 else 0.0
        return {
            "epsilon_claimed": judged.epsilon if math.isfinite(judged.epsilon) else None,
            "epsilon_lower": max(one_run, gaussian or 0.0),
            "one_run": one_run,
            "gaussian": gaussian,
            "mu_lower": mu,
            "correct": float(right.mean()),
            "canaries": right.shape[1],
            "runs": len(right),
        }


def _sureness(learned: Runs, marks: Floats) -> Floats:
    """How far each mark lies towards those of included canaries, from half way: (R, m).

    All canaries are alike by design, so what inclusion adds is learned over all of them, and only
    the place of each without it is its own.
    """
    there = learned.included.astype(float)
    counts = np.maximum(there.sum(axis=0), 1), np.maximum((1 - there).sum(axis=0), 1)
    with_it = (learned.marks * there).sum(axis=0) / counts[0]
    without = (learned.marks * (1 - there)).sum(axis=0) / counts[1]
    gain = float((with_it - without).mean())
    middle = (with_it + without) / 2
    made: Floats = (marks - middle) * (1.0 if gain >= 0 else -1.0)
    return made


def _finding(figures: dict[str, Any], mechanism: Mechanism, replayed: bool) -> Finding:
    claimed, lower = figures["epsilon_claimed"], figures["epsilon_lower"]
    promise = "no guarantee" if claimed is None else f"epsilon {claimed:.3g}"
    fault = ""
    if claimed is not None and lower > claimed:
        fault = f"the audit finds epsilon >= {lower:.3g} where {promise} is claimed"
        if replayed:
            fault += "; the noise is seeded, remove noise_seed"
    sentence = (
        f"{'FAILED' if fault else 'Passed'}: planted examples are told from absent ones "
        f"{figures['correct']:.0%} of the time, so epsilon is at least {lower:.2g}; claimed is "
        f"{promise}."
    )
    return Finding("audit", kind_of(mechanism), "canaries", figures, sentence, fault)


def _guarded(scene: Scene) -> bool:
    return any(seen.defence.mechanism is not None for seen in scene.rows)
