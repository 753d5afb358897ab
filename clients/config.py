"""The clients' half of an experiment."""

import json
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field

from clients.availability import Availability
from clients.availability.always import Always
from clients.familiarity import Familiarity
from clients.mechanisms import Mechanism
from clients.refinements import Refinement
from clients.subclasses import Subclasses
from clients.teachers import Teacher
from clients.teachers.frozen_mlp import FrozenMlp
from clients.vetting import Vetting
from common.biases import Bias
from common.component import component
from common.configure import load
from common.encoders import Encoder
from common.encoders.sentence import Sentence
from common.failures import ConfigError


@component
class ClientConfig:
    """What the clients decide.

    Attributes:
        teacher: the model that each client trains on its own texts; ``frozen_mlp`` if neither
            this nor ``teachers`` is given.
        teachers: several recipes instead of one; client k follows the one at k modulo their
            number, so a list of K says it client by client.
        assignment: of every client, which of ``teachers`` it follows, counted from 0; not given:
            they go round.
        encoder: turns texts into features; the same for all, and public.
        blanks: the list of content-free texts on which a teacher shows its bias.
        bias: what a teacher says of these texts: its mean prediction, or how often each label
            wins (``argmax``), each counted once more.
        vetting: what shared texts a client refuses to train for and to answer about.
        availability: in which rounds a client answers.
        refinement: what a client does with what the server says back before a later round;
            ``"none"`` or nothing where the server says nothing (``server.feedback``).
        familiarity: how a client finds how near a shared text is to its own; of effect only with
            ``disclose = ["familiarity"]``.
        prior_correction: to which power a client divides the label shares of its own shard out
            of all it says; nothing for not at all. See :func:`clients.priors.corrected`.
        subclasses: how every label is split before it crosses (LELP); nothing for not at all.
        mechanism: what is done so that answers tell little about any one example; nothing for
            nothing, so that they are as private as plain soft predictions are: not.
        vectorised: whether clients of one process train their teachers side by side, where the
            recipe can. Sooner, and the same bits; but the process then holds the features and
            labels of several clients at once.
    """

    teacher: Teacher | None = None
    teachers: tuple[Teacher, ...] | None = Field(default=None, min_length=1)
    assignment: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(default=None, min_length=1)
    encoder: Encoder = Field(default_factory=Sentence)
    blanks: Literal["content_free", "random_tokens"] = "random_tokens"
    bias: Bias = "mean"
    vetting: Vetting = Field(default_factory=Vetting)
    availability: Availability = Field(default_factory=Always)
    refinement: Refinement | None = None
    subclasses: Subclasses | None = None
    familiarity: Familiarity = Field(default_factory=Familiarity)
    prior_correction: float | None = Field(default=None, gt=0, le=4)
    mechanism: Mechanism | None = None
    vectorised: bool = False

    def __post_init__(self) -> None:
        if self.teacher is not None and self.teachers is not None:
            raise ConfigError(
                "clients.teacher and clients.teachers exclude each other; write one of them"
            )
        self._check_assignment()
        if self.teachers is None and self.teacher is None:
            # Not a default of the field, for then nobody could tell it from a choice.
            object.__setattr__(self, "teacher", FrozenMlp())
        for recipe in self.recipes:
            recipe.resolved(self.encoder)
            if self.refinement is not None:
                recipe.check_refinable()
            if self.num_subclasses > 1:
                recipe.check_embeds()
            if self.mechanism is not None:
                self.mechanism.check(recipe)
        if self.mechanism is not None and self.mechanism.unit != "none":
            self._check_guarded()

    def _check_assignment(self) -> None:
        if self.assignment is None:
            return
        if self.teachers is None:
            raise ConfigError(
                "clients.assignment says who follows which of clients.teachers, and there is no "
                "such list; write clients.teachers = [...], or leave clients.assignment out"
            )
        if max(self.assignment) >= len(self.teachers):
            raise ConfigError(
                f"clients.assignment names recipe {max(self.assignment)}, and the last of "
                f"clients.teachers is {len(self.teachers) - 1}; write 0 to {len(self.teachers) - 1}"
            )
        if missing := sorted(set(range(len(self.teachers))) - set(self.assignment)):
            raise ConfigError(
                f"clients.assignment gives recipe {missing[0]} of clients.teachers to nobody; "
                "leave it out of the list"
            )

    def _check_guarded(self) -> None:
        """Whatever is drawn from private examples beside the teacher would undo the guarantee."""
        for key, wanted in (
            ("subclasses", self.num_subclasses > 1),
            ("prior_correction", self.prior_correction is not None),
        ):
            if wanted:
                raise ConfigError(
                    f"clients.{key} reads private examples past clients.mechanism, which would "
                    "then guarantee nothing; leave one of them out"
                )

    @property
    def num_subclasses(self) -> int:
        """S; 1 where labels are not split."""
        return 1 if self.subclasses is None else self.subclasses.count

    @property
    def recipes(self) -> tuple[Teacher, ...]:
        """The recipes that occur, in the order of the experiment."""
        return (self.teacher,) if self.teacher is not None else self.teachers or ()

    @property
    def reads_features(self) -> bool:
        """Whether any teacher reads the encoder's features."""
        return any(recipe.reads == "features" for recipe in self.recipes)

    def of(self, client: int) -> Teacher:
        """The recipe of one client."""
        return self.recipes[self.place(client)]

    def place(self, client: int) -> int:
        """Where the recipe of one client stands in :attr:`recipes`."""
        if self.assignment is not None:
            return self.assignment[client]
        return client % len(self.recipes)

    def own(self, client: int, encoder: Encoder) -> "ClientConfig":
        """What one client is told: its own recipe, with nothing left open, and no other.

        Args:
            client: its id.
            encoder: of the run, resolved.
        """
        recipe = self.of(client).resolved(encoder)
        return replace(self, teacher=recipe, teachers=None, assignment=None, encoder=encoder)


def configured(table: dict[str, Any]) -> ClientConfig:
    """What a client was told, from its store; clients of one process are often told the same."""
    return _configured(json.dumps(table))


@lru_cache(maxsize=16)
def _configured(text: str) -> ClientConfig:
    return load(ClientConfig, json.loads(text), "clients")
