"""Differentially private heads and transformers by DP-SGD; needs the optional extra `dp`."""

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
from clients.teachers.fine_tuned import FineTuned
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from clients.teachers.lora import Lora
from clients.teachers.sequence_classifier import SequenceClassifier
from clients.teachers.tiny_transformer import TinyTransformer
from common.arrays import Floats
from common.component import component
from common.configure import kind_of
from common.failures import ConfigError

Reader = TinyTransformer | FineTuned | Lora | SequenceClassifier
"""Reads texts, with words or tokens that are known to everybody."""

_CLIP_OF_HEADS, _CLIP_OF_READERS = 15.0, 1.0


@final
@component
class DpSgd(Mechanism):
    r"""DP-SGD for heads on frozen features, by Opacus, and for networks that read texts.

    .. math:: \theta_{t+1} = \theta_t - \eta\, v_t, \qquad
              v_t = \beta v_{t-1} + \tfrac1{qM} \Big(\sum_{i \in B_t} \mathrm{clip}_S(\nabla
              \ell_i(\theta_t)) + z S\, \mathcal N(0, I)\Big)

    where every example is part of :math:`B_t` with probability q, independently (Poisson
    sampling). Who is in a step stays secret, so a step costs less than one over all examples; z is
    found, and trainings are added up, by the accountant of :mod:`clients.mechanisms._sampled`. The
    teacher is the mean of the second half of the steps, features are projected on the public
    directions, and a consensus is where the next training sets out from, all as in ``dp_gd``.
    Heads, ``frozen_linear`` and ``frozen_mlp``, were more often right with ``dp_gd`` at the same
    promise; for them this is the algorithm that others report, for comparison.

    ``tiny_transformer``, ``fine_tuned``, ``lora`` and ``sequence_classifier`` can be trained as
    well, at the same price for the same q, z and T. Every example is a batch of its own, without
    dropout, so nothing of one gets into another's gradient; it is clipped over all trained
    parameters together, and the noised mean goes to AdamW with the recipe's own
    ``learning_rate`` and ``weight_decay``, which costs nothing more. Of the recipe neither batches
    nor epochs are used, of this mechanism neither ``learning_rate``, ``momentum`` nor
    ``subspace``. Words are hashed, tokenizers are published: none is learned from private texts.

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
        clip: S, the largest norm of one example's gradient; not given: 15 for heads on features,
            which are scaled to a norm of 10, and 1 for networks that read texts.
        learning_rate: eta, of heads.
        momentum: beta, of heads.
        subspace: directions that are kept, of heads; all if there are fewer.
        noise_seed: for tests; a run with it is **not private**, and says so.

    Reference: Abadi et al. *Deep Learning with Differential Privacy*, CCS 2016, algorithm 1,
    https://arxiv.org/abs/1607.00133; Yousefpour et al. *Opacus*, 2021,
    https://arxiv.org/abs/2109.12298; Adam on noised gradients of transformers: Li et al. *Large
    Language Models Can Be Strong Differentially Private Learners*, ICLR 2022,
    https://arxiv.org/abs/2110.05679.
    """

    unit: ClassVar[Literal["example", "none"]] = "example"

    epsilon_target: float = Field(default=8.0, gt=0)
    delta: float = Field(default=1e-5, gt=0, lt=1)
    budget: float | None = Field(default=None, gt=0)
    sampling: float = Field(default=0.2, ge=0.001, le=1)
    steps: int = Field(default=100, ge=1)
    clip: float | None = Field(default=None, gt=0)
    learning_rate: float = Field(default=0.015, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    subspace: int = Field(default=128, ge=1)
    noise_seed: int | None = Field(default=None, ge=0)

    @override
    def check(self, recipe: Teacher) -> None:
        if not isinstance(recipe, FrozenLinear | FrozenMlp | Reader):
            raise ConfigError(
                f"clients.mechanism: dp_sgd cannot train a {kind_of(recipe)!r} teacher so; write "
                "clients.teacher = 'frozen_linear', 'frozen_mlp', 'tiny_transformer', "
                "'fine_tuned', 'lora' or 'sequence_classifier'"
            )
        if isinstance(recipe, SequenceClassifier) and not recipe.fine_tune:
            raise ConfigError(
                "clients.mechanism: dp_sgd has nothing to train in a 'sequence_classifier' that is "
                "taken as it is; write fine_tune = true, or clients.mechanism = 'none'"
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

    def _largest(self, recipe: Teacher) -> float:
        if self.clip is not None:
            return self.clip
        return _CLIP_OF_READERS if isinstance(recipe, Reader) else _CLIP_OF_HEADS

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
        if isinstance(recipe, Reader):
            return self._reader(recipe, holding, plan, noise, rng), plan
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

    def _reader(
        self,
        recipe: Reader,
        holding: Holding,
        plan: Spending,
        noise: Noise,
        rng: np.random.Generator,
    ) -> FittedTeacher:
        # Function level: whoever only reads a configuration need not import torch.
        from clients.mechanisms._texts import Descent, fit

        descent = Descent(recipe._network(holding.num_labels), recipe, self._largest(recipe), noise)
        return fit(descent, holding, plan, rng)

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
            self._largest(recipe),
            plan.noise_multiplier,
            self.learning_rate,
            self.momentum,
        )
        activation = recipe.activation if isinstance(recipe, FrozenMlp) else ""
        means = descend(network(net, activation), inputs[:, :-1], wanted, pace, noise)
        return head(net, means)
