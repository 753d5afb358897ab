"""What the weightings that look at known labels share."""

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats, Ints
from common.failures import ConfigError
from common.predictions import UNKNOWN, Ensemble
from server.opinions import distributions

FLOOR = 1e-3  # what crossed an 8-bit wire as zero was below .002 or so


@dataclass(frozen=True, eq=False)
class Known:
    """The texts whose labels the server knows.

    Attributes:
        rows: shape (M,), which of the N texts, ascending.
        labels: shape (M,).
        likelihoods: shape (K, M), float64; what each teacher gives to the known label, read as
            :data:`FLOOR` where it is less.
    """

    rows: Ints
    labels: Ints
    likelihoods: Floats


def known(ensemble: Ensemble, kind: str) -> Known:
    """What the teachers say of the texts with a known label.

    Args:
        ensemble: of K teachers.
        kind: of the weighting that asks, for the message.

    Raises:
        ConfigError: no label is known.
    """
    labels = np.empty(0, np.int64) if ensemble.labels is None else ensemble.labels
    rows = np.flatnonzero(labels != UNKNOWN)
    if not len(rows):
        raise ConfigError(
            f"server.weighting: {kind} needs known labels of some transfer texts; write for "
            "example data.labelled_transfer = 200"
        )
    said = distributions(ensemble.probs[:, rows])
    likelihoods = said[:, np.arange(len(rows)), labels[rows]]
    return Known(rows, labels[rows], np.maximum(likelihoods, FLOOR))


def leanings(ensemble: Ensemble) -> Ints:
    """Shape (N,): the label that the plain mean of all opinions likes best."""
    made: Ints = distributions(ensemble.probs).mean(axis=0).argmax(axis=1)
    return made
