"""Differentially private heads on frozen features by DP-SGD; needs the optional extra `dp`."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import ClassVar, Literal, final

import numpy as np
from pydantic import Field
from typing_extensions import override

from clients.mechanisms import Holding, Mechanism, Spending
from clients.mechanisms._gradients import Net
from clients.mechanisms._heads import View, start, tensors
from clients.mechanisms._sampled import epsilon_of_trainings, sampled_noise_multiplier
from clients.noise import Noise, SeededNoise, SystemNoise
from clients.teachers import FittedTeacher, Teacher
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from common.arrays import Floats
from common.component import component
from common.configure import kind_of
from common.failures import ConfigError


@final
@component
class DpSgd(Mechanism):
    r"""DP-SGD for ``frozen_linear`` and ``frozen_mlp``, by Opacus.

    .. math:: \theta_{t+1} = \theta_t - \eta\, v_t, \qquad
              v_t = \beta v_{t-1} + \tfrac1{qM} \Big(\sum_{i \in B_t} \mathrm{clip}_S(\nabla
              \ell_i(\theta_t)) + z S\, \mathcal N(0, I)\Big)

    where every example is part of :math:`B_t` with probability q, independently (Poisson
    sampling). Who is in a step stays secret, so a step costs less than one over all examples; z is
    found, and trainings are added up, by the accountant of :mod:`clients.mechanisms._sampled`. The
    teacher is the mean of the second half of the steps, features are projected on the public
    directions, and a consensus is where the next training sets out from, all as in ``dp_gd``.
    Heads as small as these did better with ``dp_gd`` at the same promise wherever we measured;
    this one is the algorithm that others report, for comparison.

    The share q and not a batch size is set, for the accountant must not be told M. Noise *and*
    samples are drawn from the operating system: who knows a seed knows both.

    Unit and what is not covered: as for ``dp_gd``.

    Attributes:
        epsilon_target: epsilon of one training; the smaller, the more private.
        budget: the largest epsilon that all trainings of one client together may reach; not
            given: that of one training.
        delta: probability with which the promise may fail; well below 1 / M.
        sampling: q; ``sampling`` times M is the expected size of a batch.
        steps: how many; ``steps`` times ``sampling`` are the epochs.
        clip: S, the largest norm of one example's gradient.
        learning_rate: eta.
        momentum: beta.
        subspace: directions that are kept; all if there are fewer.
        noise_seed: for tests; a run with it is **not private**, and says so.

    Reference: Abadi et al. *Deep Learning with Differential Privacy*, CCS 2016, algorithm 1,
    https://arxiv.org/abs/1607.00133; Yousefpour et al. *Opacus*, 2021,
    https://arxiv.org/abs/2109.12298.
    """

    unit: ClassVar[Literal["example", "none"]] = "example"

    epsilon_target: float = Field(default=8.0, gt=0)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    budget: float | None = Field(default=None, gt=0)
    sampling: float = Field(default=0.2, ge=0.001, le=1)
    steps: int = Field(default=100, ge=1)
    clip: float = Field(default=1.0, gt=0)
    learning_rate: float = Field(default=5.0, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    subspace: int = Field(default=128, ge=1)
    noise_seed: int | None = Field(default=None, ge=0)

    @override
    def check(self, recipe: Teacher) -> None:
        if not isinstance(recipe, FrozenLinear | FrozenMlp):
            raise ConfigError(
                f"clients.mechanism: dp_sgd cannot train a {kind_of(recipe)!r} teacher so; write "
                "clients.teacher = 'frozen_linear' or 'frozen_mlp'"
            )
        if find_spec("opacus") is None or find_spec("dp_accounting") is None:
            raise ConfigError(
                "clients.mechanism: dp_sgd needs opacus and dp-accounting; write "
                "pip install 'fedknot[dp]', or clients.mechanism = 'dp_gd', which needs neither"
            )

    @property
    @override
    def private(self) -> bool:
        return self.noise_seed is None

    @override
    def plan(self) -> Spending:
        settings = self.epsilon_target, self.delta, self.sampling, self.steps
        z = sampled_noise_multiplier(*settings)
        return Spending(z, self.sampling, self.steps, self.private)

    @override
    def failure_probability(self) -> float:
        return self.delta

    @override
    def limit(self) -> float:
        return self.epsilon_target if self.budget is None else self.budget

    @override
    def epsilon(self, spent: Sequence[Spending]) -> float:
        return epsilon_of_trainings(spent, self.delta)

    @override
    def fit(
        self, recipe: Teacher, holding: Holding, rng: np.random.Generator
    ) -> tuple[FittedTeacher, Spending | None]:
        self.check(recipe)
        plan, seed, labels = self.plan(), self.noise_seed, holding.num_labels
        noise = SystemNoise() if seed is None else SeededNoise(seed, int(rng.integers(2**32)))
        shared = np.asarray(holding.shared, dtype=np.float64)
        view = View.of(shared, self.subspace)
        width = view.directions.shape[1]
        net = {"weights": np.zeros((labels, width + 1))}
        if isinstance(recipe, FrozenMlp):
            net = start(recipe, width, labels, rng)
        if holding.consensus is not None:  # public by now, so it costs nothing
            free = Spending(0.0, 1.0, self.steps, plan.private)
            net = self._descend(
                recipe, net, view.of_features(shared), holding.consensus, free, noise
            )
        inputs = view.of_features(np.asarray(holding.inputs, dtype=np.float64))
        net = self._descend(recipe, net, inputs, np.eye(labels)[holding.labels], plan, noise)
        return recipe.restore(tensors(net, view), labels), plan

    def _descend(
        self,
        recipe: Teacher,
        net: Net,
        inputs: Floats,
        wanted: Floats,
        plan: Spending,
        noise: Noise,
    ) -> Net:
        # Function level: whoever only reads a configuration need not import torch.
        from clients.mechanisms._opacus import Pace, descend, head, network

        pace = Pace(
            plan.steps,
            plan.sampling,
            self.clip,
            plan.noise_multiplier,
            self.learning_rate,
            self.momentum,
        )
        activation = recipe.activation if isinstance(recipe, FrozenMlp) else ""
        means = descend(network(net, activation), inputs[:, :-1], wanted, pace, noise)
        return head(net, means)
