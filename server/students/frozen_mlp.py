"""A small perceptron on the features of a frozen encoder."""

from collections import OrderedDict
from typing import final

import numpy as np
import torch
from pydantic import Field
from torch import nn
from typing_extensions import override

from common.component import component
from server.students import Student
from server.students._linear import linear


@final
@component
class FrozenMlp(Student):
    """One hidden layer of rectified units between frozen features and the labels.

    Attributes:
        hidden: width of the hidden layer.
        dropout: share of hidden units silenced at every training step.
    """

    hidden: int = Field(default=64, ge=1)
    dropout: float = Field(default=0.2, ge=0, lt=1)

    @override
    def build(self, num_features: int, num_labels: int, rng: np.random.Generator) -> nn.Module:
        generator = torch.Generator().manual_seed(int(rng.integers(2**63)))
        layers: dict[str, nn.Module] = {
            "hidden": linear(num_features, self.hidden, generator),
            "rectifier": nn.ReLU(),
            "dropout": nn.Dropout(self.dropout),
            "output": linear(self.hidden, num_labels, generator),
            "log_softmax": nn.LogSoftmax(dim=1),
        }
        return nn.Sequential(OrderedDict(layers))
