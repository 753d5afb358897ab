"""What the server keeps of earlier rounds where a round asks about a part of the texts only."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from safetensors.numpy import load, save

from common.arrays import Ints
from common.asking import Asking
from server.aggregators import Targets
from server.checkpoint import CACHE
from server.teaching import Aim


class Kept:
    """The newest target of every text that was ever asked about.

    Without a plan every round asks about all texts, and nothing is kept.
    """

    def __init__(self, asking: Asking | None, num_labels: int) -> None:
        """Know nothing yet.

        Args:
            asking: which texts are asked about when; None for all, always.
            num_labels: C.
        """
        self._asking = asking
        if asking is not None:
            self._probs = np.zeros((asking.rows, num_labels), dtype=np.float32)
            self._weights = np.zeros(asking.rows, dtype=np.float32)

    def asked(self, server_round: int) -> Ints | None:
        """The texts that a round asks about; None for all."""
        return None if self._asking is None else self._asking.asked(server_round)

    def completed(self, server_round: int, aim: Aim) -> Aim:
        """The aim of a round, about all texts that it drew.

        Args:
            server_round: from 1.
            aim: with one target for every text that was asked about; they are kept.
        """
        if self._asking is None:
            return aim
        asked, drawn = self._asking.asked(server_round), self._asking.drawn(server_round)
        (probs,), (weights,) = aim.targets.probs, aim.targets.weights
        self._probs[asked], self._weights[asked] = probs, weights
        targets = Targets(self._probs[drawn][None], self._weights[drawn][None])
        return replace(aim, targets=targets, rows=drawn)

    @property
    def parts(self) -> dict[str, bytes]:
        """What a checkpoint has to hold of it."""
        if self._asking is None:
            return {}
        return {CACHE: save({"probs": self._probs, "weights": self._weights})}

    def restore(self, parts: Mapping[str, bytes]) -> None:
        """Go back to a checkpoint."""
        if self._asking is not None:
            arrays = load(parts[CACHE])
            self._probs, self._weights = arrays["probs"].copy(), arrays["weights"].copy()
