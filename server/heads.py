"""A student that says more than it is asked in the end: several heads, several subclasses.

Subclass j of one client is not subclass j of another. So a student either has a head for every
client, each of which learns what that client says of its own subclasses, or one head for
subclasses that were matched before (``aligned``). All heads share everything but the last layer.

Axes: T heads, B texts, C labels, S subclasses.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from common.arrays import Floats, Ints
from server.reading import Reader
from server.students import Student


@dataclass(frozen=True)
class Heads:
    """What a student says of one text.

    Attributes:
        number: T.
        subclasses: S.
    """

    number: int
    subclasses: int

    def names(self, labels: Iterable[str]) -> list[str]:
        """Of all T * C * S outputs."""
        split = [f"{label}/{j}" for label in labels for j in range(self.subclasses)]
        return [f"{t}:{name}" for t in range(self.number) for name in split]


class Headed(nn.Module):
    """Several heads on one trunk; asked as a student is, it answers as one.

    Every head is a distribution over C * S subclasses. The answer is the heads' mean after each
    has summed over its subclasses, where a head counts as much as its client did on the transfer
    texts when it was last heard. A head whose client never answered does not count.
    """

    def __init__(self, trunk: nn.Module, heads: Heads) -> None:
        """Put heads on a student of T * C * S outputs."""
        super().__init__()
        self.trunk, self.heads = trunk, heads
        self.shares: Tensor
        self.register_buffer("shares", torch.zeros(heads.number))

    @override
    def forward(self, rows: Tensor) -> Tensor:
        """Log-probabilities (B, C) of rows (B, D)."""
        classes = self.said(rows).unflatten(2, (-1, self.heads.subclasses)).logsumexp(dim=3)
        known = self.shares if bool(self.shares.any()) else torch.ones_like(self.shares)
        logs = classes + (known / known.sum()).log()[None, :, None]
        mixed: Tensor = logs.logsumexp(dim=1)
        return mixed

    def said(self, rows: Tensor) -> Tensor:
        """What every head says: log-probabilities (B, T, C * S)."""
        # The trunk's own normalisation adds the same to all outputs of a text.
        outputs: Tensor = self.trunk(rows)
        said: Tensor = outputs.unflatten(1, (self.heads.number, -1)).log_softmax(dim=2)
        return said

    def heard(self, clients: Ints, weights: Floats) -> None:
        """Note who taught the heads and how much each was believed, (K, N), columns sum to 1."""
        if self.heads.number == 1:
            self.shares.fill_(1)
            return
        for client, share in zip(clients, weights.mean(axis=1), strict=True):
            self.shares[int(client)] = float(share) * len(weights)

    def taught_by(self, clients: Ints) -> "Pupil":
        """The view of these clients' heads that is to be trained."""
        places = clients if self.heads.number > 1 else np.zeros(1)
        return Pupil(self, torch.tensor(places, dtype=torch.int64))


class Pupil(nn.Module):
    """Some heads of a student, each with a teacher of its own."""

    def __init__(self, student: Headed, places: Tensor) -> None:
        """Look at the heads at ``places``, in this order."""
        super().__init__()
        self.student, self._places = student, places

    @override
    def forward(self, rows: Tensor) -> Tensor:
        """Log-probabilities (T, B, C * S), one head after the other."""
        return self.student.said(rows).index_select(1, self._places).transpose(0, 1)


def build(
    recipe: Student, width: int, num_labels: int, heads: Heads | None, rng: np.random.Generator
) -> nn.Module:
    """An untrained student; one of the recipe's own where ``heads`` is None.

    Args:
        recipe: of the student, or of the trunk.
        width: D, of what it reads.
        num_labels: C.
        heads: how many, of how many subclasses.
        rng: source of all randomness.
    """
    if heads is None:
        return recipe.build(width, num_labels, rng)
    outputs = math.prod((heads.number, num_labels, heads.subclasses))
    return Headed(recipe.build(width, outputs, rng), heads)


def about_heads(student: nn.Module, labels: Iterable[str]) -> dict[str, Any]:
    """What ``config.json`` has to say of heads; nothing of a student without."""
    if not isinstance(student, Headed):
        return {}
    heads = student.heads
    return {
        "heads": {
            "number": heads.number,
            "subclasses": heads.subclasses,
            "shares": [float(share) for share in student.shares],
        },
        "outputs": heads.names(labels),
    }


def files_of(
    recipe: Student, student: nn.Module, reader: Reader, about: dict[str, Any]
) -> dict[str, bytes]:
    """What ``student/`` holds: as :meth:`server.students.Student.files`, of the trunk if headed."""
    trunk = student.trunk if isinstance(student, Headed) else student
    return recipe.files(trunk, reader, about)


def rebuilt(recipe: Student, about: dict[str, Any], state: dict[str, Tensor]) -> nn.Module:
    """The published student.

    Args:
        recipe: its own.
        about: what stands in ``config.json``.
        state: what the recipe stored.
    """
    told = about.get("heads", {})
    heads = Heads(told["number"], told["subclasses"]) if told else None
    rng = np.random.default_rng(0)  # the weights drawn here are replaced below
    student = build(recipe, about["num_features"], len(about["labels"]), heads, rng)
    (student.trunk if isinstance(student, Headed) else student).load_state_dict(state)
    if isinstance(student, Headed):
        student.shares.copy_(torch.tensor(told["shares"]))
    return student.eval()
