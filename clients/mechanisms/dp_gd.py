"""Differentially private heads on frozen features: full-batch gradient descent with noise."""

import math
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from clients.mechanisms import Holding, Mechanism, Spending
from clients.mechanisms._gradients import Net, Sums, linear, one_hidden
from clients.mechanisms._heads import View, start, tensors
from clients.noise import SeededNoise, SystemNoise
from clients.teachers import FittedTeacher, Teacher
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from common.arrays import Floats
from common.component import component
from common.configure import kind_of
from common.failures import ConfigError
from common.gaussian_dp import composed, epsilon_of, noise_multiplier


@final
@component
class DpGd(Mechanism):
    r"""An exact differentially private route for ``frozen_linear`` and ``frozen_mlp``.

    .. math:: \theta_{t+1} = \theta_t - \eta\, v_t, \qquad
              v_t = \beta v_{t-1} + \tfrac1M \Big(\sum_i \mathrm{clip}_S(\nabla \ell_i(\theta_t))
              + z S\, \mathcal N(0, I)\Big)

    over all M examples in every step, from a start that depends on no example; the teacher is
    the mean of the second half of the steps. Each step is one release of a sum to which one
    example adds at most S, so T steps are exactly mu-GDP with :math:`\mu = \sqrt T / z`, and
    everything after (averaging, predicting on any texts, as often as anybody asks, quantising)
    costs nothing more. z is the smallest that keeps (epsilon, delta). Where the server says
    back what all think, a training starts from what that teaches, which costs nothing, and is
    one more release of the same examples, which does.

    Features are first shifted, projected onto the ``subspace`` leading principal directions of
    the *public* transfer texts' features, and scaled to a norm of 10 there (root mean square),
    which costs nothing and leaves less to be noised; what comes out is folded back into weights
    over the features themselves, so that a teacher looks like any other of its kind. Beside
    features of that size the bias, an input of 1, hardly moves: a client's own label shares,
    which are others elsewhere, are learned less than what its texts say. How the defaults were
    chosen: ``docs/guarantees.md``.

    Unit: one example of one client, added or removed. Not covered: M itself, which scales the
    step; settings that were chosen by looking at private data; the same person's examples at
    several clients. Clipping, and not the penalty of ``frozen_linear`` or the schedule of
    ``frozen_mlp``, decides how far it learns; of the recipe only shapes are used.

    Attributes:
        epsilon_target: epsilon of one training; the smaller, the more private.
        budget: the largest epsilon that all trainings of one client together may reach: with
            ``clients.refinement`` every round trains once more, on the same examples. Not given:
            that of one training.
        delta: probability with which the promise may fail; well below 1 / M.
        steps: T.
        clip: S, the largest norm of one example's gradient, which is that of the example's
            features, some 10, times how wrong the teacher is about it.
        learning_rate: eta.
        momentum: beta.
        subspace: directions that are kept; all if there are fewer.
        noise_seed: for tests; a run with it is **not private**, and says so.

    Reference: Abadi et al. *Deep Learning with Differential Privacy*, CCS 2016, algorithm 1,
    https://arxiv.org/abs/1607.00133, without sampling; Dong, Roth, Su. *Gaussian Differential
    Privacy*, JRSS B 2022, corollary 3.3; for a public subspace Zhou, Wu, Banerjee. *Bypassing
    the Ambient Dimension*, ICLR 2021, https://arxiv.org/abs/2007.03813 (they project gradients).
    """

    unit: ClassVar[Literal["example", "none"]] = "example"

    epsilon_target: float = Field(default=8.0, gt=0)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    budget: float | None = Field(default=None, gt=0)
    steps: int = Field(default=30, ge=1)
    clip: float = Field(default=15.0, gt=0)
    learning_rate: float = Field(default=0.05, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    subspace: int = Field(default=128, ge=1)
    noise_seed: int | None = Field(default=None, ge=0)

    @override
    def check(self, recipe: Teacher) -> None:
        linear_or_mlp = isinstance(recipe, FrozenLinear | FrozenMlp)
        if not linear_or_mlp or (isinstance(recipe, FrozenMlp) and recipe.activation != "relu"):
            raise ConfigError(
                f"clients.mechanism: dp_gd cannot train a {kind_of(recipe)!r} teacher so; write "
                "clients.teacher = 'frozen_linear', or 'frozen_mlp' with activation = 'relu'"
            )

    @property
    @override
    def private(self) -> bool:
        return self.noise_seed is None

    @override
    def plan(self) -> Spending:
        z = noise_multiplier(self.epsilon_target, self.delta, self.steps)
        return Spending(z, 1.0, self.steps, self.private)

    @override
    def failure_probability(self) -> float:
        return self.delta

    @override
    def limit(self) -> float:
        return self.epsilon_target if self.budget is None else self.budget

    @override
    def fit(
        self, recipe: Teacher, holding: Holding, rng: np.random.Generator
    ) -> tuple[FittedTeacher, Spending | None]:
        self.check(recipe)
        seed, plan = self.noise_seed, self.plan()
        noise = SystemNoise() if seed is None else SeededNoise(seed, int(rng.integers(2**32)))
        shared = np.asarray(holding.shared, dtype=np.float64)
        view, labels = View.of(shared, self.subspace), holding.num_labels
        width = view.directions.shape[1]
        net = {"weights": np.zeros((labels, width + 1))}
        sums: Sums = linear
        if isinstance(recipe, FrozenMlp):
            net, sums = start(recipe, width, labels, rng), one_hidden
        if holding.consensus is not None:  # public by now, so it costs nothing
            net = self._descend(sums, net, view.of_features(shared), holding.consensus, None)
        inputs = view.of_features(np.asarray(holding.inputs, dtype=np.float64))
        wanted, scale = np.eye(labels)[holding.labels], plan.noise_multiplier * self.clip
        net = self._descend(sums, net, inputs, wanted, lambda *shape: scale * noise.normal(*shape))
        return recipe.restore(tensors(net, view), labels), plan

    @override
    def epsilon(self, spent: Sequence[Spending]) -> float:
        if not all(one.sampling == 1 for one in spent):
            raise ValueError("steps on samples are not exactly Gaussian; this cannot add them up")
        mus = [math.sqrt(one.steps) / one.noise_multiplier for one in spent]
        return epsilon_of(composed(mus), self.delta)

    def _descend(
        self,
        sums: Sums,
        net: Net,
        inputs: Floats,
        wanted: Floats,
        noise: Callable[..., Floats] | None,
    ) -> Net:
        """The mean of the second half of the steps, from ``net``."""
        pace = {name: np.zeros_like(part) for name, part in net.items()}
        mean, late = {name: np.zeros_like(part) for name, part in net.items()}, self.steps // 2
        for step in range(self.steps):
            found = sums(net, inputs, wanted, self.clip)
            for name, part in found.items():
                noised = part if noise is None else part + noise(*part.shape)
                pace[name] = self.momentum * pace[name] + noised / max(len(inputs), 1)
                net = net | {name: net[name] - self.learning_rate * pace[name]}
            if step >= late:
                mean = {name: mean[name] + net[name] / (self.steps - late) for name in net}
        return mean
