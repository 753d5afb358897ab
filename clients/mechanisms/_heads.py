"""Heads on frozen features, as the private trainings see them: through public directions."""

import math
from typing import Any

import numpy as np

from clients.mechanisms._gradients import Net
from clients.teachers.frozen_mlp import FrozenMlp
from common.arrays import Floats

_NORM = 10.0
"""Root mean square norm of what is seen of the public features. Beside it the bias, an input of 1,
learns slowly: of a client's own label shares, which hold for nobody else, less is learned."""


class View:
    """Features as the mechanism sees them: shifted, turned, shortened; known to everybody."""

    def __init__(self, centre: Floats, directions: Floats, scale: float) -> None:
        self.centre, self.directions, self.scale = centre, directions, scale

    @classmethod
    def of(cls, shared: Floats, subspace: int) -> "View":
        """From public features (N, D): principal directions (D, R), largest first."""
        centre = shared.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(shared - centre, rowvar=False, bias=True))
        directions = vectors[:, ::-1][:, :subspace]
        signs = np.sign(directions[np.abs(directions).argmax(axis=0), range(directions.shape[1])])
        seen = (shared - centre) @ directions
        scale = float(np.sqrt(np.mean(np.sum(seen * seen, axis=1)))) / _NORM
        return cls(centre, directions * signs, scale or 1.0)

    def of_features(self, features: Floats) -> Floats:
        """Shape (M, R + 1); the last column is 1."""
        seen = (features - self.centre) @ self.directions / self.scale
        return np.concatenate([seen, np.ones((len(seen), 1))], axis=1)

    def folded(self, weights: Floats) -> Floats:
        """Weights (H, R + 1) over what is seen as weights (H, D + 1) over the features."""
        whole = weights[:, :-1] @ self.directions.T / self.scale
        bias = weights[:, -1:] - (whole @ self.centre)[:, None]
        return np.concatenate([whole, bias], axis=1)


def start(recipe: FrozenMlp, width: int, labels: int, rng: np.random.Generator) -> Net:
    """Uniform in +-1/sqrt(fan-in), as ``frozen_mlp`` starts; no example has a say in it."""

    def drawn(rows: int, fan_in: int) -> Floats:
        bound = 1 / math.sqrt(fan_in)
        return rng.uniform(-bound, bound, size=(rows, fan_in + 1))

    return {"hidden": drawn(recipe.hidden, width), "output": drawn(labels, recipe.hidden)}


def tensors(net: Net, view: View) -> dict[str, Any]:
    """What the recipe restores: ``frozen_linear`` or ``frozen_mlp``."""
    if "weights" in net:
        return {"weights": view.folded(net["weights"]).astype(np.float32)}
    hidden, output = view.folded(net["hidden"]), net["output"]
    parts = {
        "hidden.weight": hidden[:, :-1],
        "hidden.bias": hidden[:, -1],
        "output.weight": output[:, :-1],
        "output.bias": output[:, -1],
    }
    return {name: np.ascontiguousarray(part, dtype=np.float32) for name, part in parts.items()}
