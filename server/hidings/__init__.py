"""Hidings: noise by which a trusted server hides each whole client among all."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from common.arrays import Floats
from common.gaussian_dp import client_level_sigma, composed, epsilon_of

_ROUNDING = 1e-9  # what was planned to cost the limit may come out a bit above


class Hiding(ABC):
    r"""Noises the sum of what K clients say, once a round, before anything is made of it.

    Another private shard may turn all N rows of one client, each by at most :math:`\sqrt2`, so
    the sum moves by at most :math:`\sqrt{2N}` however many clients there are, and Gaussian noise
    of that times 1 / mu on every number makes one round exactly mu-GDP; rounds add up by the
    squares of their mu. Neighbours are federations in which one client's shard is another one:
    who takes part is public.

    Reference: Dong, Roth, Su. *Gaussian Differential Privacy*, JRSS B 2022, theorem 2.7 and
    corollary 3.3, https://arxiv.org/abs/1905.02383.
    """

    @property
    @abstractmethod
    def private(self) -> bool:
        """Whether nobody else can draw the noise that is used."""

    @property
    @abstractmethod
    def seed(self) -> int | None:
        """Of noise that tests can repeat; None for the operating system's."""

    @abstractmethod
    def target_epsilon(self) -> float:
        """The epsilon of one round."""

    @abstractmethod
    def failure_probability(self) -> float:
        """The delta of the guarantee."""

    @abstractmethod
    def limit(self) -> float:
        """The largest epsilon that all rounds together may reach."""

    @abstractmethod
    def counted(self, probs: Floats) -> Floats:
        """What of opinions is added up.

        Args:
            probs: shape (K, B, C), float64; rows are distributions.

        Returns:
            Shape (K, B, C), float64; rows are distributions, too.
        """

    @abstractmethod
    def target(self, mean: Floats) -> Floats:
        """What the student is to learn: rows that are distributions.

        Args:
            mean: shape (N, C), float64, the noised sum divided by K.
        """

    @abstractmethod
    def told(self, sigma: float, clients: int) -> str:
        """A few words on the size of the noise.

        Args:
            sigma: standard deviation on the sum.
            clients: K.
        """

    def sigma(self, rows: int) -> float:
        """The standard deviation on each number of a round's sum over clients, of N rows."""
        return client_level_sigma(self.target_epsilon(), self.failure_probability(), rows, 1)

    def epsilon(self, mus: Sequence[float]) -> float:
        """The epsilon of releases of these mu together."""
        return epsilon_of(composed(list(mus)), self.failure_probability())

    def exceeds(self, mus: Sequence[float]) -> bool:
        """Whether releases of these mu together are more than :meth:`limit` allows."""
        return self.epsilon(mus) > self.limit() * (1 + _ROUNDING)
