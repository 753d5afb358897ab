"""From a teacher's embeddings to shares of pseudo-subclasses. Imports torch.

Axes: M private texts, N texts asked about, D coordinates of an embedding, C labels, S subclasses.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clients.subclasses import Subclasses
from common.arrays import Floats, Ints

_FLAT = 1e-9  # of the embeddings' own size, squared: variance that is rounding


@dataclass(frozen=True, eq=False)
class Projections:
    """What a client knows of the directions in which texts of a label differ; private.

    Attributes:
        means: shape (C, D), float64.
        directions: shape (C, S, D), float64, over the temperature; zeros split evenly.
    """

    means: Tensor
    directions: Tensor

    def shares(self, embeddings: Floats) -> Floats:
        """Shape (N, C, S), float64: how every label is split for every text; sums to 1 over S.

        Args:
            embeddings: shape (N, D).
        """
        count, size, _ = self.directions.shape
        flat = self.directions.flatten(0, 1)  # (C * S, D)
        level = (self.directions * self.means[:, None]).sum(dim=2)
        scores = (_doubles(embeddings) @ flat.T).view(-1, count, size) - level
        return np.asarray(torch.softmax(scores, dim=2).numpy())


def project(
    embeddings: Floats, labels: Ints, head: Floats, wanted: Subclasses, rng: np.random.Generator
) -> Projections:
    """Find the directions of every label.

    The null space is that of the head, its rows included whatever they have in common (LELP,
    section 3); main directions are those of the label's own texts. Their signs are fixed by
    their largest coordinate, and the rotation is drawn uniformly, so equal inputs give equal
    bits on one thread.

    Args:
        embeddings: shape (M, D), of the private texts.
        labels: shape (M,), in 0..C-1.
        head: shape (C, D), the teacher's last weights.
        wanted: S, temperature and what is done to the directions.
        rng: draws the rotations, as many as there are labels.
    """
    rows, weights = _doubles(embeddings), _doubles(head)
    kept = torch.eye(weights.shape[1], dtype=torch.float64)
    if wanted.null_space:
        kept -= torch.linalg.pinv(weights) @ weights
    means = torch.zeros_like(weights)
    directions = torch.zeros(len(weights), wanted.count, weights.shape[1], dtype=torch.float64)
    for label in range(len(weights)):
        turn = _rotation(wanted.count, rng) if wanted.rotate else None
        own = rows[torch.from_numpy(labels == label)]
        if len(own) > wanted.count:
            means[label] = own.mean(dim=0)
            directions[label] = _directions((own - means[label]) @ kept, own, wanted, turn)
    return Projections(means, directions)


def _directions(centred: Tensor, own: Tensor, wanted: Subclasses, turn: Tensor | None) -> Tensor:
    """Shape (S, D): main directions of one label's centred texts, turned, over temperature."""
    variances, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    main = vectors.T.flip(0)[: wanted.count]  # eigenvalues ascend
    spread = variances.flip(0)[: wanted.count].clamp_min(0)
    known = spread > _FLAT * own.square().sum(dim=1).mean()
    main, spread = main * known[:, None], spread * known
    largest = main.gather(1, main.abs().argmax(dim=1, keepdim=True))
    made = torch.zeros(wanted.count, centred.shape[1], dtype=torch.float64)
    made[: len(main)] = torch.where(largest < 0, -main, main)
    if turn is not None:
        made = turn @ made
    scale = (spread.sum() / wanted.count).sqrt() * wanted.temperature
    return made / scale if scale > 0 else made


def _rotation(size: int, rng: np.random.Generator) -> Tensor:
    """Shape (S, S), orthonormal, uniformly drawn.

    Reference: Mezzadri. *How to Generate Random Matrices from the Classical Compact Groups*,
    Notices of the AMS 2007, section 5.
    """
    q, r = torch.linalg.qr(torch.from_numpy(rng.normal(size=(size, size))))
    turned: Tensor = q * torch.sign(torch.diagonal(r))
    return turned


def _doubles(array: Floats) -> Tensor:
    return torch.tensor(array, dtype=torch.float64)
