"""The server's half of an experiment."""

from pydantic import Field

from common.component import component
from common.failures import ConfigError
from server.aggregators import Aggregator
from server.aggregators.keep_all import KeepAll
from server.caches import Cache
from server.cohorts import Cohort
from server.cohorts.everyone import Everyone
from server.distil import Schedule
from server.feedbacks import Feedback
from server.geometries import Geometry
from server.geometries.given import Given
from server.hidings import Hiding
from server.losses import DistillationLoss
from server.losses.transport import Transport
from server.pretraining import Pretraining
from server.reweightings import Reweighting
from server.students import Student
from server.students.frozen_mlp import FrozenMlp
from server.timeouts import Timeouts
from server.weightings import Weighting
from server.weightings.knot import Knot


@component
class ServerConfig:
    """What the server decides.

    Attributes:
        loss: how wrong a student is about one opinion.
        geometry: the ground cost that loss and aggregator are given; what is measured
            is measured in the data set's own geometry, whatever stands here.
        weighting: whom to believe, per sample.
        aggregator: from K opinions to T targets.
        reweighting: sets the weights of a text's loss terms anew at every step; ``"none"`` or
            nothing for those of the weighting.
        label_weight: share of the known label among the loss terms of the texts whose labels
            the server knows (``data.labelled_transfer``); the opinions share the rest.
        pretraining: has the server train a model of its own on the known labels first, as the
            student's start and as one more teacher; nothing for none.
        fine_tuning: has the student learn the known labels after each round's distillation,
            with cross-entropy; nothing for not at all.
        student: the model that learns.
        schedule: how long and how fast it learns in one round.
        timeouts: how long anybody is waited for.
        feedback: what the server says of the shared texts before it asks once more, to clients
            that refine their teachers by it (``clients.refinement``); ``"none"`` for nothing.
        cohort: whom it asks in a round.
        cache: has a round ask about a part of the shared texts only, for what was said of the
            others lately is kept; ``"none"`` or nothing to ask about all texts in every round.
        hiding: noise by which a trusted server hides each whole client in what it makes of the
            answers; ``"none"`` or nothing for none.
    """

    loss: DistillationLoss = Field(default_factory=Transport)
    geometry: Geometry = Field(default_factory=Given)
    weighting: Weighting = Field(default_factory=Knot)
    aggregator: Aggregator = Field(default_factory=KeepAll)
    reweighting: Reweighting | None = None
    label_weight: float | None = Field(default=None, gt=0, lt=1)
    pretraining: Pretraining | None = None
    fine_tuning: Schedule | None = None
    student: Student = Field(default_factory=FrozenMlp)
    schedule: Schedule = Field(default_factory=Schedule)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    feedback: Feedback | None = None
    cohort: Cohort = Field(default_factory=Everyone)
    cache: Cache | None = None
    hiding: Hiding | None = None

    def __post_init__(self) -> None:
        each = self.weighting.steers or (self.reweighting and self.reweighting.needs_opinions)
        if each and not self.aggregator.keeps_opinions:
            which = "weighting" if self.weighting.steers else "reweighting"
            raise ConfigError(
                f"server.{which} chooses among opinions while the student learns, and "
                "server.aggregator merges them; write server.aggregator = 'keep_all'"
            )
        if self.reweighting and self.reweighting.needs_label and self.label_weight is None:
            raise ConfigError(
                "server.reweighting weighs the known label, which is not taught; write "
                "server.label_weight = 0.5"
            )
        if self.pretraining and self.pretraining.teacher and "familiarity" in self.weighting.needs:
            raise ConfigError(
                "server.weighting needs a declared number of every teacher, which the server's "
                "own has not; write server.pretraining.teacher = false"
            )

    @property
    def label_keys(self) -> tuple[str, ...]:
        """The keys that need known labels of transfer texts."""
        wanting = {
            "server.weighting": "labels" in self.weighting.needs,
            "server.reweighting": self.reweighting and "labels" in self.reweighting.needs,
            "server.label_weight": self.label_weight,
            "server.pretraining": self.pretraining,
            "server.fine_tuning": self.fine_tuning,
        }
        return tuple(key for key, wants in wanting.items() if wants)

    @property
    def needs_labels(self) -> str | None:
        """The first of them; None if no key does."""
        return next(iter(self.label_keys), None)
