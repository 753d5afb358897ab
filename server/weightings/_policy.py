"""A logistic policy that takes or leaves each teacher, and the score-function rule for it."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(eq=False)
class Policy:
    """Takes teacher k on sample i with probability sigmoid(f_ik (a + A_k)), each on its own.

    Attributes:
        shared: a, shape (F,), float64, the same for all teachers.
        own: A, shape (K*, F), float64, by the teacher's id; rows of those who are absent stay.
    """

    shared: Tensor
    own: Tensor

    def chances(self, views: Tensor, teachers: Tensor) -> Tensor:
        """Probabilities (K, B) of views (K, B, F) of the teachers with these K ids."""
        return torch.sigmoid(self._logits(views, teachers))

    def climb(self, views: Tensor, teachers: Tensor, push: Tensor, bonus: float) -> None:
        """One step along :func:`score`, whose advantages the caller has multiplied by a rate."""
        logits = self._logits(views, teachers)
        slope = push - bonus * logits * torch.sigmoid(logits) * torch.sigmoid(-logits)
        each = torch.einsum("kb,kbf->kf", slope, views).double() / views.shape[1]
        self.shared += each.sum(dim=0)
        self.own[teachers] += each

    def _logits(self, views: Tensor, teachers: Tensor) -> Tensor:
        weights = (self.shared + self.own[teachers]).to(views.dtype)  # (K, F)
        return (views @ weights[:, :, None])[:, :, 0]


def score(actions: Tensor, chances: Tensor, advantages: Tensor) -> Tensor:
    """REINFORCE: advantage times the slope of log-likelihood in the logits, (K, B).

    Of a Bernoulli variable with a logistic probability that slope is action minus probability.

    Args:
        actions: shape (K, B), 0 or 1, drawn with ``chances``.
        chances: shape (K, B).
        advantages: shape (B,) or a scalar: rewards minus a baseline.

    Reference: Williams. *Simple Statistical Gradient-Following Algorithms for Connectionist
    Reinforcement Learning*, Machine Learning 8, 1992, section 4 (Bernoulli logistic units).
    """
    return advantages * (actions - chances)


@dataclass(eq=False)
class Baseline:
    """A moving mean and spread of rewards, by which they become advantages.

    Attributes:
        mean: of the rewards so far, the last ones counting most.
        variance: about that mean.
        seen: how many rewards there were.
        momentum: what stays of the old mean at each new reward, once there are many.
    """

    mean: float
    variance: float
    seen: int
    momentum: float

    def advantages(self, rewards: Tensor) -> Tensor:
        """What rewards are above what was usual, in spreads; then they become usual, too.

        The first ones set the mean, and are no advantage of their own.
        """
        mean = float(rewards.double().mean())
        if not self.seen:
            self.mean = mean
        away = rewards - self.mean
        square = float(away.double().square().mean())
        stays = min(self.momentum, self.seen / (self.seen + 1))
        self.variance = stays * self.variance + (1 - stays) * square
        self.mean = stays * self.mean + (1 - stays) * mean
        self.seen += 1
        return away / (math.sqrt(self.variance) + 1e-8)
