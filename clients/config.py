"""The clients' half of an experiment."""

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field

from clients.availability import Availability
from clients.availability.always import Always
from clients.teachers import Teacher
from clients.teachers.frozen_mlp import FrozenMlp
from clients.vetting import Vetting
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
        encoder: turns texts into features; the same for all, and public.
        blanks: the list of content-free texts on which a teacher shows its bias.
        vetting: what shared texts a client refuses to train for and to answer about.
        availability: in which rounds a client answers.
    """

    teacher: Teacher | None = None
    teachers: tuple[Teacher, ...] | None = Field(default=None, min_length=1)
    encoder: Encoder = Field(default_factory=Sentence)
    blanks: Literal["content_free", "random_tokens"] = "random_tokens"
    vetting: Vetting = Field(default_factory=Vetting)
    availability: Availability = Field(default_factory=Always)

    def __post_init__(self) -> None:
        if self.teacher is not None and self.teachers is not None:
            raise ConfigError(
                "clients.teacher and clients.teachers exclude each other; write one of them"
            )
        if self.teachers is None and self.teacher is None:
            # Not a default of the field, for then nobody could tell it from a choice.
            object.__setattr__(self, "teacher", FrozenMlp())
        for recipe in self.recipes:
            recipe.resolved(self.encoder)

    @property
    def recipes(self) -> tuple[Teacher, ...]:
        """The recipes that occur, in the order of the clients that follow them."""
        return (self.teacher,) if self.teacher is not None else self.teachers or ()

    @property
    def reads_features(self) -> bool:
        """Whether any teacher reads the encoder's features."""
        return any(recipe.reads == "features" for recipe in self.recipes)

    def of(self, client: int) -> Teacher:
        """The recipe of one client."""
        return self.recipes[client % len(self.recipes)]

    def own(self, client: int, encoder: Encoder) -> "ClientConfig":
        """What one client is told: its own recipe, with nothing left open, and no other.

        Args:
            client: its id.
            encoder: of the run, resolved.
        """
        recipe = self.of(client).resolved(encoder)
        return replace(self, teacher=recipe, teachers=None, encoder=encoder)


def configured(table: dict[str, Any]) -> ClientConfig:
    """What a client was told, from its store; clients of one process are often told the same."""
    return _configured(json.dumps(table))


@lru_cache(maxsize=16)
def _configured(text: str) -> ClientConfig:
    return load(ClientConfig, json.loads(text), "clients")
