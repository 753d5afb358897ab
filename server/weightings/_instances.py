"""What a policy sees of a text itself, beside what is said of it."""

from abc import ABC, abstractmethod
from typing import Final, Literal

from torch import Tensor
from typing_extensions import override

from server.representing import represented
from server.steering import Course
from server.weightings._scale import Scale, standardised

_STALE: Final = 25  # steps after which the scale of what the student makes of texts is renewed

Instance = Literal["features", "hidden", "none"]


class Instances(ABC):
    """The texts of a round as vectors: columns of mean 0 over all texts, rows of length about 1.

    Attributes:
        width: D, columns of a vector.
    """

    width: int

    @abstractmethod
    def __call__(self, rows: Tensor) -> Tensor:
        """The texts at these places (B,), as of now: shape (B, D)."""

    def learned(self, number: int) -> None:
        """The student has been updated for the ``number``-th time in this round."""
        del number


class Still(Instances):
    """Vectors that stay what they are for the round."""

    def __init__(self, vectors: Tensor) -> None:
        """Of all texts, (N, D)."""
        self._vectors, self.width = vectors, vectors.shape[1]

    @override
    def __call__(self, rows: Tensor) -> Tensor:
        return self._vectors.index_select(0, rows)


class Hidden(Instances):
    """What the student makes of a text now, on a scale that all texts set now and then."""

    def __init__(self, course: Course) -> None:
        """Let all N texts of the course set the first scale."""
        self._course = course
        self._rescale()

    @override
    def __call__(self, rows: Tensor) -> Tensor:
        inputs = self._course.features.index_select(0, rows)
        return self._scale(represented(self._course.student, inputs))

    @override
    def learned(self, number: int) -> None:
        if number % _STALE == 0:
            self._rescale()

    def _rescale(self) -> None:
        made = represented(self._course.student, self._course.features)
        self._scale, self.width = Scale.of(made), made.shape[1]


def instances(course: Course, seen: Instance) -> Instances:
    """What is to be seen of the texts: as the student reads them, as it sees them, or nothing."""
    if seen == "hidden":
        return Hidden(course)
    return Still(standardised(course.features) if seen == "features" else course.features[:, :0])
