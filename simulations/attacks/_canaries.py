"""Canaries: made-up examples that leave as large a mark as a mechanism lets them.

Each lies far out along a principal direction of the public features that no other canary uses,
so that its clipped gradient is orthogonal to theirs and whether it was there can be read off by
itself; the auditor asks about points further out on the same line. Steps are small, so that all
gradients stay what they were at the start: settings of optimisation are no part of a guarantee.

Reference: for canaries with gradients of their own Nasr et al. *Tight Auditing of Differentially
Private Machine Learning*, USENIX Security 2023, section 4, https://arxiv.org/abs/2302.07956.

Axes: R runs, m canaries, D features, C labels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from clients.mechanisms import Holding, Mechanism
from clients.mechanisms.dp_gd import DpGd
from clients.teachers import FittedTeacher, Teacher
from common.arrays import Floats, Ints
from common.quantise import to_codes, to_probs
from simulations.attacks._figures import Masks
from simulations.attacks._release import grain_of

_MOST, _BASE, _FAR, _PILOTS = 128, 32, 10.0, 4
_RATES = (0.01, 0.1, 1.0)
_REACHES = (1.0, 10.0, 1e2, 1e3, 1e4, 1e5)


@dataclass(frozen=True, eq=False)
class Canaries:
    """What an auditor plants, and where it asks.

    Attributes:
        base: shape (B, D), ordinary examples that are always there.
        base_labels: shape (B,).
        shared: shape (N, D), public features.
        centre: shape (D,).
        directions: shape (m, D), each of the length of a usual example.
        labels: shape (m,).
        num_labels: C.
    """

    base: Floats
    base_labels: Ints
    shared: Floats
    centre: Floats
    directions: Floats
    labels: Ints
    num_labels: int

    def at(self, reach: float) -> Floats:
        """Points on the canaries' lines, shape (m, D)."""
        made: Floats = (self.centre + reach * self.directions).astype(np.float32)
        return made

    def shard(self, included: Masks, filled: bool = False) -> Holding:
        """The examples of one run.

        Args:
            included: shape (m,).
            filled: whether as many ordinary points as there are canaries to be expected make up
                for those that are missing; steps are as long as there are examples.
        """
        more = len(included) // 2 if filled else 0
        middle = np.repeat(self.at(0.0)[:1], more, axis=0)
        inputs = np.concatenate([self.base, middle, self.at(_FAR)[included]])
        ordinary = np.arange(more) % self.num_labels
        labels = np.concatenate([self.base_labels, ordinary, self.labels[included]])
        return Holding(inputs, labels, self.num_labels, self.shared)


def plant(
    shared: Floats, base: tuple[Floats, Ints], num_labels: int, rng: np.random.Generator
) -> Canaries:
    """Canaries for features like these.

    Args:
        shared: shape (N, D), public.
        base: examples (B, D) and labels (B,); the first 32 are used.
        num_labels: C.
        rng: draws the canaries' labels.
    """
    exact = shared.astype(np.float64)
    centre = exact.mean(axis=0)
    scale = float(np.sqrt(np.mean(np.sum(exact * exact, axis=1)))) or 1.0
    _, vectors = np.linalg.eigh(np.cov(exact - centre, rowvar=False, bias=True))
    directions = vectors[:, ::-1][:, :_MOST].T
    labels = rng.integers(num_labels, size=len(directions))
    features, base_labels = base[0][:_BASE], base[1][:_BASE]
    return Canaries(features, base_labels, shared, centre, scale * directions, labels, num_labels)


def paced(mechanism: Mechanism) -> tuple[Mechanism, ...]:
    """The same guarantee at several paces; the auditor takes the one at which it sees most."""
    if isinstance(mechanism, DpGd):
        return tuple(replace(mechanism, learning_rate=rate, momentum=0.0) for rate in _RATES)
    return (mechanism,)


@dataclass(frozen=True, eq=False)
class Runs:
    """Several trainings with canaries.

    Attributes:
        included: shape (R, m), bool, each with probability 1/2.
        marks: shape (R, m), what the release says of each canary; the larger, the likelier.
        epsilon: the largest that any training claims.
        gaussian: whether every training says that all examples were part of each of its steps.
    """

    included: Masks
    marks: Floats
    epsilon: float
    gaussian: bool


