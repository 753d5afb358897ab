"""What could be had without the boundary: teachers, their ensemble, all data pooled, the optimum.

Only the observer may ask: this opens the clients' stores (:mod:`simulations.opened`). The test
rows are clean, whatever is wrong with what clients hold.
"""

from dataclasses import dataclass
from pathlib import Path

from common.arrays import Floats
from common.configure import kind_of
from common.encoders import Encoder
from simulations.examination import Answers, Examination, Metrics
from simulations.experiment import Experiment
from simulations.opened import open_stores


@dataclass(frozen=True, eq=False)
class Bounds:
    """Yardsticks of a run, on the test rows.

    Attributes:
        teachers: metrics of each client's teacher; None where a client has none.
        ensemble: metrics of the teachers' mean at test time, under the run's weighting where that
            goes text by text, else under equal weights (:meth:`Opened.together`).
        centralised: metrics of the clients' recipe on all private texts together, with texts
            and labels as the clients hold them.
        bayes: metrics of the exact p(label | text), where the data set knows it: no model can
            expect a lower likelihood loss or Brier score. None elsewhere.
        answers: what "centralised", "ensemble" and perhaps "bayes" predicted.
        kinds: of each client's teacher, in the order of the clients.
    """

    teachers: list[Metrics | None]
    ensemble: Metrics
    centralised: Metrics
    bayes: Metrics | None
    answers: dict[str, Answers]
    kinds: list[str]

    @property
    def pooled(self) -> Floats:
        """Shape (M, C), the centralised model's predictions on the test rows."""
        return self.answers["centralised"][0]

    def table(self) -> dict[str, object]:
        """The ``bounds`` of ``summary.json``."""
        return {
            "centralised": self.centralised,
            "bayes": self.bayes,
            "ensemble": self.ensemble,
            "teachers": self.teachers,
            "kinds": self.kinds,
        }


def measure(
    experiment: Experiment, folder: Path, exam: Examination, encoder: Encoder
) -> Bounds | None:
    """Grade every yardstick of a served run folder; None if no client has a teacher."""
    opened = open_stores(experiment, folder, exam, encoder)
    if not opened.teachers:
        return None
    alone, together, pooled = opened.alone(), opened.together(), opened.pooled()
    answers, best = {"centralised": pooled, "ensemble": together}, _optimum(experiment, exam)
    if best is not None:
        answers["bayes"] = best
    return Bounds(
        teachers=[exam.grade(*alone[k]) if k in alone else None for k in range(len(opened.stores))],
        ensemble=exam.grade(*together),
        centralised=exam.grade(*pooled),
        bayes=None if best is None else exam.grade(*best),
        answers=answers,
        kinds=[kind_of(recipe) for recipe in opened.recipes],
    )


def _optimum(experiment: Experiment, exam: Examination) -> Answers | None:
    """What cannot be done better, where it is known."""
    known = experiment.data.dataset.optimum
    test, public = known(exam.texts), known(exam.slice_texts)
    return None if test is None or public is None else (test, public)
