"""What an experiment has cross, byte for byte, worked out before there is any data."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from common.configure import kind_of
from common.labels import LabelGeometry
from common.terms import Terms
from common.transfer import TransferSet
from simulations.datasets import Corpus
from simulations.experiment import Experiment
from simulations.feasibility import wanted_rows
from simulations.provision import terms_of
from simulations.traffic import Load, loads
from simulations.what_crossed import fields

_NOBODY: Final = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Disclosure:
    """Of one experiment in which nobody drops out.

    Attributes:
        rows: N, how many texts are shared.
        asked: how many of them the first round asks about.
        labels: C.
        exact: whether N is known without the data; else it is at most ``rows``.
        shrinks: whether later rounds ask about fewer texts than the first.
        subclasses: S, in how many every label is split; 1 for not at all.
        up: the fields of what a client sends in the first round, as in a privacy report.
        loads: bytes by round.
        feedback: what the server says back; None if it says nothing.
        bits_down: of a code of that.
        label_keys: the settings that need public labels.
        known: how many transfer texts have public labels.
    """

    rows: int
    asked: int
    labels: int
    exact: bool
    shrinks: bool
    subclasses: int
    up: tuple[dict[str, Any], ...]
    loads: tuple[Load, ...]
    feedback: str | None
    bits_down: int | None
    label_keys: tuple[str, ...]
    known: int

    @property
    def bytes_up(self) -> int:
        """Of one client in the first round."""
        return self.loads[0].bytes_up

    @property
    def bytes_back(self) -> int:
        """Of what the server says back before the second round; 0 if it says nothing."""
        return sum(self.loads[1].down.get("consensus", ())) if len(self.loads) > 1 else 0

    @property
    def bytes_asked(self) -> int:
        """Of what one client is asked with in a round: beside a feedback, all that goes down."""
        return self.loads[0].bytes_down

    @property
    def everyone(self) -> bool:
        """Whether every round asks the same clients; else a client sends less than all rounds."""
        return all(load.clients == self.loads[0].clients for load in self.loads)


def disclosure(experiment: Experiment) -> Disclosure:
    """What crosses by the experiment alone; equal to what a run of it counts.

    Raises:
        ValueError: nothing is known of the data set before it is loaded.
    """
    extent = experiment.data.dataset.extent()
    if extent is None:
        raise ValueError("nobody knows how many texts and labels there will be")
    terms = _terms(experiment, extent.rows, extent.labels)
    return Disclosure(
        rows=terms.rows,
        asked=terms.layout_of(1).rows,
        labels=extent.labels,
        exact=not extent.joined,
        shrinks=terms.cache is not None,
        subclasses=terms.subclasses,
        up=tuple(row for rows in fields(terms, False, 1).values() for row in rows),
        loads=tuple(loads(experiment, terms)),
        feedback=None
        if experiment.server.feedback is None
        else kind_of(experiment.server.feedback),
        bits_down=experiment.bits_down,
        label_keys=experiment.server.label_keys,
        known=experiment.data.labelled_transfer or 0,
    )


def _terms(experiment: Experiment, rows: int, labels: int) -> Terms:
    """As long as those of a run; texts and names of labels are stood in for."""
    data = experiment.data
    sizes = wanted_rows(rows, data.transfer_fraction, data.test_fraction, data.validation_size)
    shared = TransferSet(tuple(map(str, range(sizes["transfer"]))))
    geometry = LabelGeometry.ordinal([str(label) for label in range(labels)])
    corpus = Corpus((), _NOBODY, geometry, (), _NOBODY, _NOBODY)
    return terms_of(experiment, corpus, shared, experiment.clients.encoder)
