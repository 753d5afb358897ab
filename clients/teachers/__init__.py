"""Teachers: models that are fitted to a client's shard and never leave the client."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from clients.refinements import Lesson, Plan
from common.arrays import Floats, Ints
from common.configure import kind_of
from common.encoders import Encoder
from common.failures import ConfigError

Inputs = Any
"""What a teacher looks at: features (M, D), float32, or M texts, as its ``reads`` says.

``Any``, so that a member may say which of the two it means.
"""


class Shard(NamedTuple):
    """What :meth:`Teacher.fit` is given for one client.

    Attributes:
        inputs: M texts or their features (M, D).
        labels: shape (M,), in 0..C-1.
        rng: source of all randomness.
    """

    inputs: Inputs
    labels: Ints
    rng: np.random.Generator


class FittedTeacher(ABC):
    """A trained model behind a single question: what do you make of these texts?"""

    @abstractmethod
    def predict(self, inputs: Inputs) -> Floats:
        """Probabilities for N texts or their features (N, D), as :attr:`Teacher.reads` says.

        Returns:
            Shape (N, C), float32; rows sum to 1, whatever labels the shard held.
        """

    def embed(self, inputs: Inputs) -> Floats:
        """What the last layer reads of N texts, shape (N, D); if the recipe ``embeds``."""
        raise NotImplementedError

    def head(self) -> Floats:
        """The weights of the last layer, shape (C, D); if the recipe ``embeds``."""
        raise NotImplementedError

    def remark(self) -> str:
        """What the client should know of its answers, for its own log; empty for nothing.

        May say more after :meth:`predict`. Never what stands in a text.
        """
        return ""

    @abstractmethod
    def tensors(self) -> dict[str, NDArray[Any]]:
        """All that :meth:`Teacher.restore` needs; kept in the client's own store."""


class Teacher(ABC):
    """A recipe for a model. Fields are hyper-parameters; parameters appear on fit.

    Attributes:
        reads: ``features`` of the run's encoder, which are then computed and kept, or the
            ``texts`` themselves.
        learns: whether it can know its shard at all; one that does not has nothing private.
        refines: whether it can go on from what the server says back.
        embeds: whether its fitted teachers tell what their last layer reads.
        stacks: whether many are fitted sooner by :meth:`fit_together` than one by one.
    """

    reads: ClassVar[Literal["features", "texts"]] = "features"
    learns: ClassVar[bool] = True
    refines: ClassVar[bool] = False
    embeds: ClassVar[bool] = False
    stacks: ClassVar[bool] = False

    @abstractmethod
    def fit(
        self,
        inputs: Inputs,
        labels: Ints,
        num_labels: int,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        """Train on one shard.

        Args:
            inputs: M texts or their features (M, D), as :attr:`reads` says. M may be 0: such
                a teacher knows nothing and predicts so.
            labels: shape (M,), in 0..C-1; labels may be absent.
            num_labels: C.
            rng: source of all randomness; equal streams give equal bits on one thread.
            progress: called with (steps done, all steps) now and then.
        """

    def fit_together(self, shards: Sequence[Shard], num_labels: int) -> list[FittedTeacher]:
        """A teacher for each shard, same bits as by :meth:`fit`, whoever else is among them.

        Args:
            shards: of several clients; nothing of one goes into another's teacher.
            num_labels: C.
        """
        return [self.fit(*shard[:2], num_labels, shard.rng) for shard in shards]

    @abstractmethod
    def restore(self, tensors: dict[str, NDArray[Any]], num_labels: int) -> FittedTeacher:
        """The teacher whose :meth:`FittedTeacher.tensors` these are, same predictions bit by bit.

        Raises:
            DataError: the tensors are not a teacher of this kind for C labels.
        """

    def refine(
        self,
        fitted: FittedTeacher,
        lesson: Lesson,
        plan: Plan,
        rng: np.random.Generator,
        progress: Callable[[int, int], None] | None = None,
    ) -> FittedTeacher:
        """A teacher that goes on from ``fitted``, which is left as it was.

        Args:
            fitted: of this recipe.
            lesson: what the server says, and the client's own shard; it is only read.
            plan: how long and how strongly.
            rng: source of all randomness; equal streams give equal bits on one thread.
            progress: called with (steps done, all steps) now and then.

        Raises:
            ConfigError: see :meth:`check_refinable`.
        """
        del fitted, lesson, plan, rng, progress
        raise _unrefinable(self)

    def check_refinable(self) -> None:
        """Say before a run whether :meth:`refine` can be had.

        Raises:
            ConfigError: it cannot.
        """
        if not self.refines:
            raise _unrefinable(self)

    def check_embeds(self) -> None:
        """Say before a run whether :meth:`FittedTeacher.embed` can be had.

        Raises:
            ConfigError: it cannot.
        """
        if not self.embeds:
            raise ConfigError(
                f"teacher {kind_of(self)!r} has no last linear layer to split labels by; write "
                "another teacher, as 'frozen_mlp', or leave out clients.subclasses"
            )

    def resolved(self, encoder: Encoder) -> "Teacher":
        """A recipe of the same bits in which nothing is left to the run or to the place.

        Args:
            encoder: of the run.

        Raises:
            ConfigError: the recipe cannot be followed in this run or in this installation.
        """
        del encoder
        return self


def _unrefinable(teacher: Teacher) -> ConfigError:
    return ConfigError(
        f"teacher {kind_of(teacher)!r} cannot learn what the server says back; write another "
        "teacher, as 'frozen_mlp', or clients.refinement = 'none' with server.feedback = 'none'"
    )
