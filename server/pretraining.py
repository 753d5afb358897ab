"""The server's own teacher: a model trained on the public labels before any client is heard."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from torch import nn

from common.arrays import Floats, Ints
from common.biases import Bias, biased_towards
from common.component import component
from common.labels import LabelGeometry
from common.predictions import UNKNOWN, Ensemble, Predictions
from server.aggregators import Targets
from server.distil import Schedule, distil, predict
from server.losses.cross_entropy import CrossEntropy

Build = Callable[[], nn.Module]


@component
class Pretraining:
    """A global model trained with cross-entropy on the transfer texts whose labels are known.

    In KNOT it is both the student's first state and one more teacher, the last one, of the
    same standing as the clients (Bhardwaj, Vaidya, Poria. *KNOT*, COLING 2022, section 4; the
    released code). There it has a larger public labelled set of its own, apart from the transfer
    set; here its texts are part of the transfer set, so that on those it says what it has
    learned by heart, which ``teacher`` can do without.

    Attributes:
        schedule: how long and how fast it learns.
        start: whether the student starts from it, instead of from random weights.
        teacher: whether its opinion stands beside those of the clients.
    """

    schedule: Schedule = Field(default_factory=lambda: Schedule(steps=200, batch_size=64))
    start: bool = True
    teacher: bool = True


@dataclass(frozen=True, eq=False)
class Classroom:
    """All public things that a student may learn from, beside the clients' opinions.

    Attributes:
        features: shape (N, D), of the transfer texts, as the student reads them.
        labels: shape (N,), int64: the known labels, :data:`UNKNOWN` elsewhere; None if no
            label is known.
        quiet: shape (Q, D), of the content-free texts; None if nobody asks about them.
        bias: what is said of these.
    """

    features: Floats
    labels: Ints | None = None
    quiet: Floats | None = None
    bias: Bias = "mean"

    @property
    def known(self) -> Ints:
        """The rows with a known label, ascending, shape (M,)."""
        if self.labels is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero(self.labels != UNKNOWN)


def learn_labels(
    student: nn.Module,
    room: Classroom,
    geometry: LabelGeometry,
    schedule: Schedule,
    rng: np.random.Generator,
) -> None:
    """Train ``student`` in place on the M known labels with cross-entropy.

    Raises:
        ValueError: no label is known.
    """
    rows, labels = room.known, room.labels
    if labels is None or len(rows) == 0:
        raise ValueError("no transfer text has a known label")
    wanted = np.eye(len(geometry), dtype=np.float32)[labels[rows]][None]  # (1, M, C)
    targets = Targets(wanted, np.ones(wanted.shape[:2], dtype=np.float32))
    distil(student, room.features[rows], targets, CrossEntropy(), geometry, schedule, rng)


def opinion(model: nn.Module, room: Classroom) -> Predictions:
    """What ``model`` says as one more teacher, with all that a client may have to bring.

    Declared numbers are for clients only.
    """
    bias = None
    if room.quiet is not None:
        bias = biased_towards(predict(model, room.quiet), room.bias).astype(np.float32)
    return Predictions(predict(model, room.features), bias, len(room.known))


def joined(ensemble: Ensemble, own: Predictions, num_clients: int) -> Ensemble:
    """The ensemble with ``own`` as one more teacher, the last, under the id ``num_clients``.

    It brings the bias and the size of what it was trained on, where the clients do; declared
    numbers are for clients only, and fall away.
    """
    answers = {int(k): _of(ensemble, place) for place, k in enumerate(ensemble.clients)}
    return Ensemble.stack(answers | {num_clients: own}, ensemble.labels)


def _of(ensemble: Ensemble, place: int) -> Predictions:
    bias, sizes = ensemble.bias, ensemble.num_examples
    return Predictions(
        ensemble.probs[place],
        None if bias is None else bias[place],
        None if sizes is None else int(sizes[place]),
    )
