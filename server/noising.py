"""Between what clients say and what the student learns: the noise of a trusted server."""

import hashlib
from dataclasses import replace

import numpy as np

from common.arrays import Floats
from common.failures import BudgetExceeded, FolderError
from common.noise import KeyedNoise, Noise, SeededNoise
from server.aggregators import Targets
from server.answers import Opinions
from server.combining import ALIGNED, blocks
from server.draws import Draw, Draws
from server.hidings import Hiding
from server.opinions import distributions
from server.teaching import Aim


class Noising:
    """Gives the student noised targets only, and keeps account of the noise."""

    def __init__(self, hiding: Hiding | None, draws: Draws) -> None:
        """Have drawn nothing.

        Args:
            hiding: what is added up and how much noise it takes; None for none, ever.
            draws: the ledger.
        """
        self._hiding, self._draws = hiding, draws
        self._drawn: Draw | None = None

    def hide(self, server_round: int, aim: Aim, opinions: Opinions) -> Aim:
        """The aim of a round with noised targets in place of its own.

        Done again, with the same answers, a round has the same noise, to the bit.

        Args:
            server_round: from 1.
            aim: what the student would learn from without noise.
            opinions: of the K clients who answered.

        Raises:
            BudgetExceeded: other answers of this round were noised and used before, as where a
                checkpoint was damaged, and the budget does not last for both.
            FolderError: the ledger cannot be read.
        """
        hiding = self._hiding
        if hiding is None:
            return aim
        total = summed(hiding, opinions, aim.targets.probs.shape[1])
        sigma, clients = hiding.sigma(len(total)), len(opinions.clients)
        key = self._draws.key(server_round, total.tobytes())
        name = hashlib.sha256(key).hexdigest()
        draw = Draw(server_round, name, clients, len(total), sigma, hiding.private)
        self._allow(hiding, draw)
        noised = total + sigma * _source(hiding, key, server_round).normal(*total.shape)
        target = hiding.target(noised / clients).astype(np.float32)[None]
        self._drawn = draw
        return replace(aim, targets=Targets(target, np.ones(target.shape[:2], dtype=np.float32)))

    def settle(self) -> None:
        """Have the noise of this round in the ledger, before anything of the round is used."""
        if self._drawn is not None:
            self._draws.keep(self._drawn)

    def _allow(self, hiding: Hiding, draw: Draw) -> None:
        try:
            known = self._draws.read()
        except (TypeError, ValueError) as damage:
            raise FolderError(
                "the server's ledger of noise is damaged, and what was spent is not known; run "
                "the experiment again in another folder"
            ) from damage
        mus = [one.mu for one in {*known, draw}]
        if hiding.exceeds(mus):
            raise BudgetExceeded(
                f"the answers of round {draw.round} are not those that were noised before, and "
                f"noising them too would spend epsilon {hiding.epsilon(mus):.4g} of "
                f"{hiding.limit():.4g}; run the experiment again with a larger "
                "server.hiding.budget"
            )


def summed(hiding: Hiding, opinions: Opinions, samples: int) -> Floats:
    """What is counted of K opinions on N texts, added up: shape (N, C), float64."""
    parts = [
        hiding.counted(distributions(opinions.rows(part).probs)).sum(axis=0)
        for part in blocks(samples, ALIGNED)
    ]
    return np.concatenate(parts)


def _source(hiding: Hiding, key: bytes, server_round: int) -> Noise:
    return KeyedNoise(key) if hiding.seed is None else SeededNoise(hiding.seed, server_round)
