"""The server's half of an experiment."""

from pydantic import Field

from common.component import component
from server.aggregators import Aggregator
from server.aggregators.keep_all import KeepAll
from server.distil import Schedule
from server.geometries import Geometry
from server.geometries.given import Given
from server.losses import DistillationLoss
from server.losses.transport import Transport
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
        student: the model that learns.
        schedule: how long and how fast it learns in one round.
        timeouts: how long anybody is waited for.
    """

    loss: DistillationLoss = Field(default_factory=Transport)
    geometry: Geometry = Field(default_factory=Given)
    weighting: Weighting = Field(default_factory=Knot)
    aggregator: Aggregator = Field(default_factory=KeepAll)
    student: Student = Field(default_factory=FrozenMlp)
    schedule: Schedule = Field(default_factory=Schedule)
    timeouts: Timeouts = Field(default_factory=Timeouts)
