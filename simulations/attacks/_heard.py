"""What models would have sent in a finished run: about all its texts, and about the blanks.

Axes: M models, N transfer texts, C labels, K clients.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clients.priors import corrected, shares
from clients.teachers import FittedTeacher, Inputs, Teacher
from common.arrays import Floats, Ints
from common.blanks import blanks
from common.encoders import encode_cached
from common.fixed_point import Words, from_words
from common.places import cache_dir
from common.predictions import Predictions
from simulations.attacks._release import Defence
from simulations.attacks._stores import FinishedRun


@dataclass(frozen=True, eq=False)
class Heard:
    """What M models in the place of one client would have sent.

    Attributes:
        probs: shape (M, N, C), as released.
        bias: shape (M, C), likewise.
        size: how many examples the client says it has.
    """

    probs: Floats
    bias: Floats
    size: int

    def of(self, model: int) -> Predictions:
        """What one of them says."""
        return Predictions(self.probs[model], self.bias[model], self.size)


@dataclass(frozen=True, eq=False)
class Speaker:
    """Asks models as the clients of a run are asked.

    Attributes:
        run: whose texts, blanks and prior correction.
        recipe: of the models.
    """

    run: FinishedRun
    recipe: Teacher

    def heard(
        self,
        models: Sequence[FittedTeacher],
        labels: Sequence[Ints],
        defence: Defence,
        size: int,
        rng: np.random.Generator,
    ) -> Heard:
        """What M models would have sent.

        Args:
            models: the M models.
            labels: of what each was trained on.
            defence: what is done to their answers.
            size: as of :class:`Heard`.
            rng: of a defence that needs one.
        """
        texts, quiet = self._inputs(self.run.texts), self._inputs(blanks(self.run.terms.blanks))
        said, towards = [], []
        for model, seen in zip(models, labels, strict=True):
            said.append(defence.release(self._says(model, seen, texts), rng))
            spoken = self._says(model, seen, quiet)
            towards.append(defence.bias(spoken, self.run.terms.bias, rng))
        return Heard(np.stack(said), np.stack(towards), size)

    def _says(self, model: FittedTeacher, labels: Ints, asked: Inputs) -> Floats:
        probs, strength = model.predict(asked), self.run.experiment.clients.prior_correction
        if strength is None:
            return probs
        return corrected(probs, shares(labels, len(self.run.terms.labels)), strength)

    def _inputs(self, texts: tuple[str, ...]) -> Inputs:
        if self.recipe.reads == "texts":
            return texts
        return encode_cached(self.run.encoder, texts, cache_dir() / "features")


def summed(run: FinishedRun, heard: Sequence[Predictions]) -> Words:
    """What a secure sum of these answers holds, (N, C + 2) words."""
    secure = run.terms.secure
    assert secure is not None, "the run has secure sums"
    total: Words = sum(
        (secure.words(said, len(heard)) for said in heard[1:]), secure.words(heard[0], len(heard))
    )
    return total


def consensus(run: FinishedRun, total: Words) -> Floats:
    """What the server learns from a sum, shape (N, C): no prediction of anybody."""
    secure = run.terms.secure
    assert secure is not None, "the run has secure sums"
    return secure.opinions(from_words(total))


def kept_sum(run: FinishedRun) -> Words:
    """The sum of the first round, as the server kept it."""
    data = (run.folder / "sums" / "1.sum").read_bytes()
    words = np.frombuffer(data, dtype="<u4").reshape(len(run.texts), -1)
    return words.astype(np.uint32)
