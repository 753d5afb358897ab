"""What the student made of it."""

from typing import final

from torch import nn
from typing_extensions import override

from common.arrays import Floats
from common.component import component
from server.aggregators import Targets
from server.distil import predict
from server.feedbacks import Feedback


@final
@component
class Student(Feedback):
    """The student's predictions on the shared texts, after the round: distillation both ways.

    It smooths over what single clients said of single texts, and brings along what the student
    remembers of earlier rounds.

    Reference: Sattler, Marban, Rischke, Samek. *CFD: Communication-Efficient Federated
    Distillation via Soft-Label Quantization and Delta Coding*, 2021, section 3 (dual
    distillation). https://arxiv.org/abs/2012.00632
    """

    @override
    def speak(self, targets: Targets, student: nn.Module, features: Floats) -> Floats:
        del targets
        return predict(student, features)
