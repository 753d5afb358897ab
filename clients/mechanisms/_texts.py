"""DP-SGD for networks that read texts. Imports torch.

Every example is a batch of its own: whatever a network does within a batch, as attention, shared
embeddings or padding, no example has a say in the gradient of another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clients.mechanisms import Holding, Spending
from clients.noise import Noise
from clients.teachers._network import (
    FittedNetwork,
    Network,
    TextPace,
    groups_of,
    scores_of,
    started,
)
from common.arrays import Floats
from common.encoders._cutting import Row


@dataclass(frozen=True, eq=False)
class Descent:
    """How a network is trained.

    Attributes:
        network: what is trained; in evaluation mode, so without dropout.
        pace: the recipe, for its learning rate and weight decay.
        clip: the largest norm of one example's gradient, over all trained parameters together.
        noise: where noise comes from, and who is part of a step: that must be as secret.
    """

    network: Network
    pace: TextPace
    clip: float
    noise: Noise

    def along(
        self, own: dict[str, Tensor], texts: Sequence[str], wanted: Floats, plan: Spending
    ) -> dict[str, Tensor]:
        """Train ``own`` in place on M texts, by AdamW on noised gradients.

        Args:
            own: the trained parameters, each a leaf that wants a gradient.
            texts: M; there may be none.
            wanted: shape (M, C), distributions.
            plan: how many steps on which share of the texts, with how much noise.

        Returns:
            Each parameter's mean over the second half of the steps.
        """
        rows, targets = self.network.rows(texts), torch.tensor(wanted, dtype=torch.float32)
        groups = groups_of(self.network, own, self.pace.learning_rate)
        optimiser = torch.optim.AdamW(groups, weight_decay=self.pace.weight_decay)
        late, means = plan.steps // 2, {name: torch.zeros_like(t) for name, t in own.items()}
        for step in range(plan.steps):
            found = self.noised_mean(own, rows, targets, plan)
            for tensor, part in zip(own.values(), found, strict=True):
                tensor.grad = part
            optimiser.step()
            if step >= late:
                for name, mean in means.items():
                    mean += own[name].detach() / (plan.steps - late)
        return means

    def noised_mean(
        self, own: dict[str, Tensor], rows: Sequence[Row], targets: Tensor, plan: Spending
    ) -> list[Tensor]:
        """The noised sum of a random share of the M gradients, over the number expected.

        The number that was drawn is not used, for it is secret; it may be none.
        """
        chosen = np.flatnonzero(self.noise.uniform(len(rows)) < plan.sampling).tolist()
        total = clipped_sum(
            self.network, own, [rows[i] for i in chosen], targets[chosen], self.clip
        )
        size, scale = max(plan.sampling * len(rows), 1.0), plan.noise_multiplier * self.clip
        for part in total:
            if scale:
                part += torch.from_numpy(scale * self.noise.normal(*part.shape))
            part /= size
        return total


def clipped_sum(
    network: Network, own: dict[str, Tensor], rows: Sequence[Row], targets: Tensor, clip: float
) -> list[Tensor]:
    """The sum of B gradients of the cross-entropy, each scaled to a norm of at most ``clip``.

    One gradient that is not finite counts as none, for it could not be scaled.

    Args:
        network: in evaluation mode.
        own: the trained parameters; the norm is over all of them together.
        rows: B; there may be none.
        targets: shape (B, C), distributions.
        clip: more than 0.

    Returns:
        In the order of ``own``.

    Reference: Abadi et al. *Deep Learning with Differential Privacy*, CCS 2016, algorithm 1.
    """
    parts = list(own.values())
    total = [torch.zeros_like(part) for part in parts]
    for row, target in zip(rows, targets, strict=True):
        loss = functional.cross_entropy(scores_of(network, own, [row]), target[None])
        found = torch.autograd.grad(loss, parts, allow_unused=True, materialize_grads=True)
        norm = float(torch.stack([part.double().norm() for part in found]).norm())
        if np.isfinite(norm):
            for summed, part in zip(total, found, strict=True):
                summed.add_(part, alpha=min(1.0, clip / max(norm, 1e-300)))
    return total


def fit(
    descent: Descent, holding: Holding, plan: Spending, rng: np.random.Generator
) -> FittedNetwork:
    """A teacher that is trained so, from a start that depends on no example.

    With a consensus it first learns what that says of the shared texts, which is public by now
    and so costs nothing.

    Args:
        descent: how.
        holding: of texts.
        plan: what it may cost.
        rng: source of the start, which everybody may know.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
    own = started(descent.network, generator)
    if holding.consensus is not None:
        free = replace(plan, noise_multiplier=0.0)
        own = _leaves(descent.along(own, holding.shared, holding.consensus, free))
    wanted = np.eye(holding.num_labels)[holding.labels]
    own = descent.along(own, holding.inputs, wanted, plan)
    return FittedNetwork(descent.network, {name: part.numpy() for name, part in own.items()})


def _leaves(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: part.requires_grad_() for name, part in parts.items()}
