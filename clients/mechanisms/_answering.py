"""What mechanisms that work on answers have in common: they train as the recipe does."""

import hashlib
from typing import ClassVar

import numpy as np
from typing_extensions import override

from clients.mechanisms import Holding, Mechanism, Spending
from clients.noise import Noise, SeededNoise, SystemNoise
from clients.teachers import FittedTeacher, Teacher
from common.arrays import Floats


class Answering(Mechanism):
    """Obfuscation: noise on what is said.

    One example may change what a teacher that is trained as usual says of *every* text, so the
    guarantee of such noise gets worse with the number of texts until it is none.
    """

    trains: ClassVar[bool] = False

    @override
    def fit(
        self, recipe: Teacher, holding: Holding, rng: np.random.Generator
    ) -> tuple[FittedTeacher, Spending | None]:
        return recipe.fit(holding.inputs, holding.labels, holding.num_labels, rng), None


def source(seed: int | None, noise: Noise | None, probs: Floats) -> Noise:
    """Where a release draws from.

    Args:
        seed: for tests; wins, and gives the same noise for the same answers.
        noise: what the client gave, or None for fresh noise.
        probs: what is to be noised.
    """
    if seed is None:
        return SystemNoise() if noise is None else noise
    digest = hashlib.sha256(np.ascontiguousarray(probs, np.float32).tobytes()).digest()
    return SeededNoise(seed, *np.frombuffer(digest, "<u4").tolist())
