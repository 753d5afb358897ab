"""What a policy sees of a teacher and a text: the state of a decision."""

import math

import torch
from torch import Tensor

from server.sharing import opinions
from server.steering import Course
from server.transport.cost import label_cost
from server.transport.solve import transport_cost
from server.weightings._instances import Instances


class Views:
    """The F numbers per opinion and text on which it is decided whether to take the opinion.

    They are: 1; what the teacher says (C); how uncertain it is, entropy over its largest value;
    how far it is from the consensus, transport cost over the largest cost; how wrong the
    student is about it, as tanh of the loss; what the student says (C); and the text itself (D).
    """

    def __init__(self, course: Course, texts: Instances) -> None:
        """Work out once what does not depend on the student.

        Args:
            course: of the round; its opinions are looked at, known labels are not.
            texts: what is seen of the text itself; D may be 0.
        """
        kept = opinions(course.teachers)[:, 0]
        probs = course.probs[kept]  # (K, N, C)
        cost = label_cost(course.geometry)
        consensus = probs.mean(dim=0)
        distance = transport_cost(consensus, probs, cost, validate=False) / cost.range
        entropy = torch.special.entr(probs).sum(dim=-1) / math.log(max(probs.shape[-1], 2))
        still = (torch.ones_like(entropy), entropy, distance.to(entropy))
        self._still = torch.cat([torch.stack(still, dim=-1), probs], dim=-1)
        self._texts = texts

    def __call__(self, rows: Tensor, log_q: Tensor, values: Tensor) -> Tensor:
        """The views of texts, as of now.

        Args:
            rows: shape (B,), which texts.
            log_q: shape (B, C), what the student says of them.
            values: shape (K, B), the student's loss against each opinion.

        Returns:
            Shape (K, B, F), float32.
        """
        many = len(self._still), -1, -1
        parts = (
            self._still.index_select(1, rows),
            values.tanh().unsqueeze(-1),
            log_q.exp().expand(*many),
            self._texts(rows).expand(*many),
        )
        return torch.cat(parts, dim=-1)

    @property
    def width(self) -> int:
        """F."""
        labels = self._still.shape[-1] - 3
        return self._still.shape[-1] + 1 + labels + self._texts.width