class Auditor:
    """Trains with canaries, and reads releases."""

    def __init__(
        self,
        mechanism: Mechanism,
        recipe: Teacher,
        canaries: Canaries,
        bits: int,
        rngs: Callable[..., np.random.Generator],
    ) -> None:
        """Find the pace, and how far out to ask, on a few runs of one's own.

        Args:
            mechanism: what is audited.
            recipe: what it trains.
            canaries: what is planted.
            bits: of the release.
            rngs: the generator of a purpose, by its path; anew for each call.
        """
        self._recipe, self._canaries, self._bits, self._rngs = recipe, canaries, bits, rngs
        self._mechanism, self._reach = mechanism, _REACHES[0]
        tried = [(self._clearness(slow), slow) for slow in paced(mechanism)]
        (_, self._reach), self._mechanism = max(tried, key=lambda one: one[0][0])

    def runs(self, name: str, count: int, replayed: bool, step: Callable[[int], None]) -> Runs:
        """Train so often.

        Args:
            name: of the draw.
            count: R.
            replayed: whether the auditor can draw the mechanism's noise again, and subtracts
                what it leaves without any canary.
            step: told how many runs are done.
        """
        included, marks, epsilons, whole = [], [], [0.0], True
        for number in range(count):
            there = self._drawn(name, number)
            found, epsilon, all_in = self._marks(there, name, number)
            if replayed:
                found = found - self._marks(np.zeros_like(there), name, number, True)[0]
            included.append(there)
            marks.append(found)
            epsilons.append(epsilon)
            whole = whole and all_in
            step(number + 1)
        return Runs(np.stack(included), np.stack(marks), max(epsilons), whole)

    def _marks(
        self, included: Masks, name: str, number: int, filled: bool = False
    ) -> tuple[Floats, float, bool]:
        holding = self._canaries.shard(included, filled)
        fitted, epsilon, whole = self._fitted(self._mechanism, holding, name, number)
        return self._asked(fitted, self._reach), epsilon, whole

    def _drawn(self, name: str, number: int) -> Masks:
        made: Masks = self._rngs(name, "there", number).random(len(self._canaries.labels)) < 0.5
        return made

    def _fitted(
        self, mechanism: Mechanism, holding: Holding, name: str, number: int
    ) -> tuple[FittedTeacher, float, bool]:
        rng = self._rngs(name, "fit", number)
        fitted, spent = mechanism.fit(self._recipe, holding, rng)
        whole = spent is not None and spent.sampling == 1
        return fitted, mechanism.epsilon([] if spent is None else [spent]), whole

    def _asked(self, fitted: FittedTeacher, reach: float) -> Floats:
        """Log-odds of the canaries' labels on their lines, against the centre's: (m,)."""
        canaries, bits = self._canaries, self._bits
        asked = np.concatenate([canaries.at(reach), canaries.at(0.0)[:1]])
        probs = self._mechanism.release(fitted.predict(asked))
        told = to_probs(to_codes(probs, bits), bits).astype(np.float64)
        logs = np.log(np.maximum(told, grain_of(bits) / 2))
        logs -= logs.mean(axis=1, keepdims=True)
        made: Floats = logs[range(len(asked) - 1), canaries.labels] - logs[-1, canaries.labels]
        return made

    def _clearness(self, mechanism: Mechanism) -> tuple[float, float]:
        """How well included canaries stand out at the best reach, and that reach."""
        included = np.stack([self._drawn("pilot", k) for k in range(_PILOTS)])
        shards = map(self._canaries.shard, included)
        models = [self._fitted(mechanism, held, "pilot", k)[0] for k, held in enumerate(shards)]

        def clear(reach: float) -> float:
            marks = np.stack([self._asked(model, reach) for model in models])
            moved, there = marks - marks.mean(axis=0), included - included.mean(axis=0)
            spread = moved.std() * there.std()
            return float((moved * there).mean() / spread) if spread > 0 else 0.0

        return max((clear(reach), reach) for reach in _REACHES)
