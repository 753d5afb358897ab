"""How near each shared text is to what a client holds: the one number per text it may declare."""

from typing import final

import numpy as np
from pydantic import Field

from common.arrays import Floats, Ints
from common.component import component

_CELLS = 2**22  # similarities held at a time, which bounds the memory
_MOST = 2048  # own texts that are asked how near their neighbours are


@final
@component
class Familiarity:
    """The mean cosine distance of a text to the nearest private ones, never below a floor.

    It is computed in the features of the run's encoder, and crosses only where the experiment
    says ``disclose = ["familiarity"]``. Then it is the most telling thing that crosses: without
    a floor, a text that the client holds, or one like it, stands out by its small distance. The
    floor is the distance at which the client's own texts lie from each other, so that among
    ordinary texts of the same kind an exact copy does not stand out; it still belongs to the
    near ones. The floor itself may be read off, as the least distance.

    Attributes:
        neighbours: over how many private texts the mean is taken; all, if there are fewer.
        floor: the share of the client's own texts that lie nearer to their neighbours, the text
            itself not counted, than the least distance it declares; 0 is no floor.
    """

    neighbours: int = Field(default=5, ge=1)
    floor: float = Field(default=0.5, ge=0, le=1)

    def distances(self, shared: Floats, private: Floats) -> Floats:
        """What is declared of each shared text.

        Args:
            shared: features of the N shared texts, shape (N, D).
            private: features of the M private texts, shape (M, D); M may be 0.

        Returns:
            Shape (N,), float64, in [0, 1]: 1 where nothing points the same way.
        """
        found = nearest(shared, private, self.neighbours)
        if self.floor > 0 and len(private) > 1:
            places = np.linspace(0, len(private) - 1, min(_MOST, len(private))).astype(np.int64)
            own = nearest(private, private, self.neighbours, places)
            found = np.maximum(found, np.quantile(own, self.floor))
        return found


def nearest(texts: Floats, private: Floats, neighbours: int, among: Ints | None = None) -> Floats:
    """Mean cosine distances to the nearest private texts, cut to [0, 1].

    Args:
        texts: features, shape (N, D).
        private: features, shape (M, D).
        neighbours: how many are averaged, or M if that is fewer.
        among: places of private texts, where ``texts`` are the private ones: only these are
            asked, and none counts as its own neighbour.

    Returns:
        Shape (N,) or that of ``among``, float64; 1 where there is no private text to compare.
    """
    rows = texts if among is None else texts[among]
    count = min(neighbours, len(private) - (among is not None))
    made = np.ones(len(rows))
    if count < 1:
        return made
    asked, held = _directions(rows), _directions(private)
    size = max(1, _CELLS // len(held))
    for start in range(0, len(rows), size):
        near = asked[start : start + size] @ held.T
        if among is not None:
            near[np.arange(len(near)), among[start : start + size]] = -np.inf
        best = np.partition(near, len(held) - count, axis=1)[:, len(held) - count :]
        made[start : start + size] = 1 - np.sort(best, axis=1).mean(axis=1, dtype=np.float64)
    return np.clip(made, 0, 1)


def codes(distances: Floats, bits: int) -> Ints:
    """Distances (N,) in [0, 1] as the nearest of 2^bits even steps, shape (N,), uint16."""
    made: Ints = np.rint(distances * (2**bits - 1)).astype(np.uint16)
    return made


def _directions(features: Floats) -> Floats:
    """Rows (N, D) of length 1, float32; a row without a direction stays zero."""
    rows = np.asarray(features, dtype=np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    made: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return made
