"""What a secure sum is a sum of: agreed before anything is trained, the same for all."""

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats
from common.confidence import RULES, claims
from common.fixed_point import Sums, Words, to_words
from common.predictions import Predictions


@dataclass(frozen=True)
class SecureTerms:
    """The terms of a secure sum.

    Attributes:
        rule: how a client weighs itself, a name of :data:`common.confidence.RULES`.
        crowd: fewest clients of which anything may be told: of a sum, of the difference of
            two, and of a text.
        floor: None for sums of probabilities; otherwise sums of logarithms, of probabilities
            not below it.
    """

    rule: str
    crowd: int
    floor: float | None = None

    @property
    def needs(self) -> frozenset[str]:
        """What a client works out for itself, beside its predictions; it stays there."""
        return RULES[self.rule].needs

    def words(self, said: Predictions, parties: int) -> Words:
        """One client's contribution (N, C + 2) to a sum of so many.

        Raises:
            ValueError: the rule needs what ``said`` has not.
            OverflowError: the sum might not fit into 32 bits.
        """
        weights = claims(self.rule, said.probs, said.bias, said.num_examples)
        values, whole = self.values(said.probs), self.floor is None
        return to_words(values, weights, parties, whole=whole)

    def values(self, probs: Floats) -> Floats:
        """What is weighed and summed, shape (N, C) in [0, 1]: probabilities or logarithms.

        A logarithm is told as its share of that of the floor: 0 for certain, 1 at the floor.
        """
        exact = np.asarray(probs, dtype=np.float64)
        if self.floor is None:
            return np.asarray(exact / exact.sum(axis=1, keepdims=True))
        logs = np.log(np.clip(exact, self.floor, 1.0)) / np.log(self.floor)
        return np.asarray(np.clip(logs, 0.0, 1.0))

    def opinions(self, sums: Sums) -> Floats:
        """The consensus in a sum, (N, C), float32: the weighted mean, or the geometric one.

        A text of which nothing may be told has a uniform row; its weight is 0 anyhow.
        """
        means = sums.values
        if self.floor is not None:
            logs = means * np.log(self.floor)
            means = np.exp(logs - logs.max(axis=1, keepdims=True))
        total = means.sum(axis=1, keepdims=True)
        there = total > 0
        even = 1.0 / means.shape[1]
        made: Floats = np.where(there, means / np.where(there, total, 1.0), even)
        return made.astype(np.float32)

    def told(self, sums: Sums) -> Floats:
        """Shape (N,), float32: 1 for the texts of which enough clients said something, else 0."""
        return (sums.contributors >= self.crowd).astype(np.float32)

    def plausible(self, total: Words, parties: int) -> bool:
        """Whether a sum (N, C + 2) can be one of ``parties`` honest contributions.

        Where masks did not cancel, or a party sent noise, it almost surely cannot: the counts
        must be at most the parties, no value above its weight, and the words of a row of
        probabilities must sum exactly to its weight.
        """
        exact = total.astype(np.int64)
        values, weights, count = exact[:, :-2], exact[:, -2], exact[:, -1]
        good = bool(np.all(count <= parties) and np.all(values <= weights[:, None]))
        if self.floor is None:
            good = good and np.array_equal(values.sum(axis=1), weights)
        return good
