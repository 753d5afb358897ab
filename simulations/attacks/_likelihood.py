"""Scores of membership from what models say, given models trained with and without.

Axes: T targets, S shadows, P candidates, Z records of the population, C labels.
"""

import numpy as np
from scipy.special import log_ndtr

from common.arrays import Floats, Ints
from simulations.attacks._figures import Masks

_MANY = 128  # shadows from which each candidate has a variance of its own
_TINY = 1e-12


def log_odds(probs: Floats, labels: Ints, grain: float) -> Floats:
    """``log p / (1 - p)`` of the true label, which is nearly normal over models.

    Args:
        probs: shape (M, P, C).
        labels: shape (P,).
        grain: the smallest step of a probability; nothing is taken as surer than a quarter of it.

    Returns:
        Shape (M, P).

    Reference: Carlini et al. *Membership Inference Attacks From First Principles*, IEEE S&P
    2022, equation 4, https://arxiv.org/abs/2112.03570.
    """
    exact, rows = probs.astype(np.float64), np.arange(len(labels))
    own, others = exact[:, rows, labels], exact.copy()
    others[:, rows, labels] = 0  # their sum is exact where 1 - p is not
    least = grain / 4
    made: Floats = np.log(np.maximum(own, least)) - np.log(np.maximum(others.sum(axis=2), least))
    return made


def of_labels(probs: Floats, labels: Ints) -> Floats:
    """Shape (M, P): what is said of the true labels (P,) in (M, P, C)."""
    made: Floats = probs[:, np.arange(len(labels)), labels]
    return made


def lira(targets: Floats, shadows: Floats, inside: Masks, online: bool = True) -> Floats:
    """How much likelier a signal is among models that have seen the candidate.

    Online: the log ratio of two normal densities, one fitted to shadows with the candidate and
    one to those without. Offline: how far the signal lies above those without. With few shadows
    the variances are common to all candidates (as in the paper, section 6.C).

    Args:
        targets: shape (T, P), signals of the models under attack.
        shadows: shape (S, P), of the attacker's own.
        inside: shape (S, P), which shadow has seen which candidate; each has and has not.
        online: whether shadows with the candidate are used.

    Returns:
        Shape (T, P); the larger, the likelier a member.

    Reference: Carlini et al. 2022, algorithm 1 and section 5.
    """
    out_mean, out_var = _normal(shadows, 1.0 - inside)
    without = _log_density(targets, out_mean, out_var)
    if not online:
        above: Floats = log_ndtr((targets - out_mean) / np.sqrt(out_var))
        return above
    ratio: Floats = _log_density(targets, *_normal(shadows, inside.astype(np.float64))) - without
    return ratio


def _normal(signals: Floats, chosen: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of each candidate's chosen signals, shape (P,)."""
    count = chosen.sum(axis=0)
    mean = (signals * chosen).sum(axis=0) / np.maximum(count, 1)
    squares = ((signals - mean) ** 2 * chosen).sum(axis=0)
    common = squares.sum() / max((count - 1).sum(), 1)
    own = squares / np.maximum(count - 1, 1)
    variance = own if len(signals) >= _MANY else np.full_like(own, common)
    return mean, np.maximum(variance, max(_TINY, 1e-3 * common))


def _log_density(values: Floats, mean: Floats, variance: Floats) -> Floats:
    made: Floats = -((values - mean) ** 2) / (2 * variance) - np.log(variance) / 2
    return made


def rmia(
    candidates: tuple[Floats, Floats],
    inside: Masks,
    population: tuple[Floats, Floats],
    gamma: float,
    trust: float,
) -> Floats:
    """The share of the population than which a candidate gains more from the target model.

    With ``p(x)`` the mean probability over the references, for candidates of those without it
    lifted by ``((1 + a) p + 1 - a) / 2``: the share of z with
    ``(p(x | target) / p(x)) / (p(z | target) / p(z)) >= gamma``.

    Args:
        candidates: probabilities of true labels by targets (T, P) and references (S, P).
        inside: shape (S, P), which reference has seen which candidate.
        population: the same by targets (T, Z) and references (S, Z); nobody has seen these.
        gamma: at least 1.
        trust: a in [0, 1], how far a reference without the candidate stands for the mean.

    Returns:
        Shape (T, P), in [0, 1].

    Reference: Zarifzadeh, Liu, Shokri. *Low-Cost High-Power Membership Inference Attacks*, ICML
    2024, equations 3 to 5 and appendix B.2.2, https://arxiv.org/abs/2312.03262.
    """
    without = 1.0 - inside
    out = (candidates[1] * without).sum(axis=0) / np.maximum(without.sum(axis=0), 1)
    usual = ((1 + trust) * out + 1 - trust) / 2
    gain = candidates[0] / np.maximum(usual, _TINY)
    others = np.sort(population[0] / np.maximum(population[1].mean(axis=0), _TINY), axis=1)
    beaten = [
        np.searchsorted(row, own / gamma, "right") for row, own in zip(others, gain, strict=True)
    ]
    made: Floats = np.stack(beaten) / others.shape[1]
    return made
