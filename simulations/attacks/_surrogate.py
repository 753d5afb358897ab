"""A model of somebody else's model, from its answers on public texts alone.

Log-probabilities of a linear head are linear in the features, up to a shift of each row, so
answers on more texts than features give it away exactly (Tramer et al. *Stealing Machine
Learning Models via Prediction APIs*, USENIX Security 2016, section 4.1). Any other model is
regressed in a kernel, linear or that of an infinitely wide layer of rectifiers (Cho, Saul.
*Kernel Methods for Deep Learning*, NIPS 2009, equation 6). The matrix is the same for every
model, so hundreds of surrogates cost one eigendecomposition.

Axes: M models, N shared texts, P asked texts, D features, C labels.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from common.arrays import Floats, Ints

Kernel = Literal["linear", "rectifiers"]
_PINV, _FINE, _FOLDS = 1e-11, 1e-5, 5
_PULLS = (1e-7, 1e-5, 1e-3)
_PATIENCE = {"maxiter": 300, "gtol": 1e-7}


@dataclass(frozen=True)
class Recipe:
    """How answers become a surrogate.

    Attributes:
        kernel: which functions it may be.
        ridge: pull towards zero, in units of the kernel's mean eigenvalue; 0 for none.
        response: whether logarithms or probabilities are regressed.
    """

    kernel: Kernel
    ridge: float
    response: Literal["log", "probs"]


EXACT = Recipe("linear", 0.0, "log")
"""The pseudo-inverse: exact for linear heads and enough texts."""

RECIPES = (
    EXACT,
    *(
        Recipe(kernel, ridge, response)
        for response in ("log", "probs")
        for kernel in ("linear", "rectifiers")
        for ridge in (1e-4, 1e-2, 1.0)
    ),
)
"""What an adaptive attacker tries on shadow models."""


class Copyist:
    """Regresses answers on the shared texts, and says what would be answered elsewhere."""

    def __init__(self, shared: Floats, asked: Floats) -> None:
        """Look at public texts (N, D) and at those of interest (P, D), as features."""
        centre = shared.mean(axis=0, dtype=np.float64)
        scale = float(np.sqrt(np.mean((shared - centre) ** 2) * shared.shape[1])) or 1.0
        self._shared, self._asked = (shared - centre) / scale, (asked - centre) / scale
        self._known: dict[Recipe, Floats] = {}
        self._spectra: dict[Kernel, Any] = {}

    def scores(self, recipe: Recipe, said: Floats, grain: float) -> Floats:
        """What the surrogates of M models make of the asked texts.

        Args:
            recipe: how they are made.
            said: shape (M, N, C), the release.
            grain: the smallest step of its probabilities.

        Returns:
            Shape (M, P, C): log-probabilities up to a shift, or probabilities.
        """
        wanted = _response(recipe, said, grain)
        made: Floats = np.einsum("pn,mnc->mpc", self._map(recipe), wanted, optimize=True)
        return made

    def _map(self, recipe: Recipe) -> Floats:
        """Shape (P, N): from answers to answers."""
        key = Recipe(recipe.kernel, recipe.ridge, "log")
        if key not in self._known:
            values, vectors, cross = self._spectrum(recipe.kernel)
            held = values > _PINV * values.max() * len(values)
            lifted = np.where(held, values, 1.0) + recipe.ridge * values.mean()
            inverse = np.where(held | (recipe.ridge > 0), 1 / lifted, 0.0)
            self._known[key] = cross @ (vectors * inverse) @ vectors.T
        return self._known[key]

    def _spectrum(self, kernel: Kernel) -> Any:
        if kernel not in self._spectra:
            values, vectors = np.linalg.eigh(_gram(kernel, self._shared, self._shared))
            self._spectra[kernel] = values, vectors, _gram(kernel, self._asked, self._shared)
        return self._spectra[kernel]


def odds(recipe: Recipe, scores: Floats, labels: Ints) -> Floats:
    """How sure a surrogate is of the true label, shape (M, P).

    Args:
        recipe: of the surrogate.
        scores: shape (M, P, C), as :meth:`Copyist.scores` gives them.
        labels: shape (P,).
    """
    own = scores[:, np.arange(len(labels)), labels]
    others = scores.copy()
    others[:, np.arange(len(labels)), labels] = -np.inf
    rest = logsumexp(others, axis=2) if recipe.response == "log" else others.max(axis=2)
    made: Floats = own - rest
    return made


def recovered(shared: Floats, said: Floats, grain: float) -> Floats:
    """The head of one model from its answers, the bias last: (C, D + 1).

    By least squares on log-probabilities, which is exact for exact ones; from coarse ones on by
    maximum likelihood with a penalty that is chosen on every fifth answer, for the logarithm of a
    rounded probability is far off where it is small.
    Rows sum to zero over the labels: a shift common to all labels changes no answer.

    Args:
        shared: shape (N, D).
        said: shape (N, C).
        grain: as of :meth:`Copyist.scores`.
    """
    inputs = np.concatenate([shared, np.ones((len(shared), 1))], axis=1).astype(np.float64)
    wanted = _response(EXACT, said[None], grain)[0]
    found: Floats = np.linalg.lstsq(inputs, wanted, rcond=1e-10)[0].T
    if grain <= _FINE:
        return found
    exact, kept = said.astype(np.float64), np.arange(len(said)) % _FOLDS > 0
    fitted = [_likeliest(inputs[kept], exact[kept], found, pull) for pull in _PULLS]
    missed = [_cross_entropy(w, inputs[~kept], exact[~kept]) for w in fitted]
    return _likeliest(inputs, exact, found, _PULLS[int(np.argmin(missed))])


def _likeliest(inputs: Floats, said: Floats, start: Floats, pull: float) -> Floats:
    """The minimiser of the cross-entropy to answers (N, C) with a penalty; convex. L-BFGS."""

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(start.shape)
        slope = (softmax(inputs @ weights.T, axis=1) - said).T @ inputs / len(said)
        value = _cross_entropy(weights, inputs, said) + pull / 2 * float(flat @ flat)
        return value, (slope + pull * weights).ravel()

    solved = minimize(loss, 0 * start.ravel(), jac=True, method="L-BFGS-B", options=_PATIENCE)
    found: Floats = solved.x.reshape(start.shape)
    made: Floats = found - found.mean(axis=0)
    return made


def _cross_entropy(weights: Floats, inputs: Floats, said: Floats) -> float:
    return float(-(said * log_softmax(inputs @ weights.T, axis=1)).sum() / len(said))


def _response(recipe: Recipe, said: Floats, grain: float) -> Floats:
    if recipe.response == "probs":
        return said.astype(np.float64)
    logs = np.log(np.maximum(said.astype(np.float64), grain / 2))
    made: Floats = logs - logs.mean(axis=2, keepdims=True)
    return made


def _gram(kernel: Kernel, left: Floats, right: Floats) -> Floats:
    """Shape (P, N): inner products, with a bias."""
    inner: Floats = left @ right.T + 1.0
    if kernel == "linear":
        return inner
    norms = [np.sqrt((part**2).sum(axis=1) + 1.0) for part in (left, right)]
    lengths = np.outer(*norms)
    cosine = np.clip(inner / lengths, -1, 1)
    angle = np.arccos(cosine)
    made: Floats = lengths / np.pi * (np.sin(angle) + (np.pi - angle) * cosine)
    return made
