"""One linear layer on the features of a frozen encoder."""

from collections import OrderedDict
from typing import final

import numpy as np
import torch
from torch import nn
from typing_extensions import override

from common.component import component
from server.students import Student
from server.students._linear import linear


@final
@component
class FrozenLinear(Student):
    """A softmax of linear scores of the features: C (D + 1) numbers, the smallest student."""

    @override
    def build(self, num_features: int, num_labels: int, rng: np.random.Generator) -> nn.Module:
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        layers: dict[str, nn.Module] = {
            "output": linear(num_features, num_labels, generator),
            "log_softmax": nn.LogSoftmax(dim=1),
        }
        return nn.Sequential(OrderedDict(layers))
