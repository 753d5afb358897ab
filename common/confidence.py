"""How much one teacher may claim on each text: what it can work out from its own answers alone.

The server weighs opinions by these numbers where it sees every answer; in a secure sum, where it
sees none, every client weighs itself by the same ones. Both call the functions here.

Axes: N samples, C labels. Every function takes one teacher's predictions (N, C) and returns
(N,), float64; the sources are named by the weightings that use them (``server/weightings``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from common.arrays import Floats

FLOOR: Final = 1e-3
"""Probabilities below it are read as it in logarithms: 8 bits carry .002 or so as zero."""

LEAST: Final = 2.0**-10
"""The least that anybody claims in a secure sum, so that no text is ever one client's alone."""

MOST_EXAMPLES: Final = 4096
"""A shard of more examples claims no more than one of so many, in a secure sum."""

_ROUNDING = 1e-12  # a confidence below it is that of a uniform row, and rounding


def distance_l2(probs: Floats, bias: Floats) -> Floats:
    """Euclidean distances of the rows from ``bias`` (C,)."""
    gap = probs.astype(np.float64) - bias
    return np.asarray(np.sqrt((gap * gap).sum(axis=1)))


def distance_symmetric_kl(probs: Floats, bias: Floats) -> Floats:
    """Half the sum of both divergences between the rows and ``bias`` (C,), in nats."""
    p = np.maximum(probs.astype(np.float64), FLOOR)
    m = np.maximum(bias.astype(np.float64), FLOOR)
    return np.asarray(0.5 * ((p - m) * (np.log(p) - np.log(m))).sum(axis=1))


def redundancy(probs: Floats) -> Floats:
    """``1 - H / log C``: 1 for a certain row, 0 for a uniform one."""
    rows = _distributions(probs)
    logs = np.log(rows, out=np.zeros_like(rows), where=rows > 0)
    found = 1 + (rows * logs).sum(axis=1) / np.log(rows.shape[1])
    return np.where(found > _ROUNDING, found, 0.0)


def margin(probs: Floats) -> Floats:
    """The largest probability minus the second largest."""
    best = np.partition(_distributions(probs), -2, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])


def variance(probs: Floats) -> Floats:
    """Over the labels, of the probabilities."""
    return _variance(_distributions(probs))


def log_variance(probs: Floats) -> Floats:
    """Over the labels, of the logarithms of the probabilities, none below :data:`FLOOR`."""
    return _variance(np.log(np.maximum(_distributions(probs), FLOOR)))


@dataclass(frozen=True)
class Rule:
    """A way to claim weight.

    Attributes:
        claim: from predictions (N, C), bias (C,) and number of examples to claims (N,).
        most: the largest claim there can be with C labels.
        needs: what a client must know beside its predictions: ``bias``, ``num_examples``.
    """

    claim: Callable[[Floats, Floats, int], Floats]
    most: Callable[[int], float]
    needs: frozenset[str] = frozenset()


def _variance_most(classes: int) -> float:
    """Of a certain row, ``(C - 1) / C^2``."""
    return (classes - 1) / classes**2


RULES: Final[dict[str, Rule]] = {
    "uniform": Rule(lambda p, b, n: np.ones(len(p)), lambda c: 1.0),
    "size": Rule(
        lambda p, b, n: np.full(len(p), float(n)),
        lambda c: float(MOST_EXAMPLES),
        frozenset({"num_examples"}),
    ),
    "knot_l2": Rule(
        lambda p, b, n: distance_l2(p, b), lambda c: float(np.sqrt(2)), frozenset({"bias"})
    ),
    "knot_symmetric_kl": Rule(
        lambda p, b, n: distance_symmetric_kl(p, b),
        lambda c: float(-np.log(FLOOR)),  # no two logarithms are further apart
        frozenset({"bias"}),
    ),
    "entropy": Rule(lambda p, b, n: redundancy(p), lambda c: 1.0),
    "margin": Rule(lambda p, b, n: margin(p), lambda c: 1.0),
    "variance_probs": Rule(lambda p, b, n: variance(p), _variance_most),
    "variance_logits": Rule(
        lambda p, b, n: log_variance(p),
        lambda c: float(np.log(FLOOR) ** 2 / 4),  # Popoviciu: a quarter of the squared range
    ),
}
"""The rules by name; what the weightings of the server call ``own_rule``."""


def claims(rule: str, probs: Floats, bias: Floats | None, num_examples: int | None) -> Floats:
    """What one client claims in a secure sum, shape (N,), in ``[LEAST, 1]``.

    Proportional to its weight in clear, but that nobody claims less than :data:`LEAST` of the
    most there can be, and no shard counts for more than :data:`MOST_EXAMPLES`.

    Args:
        rule: a name of :data:`RULES`.
        probs: shape (N, C).
        bias: shape (C,), if the rule needs it.
        num_examples: of the shard, if the rule needs it.

    Raises:
        ValueError: what the rule needs is not given.
    """
    wanted = RULES[rule]
    given = {"bias": bias, "num_examples": num_examples}
    if missing := sorted(name for name in wanted.needs if given[name] is None):
        raise ValueError(f"the rule {rule} needs {missing}")
    own = np.zeros(probs.shape[1]) if bias is None else bias
    raw = wanted.claim(probs, own, num_examples or 0) / wanted.most(probs.shape[1])
    return np.asarray(np.clip(raw, LEAST, 1.0))


def _distributions(probs: Floats) -> Floats:
    rows = np.asarray(probs, dtype=np.float64)
    scaled: Floats = rows / rows.sum(axis=1, keepdims=True)
    return scaled


def _variance(scores: Floats) -> Floats:
    # The mean of equal numbers may be off by a bit, and rounding is no opinion.
    away = scores - scores.mean(axis=1, keepdims=True)
    away[np.ptp(scores, axis=1) == 0] = 0
    return np.asarray((away * away).mean(axis=1))
