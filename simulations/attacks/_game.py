"""The game: candidates of whom a model has seen a random half, and public texts to ask about.

Axes: P candidates, N shared texts, F fresh texts, T targets, S shadows, C labels, D features.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clients.teachers import Inputs, Teacher
from common.arrays import Floats, Ints
from common.encoders import Encoder, encode_cached, resolve
from common.encoders.hashing import Hashing
from common.failures import ConfigError
from common.labels import LabelGeometry
from common.places import cache_dir
from common.seeds import stream
from simulations.attacks._figures import Masks
from simulations.datasets import Corpus
from simulations.events import Progress
from simulations.examination import private_shelf
from simulations.experiment import Experiment
from simulations.provision import divide

_LEAST = 16


@dataclass(frozen=True)
class Size:
    """How large a game is.

    Attributes:
        pool: P at most.
        shared: N at most.
        fresh: F at most.
        targets: T.
        shadows: S, even.
        federations: small federations behind the student, targets and shadows.
        audits: trainings of the audit.
    """

    pool: int = 400
    shared: int = 600
    fresh: int = 400
    targets: int = 64
    shadows: int = 64
    federations: tuple[int, int] = (8, 24)
    audits: int = 24


SIZES = {
    "quick": Size(),
    "full": Size(800, 1500, 1000, 128, 256, (32, 64), 64),
}


@dataclass(frozen=True, eq=False)
class Rows:
    """Some texts, with their labels.

    Attributes:
        inputs: as the teacher reads them.
        view: shape (M, D), float32, as the attacker's surrogates read them.
        texts: the M texts.
        labels: shape (M,); of shared texts nobody uses them.
        numbers: shape (M,), rows of the corpus.
    """

    inputs: Inputs
    view: Floats
    texts: tuple[str, ...]
    labels: Ints
    numbers: Ints

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, eq=False)
class Game:
    """Everything but the models.

    Attributes:
        experiment: whose recipe, codes and vetting are attacked.
        recipe: what a client trains.
        encoder: of the run.
        geometry: the C labels.
        pool: the candidates; the attacker knows them and asks which were trained on.
        shared: public texts, none of them a candidate.
        fresh: texts that no model has seen, with labels.
        seed: of everything random.
        size: how many models.
    """

    experiment: Experiment
    recipe: Teacher
    encoder: Encoder
    geometry: LabelGeometry
    pool: Rows
    shared: Rows
    fresh: Rows
    seed: int
    size: Size

    @property
    def num_labels(self) -> int:
        """C."""
        return len(self.geometry)

    def rng(self, *path: str | int) -> np.random.Generator:
        """The generator for one purpose."""
        return stream(self.seed, "attack", *path)

    def halves(self, models: int, name: str, paired: bool) -> Masks:
        """Who has seen what, shape (models, P), bool; every model half of the candidates.

        Args:
            models: even if they are paired.
            name: of the draw.
            paired: whether each second model has seen what the one before has not, so that every
                candidate has been seen by exactly half of them.
        """
        rng, size = self.rng("halves", name), len(self.pool)
        made = np.zeros((models, size), dtype=bool)
        for model in range(models):
            if paired and model % 2:
                made[model] = ~made[model - 1]
            else:
                made[model, rng.permutation(size)[: size // 2]] = True
        return made


def chosen(inputs: Inputs, rows: Ints) -> Inputs:
    """Some of the inputs, whatever they are."""
    if isinstance(inputs, np.ndarray):
        return inputs[rows]
    return tuple(inputs[row] for row in rows)


def draw(experiment: Experiment, size: Size, progress: Progress) -> Game:
    """A game on an experiment's data: candidates are private rows, fresh ones test rows.

    Raises:
        ConfigError: there are too few private rows to play.
        DataError: the data set is missing or damaged.
    """
    corpus, parts = divide(experiment)
    rng = stream(experiment.seed, "attack", "draw")
    count = min(size.pool, len(parts.private)) // 2 * 2
    if count < _LEAST:
        raise ConfigError(
            f"an attack needs at least {_LEAST} private rows and there are {count}; write a "
            "larger data set"
        )
    wanted = {
        "pool": _some(parts.private, count, rng),
        "shared": _some(parts.transfer, size.shared, rng),
        "fresh": _some(parts.test, size.fresh, rng),
    }
    return assemble(experiment, corpus, wanted, size, progress)


def assemble(
    experiment: Experiment, corpus: Corpus, wanted: dict[str, Ints], size: Size, progress: Progress
) -> Game:
    """A game on chosen rows of a corpus: ``pool``, ``shared`` and ``fresh``."""
    encoder = resolve(experiment.clients.encoder)
    recipe = experiment.clients.of(0).resolved(encoder)
    made, total = {}, len(wanted)
    for done, (name, numbers) in enumerate(wanted.items()):
        progress("encode", done, total)
        made[name] = _rows(corpus, numbers, recipe, encoder, name == "shared")
    progress("encode", total, total)
    return Game(
        experiment,
        recipe,
        encoder,
        corpus.geometry,
        **made,
        seed=experiment.seed,
        size=size,
    )


def view_of(texts: Sequence[str]) -> Floats:
    """What an attacker makes of texts where the teacher reads words: hashed words, (M, D)."""
    return Hashing(dimensions=1024).encode(texts)


def _rows(corpus: Corpus, numbers: Ints, recipe: Teacher, encoder: Encoder, public: bool) -> Rows:
    texts = tuple(corpus.texts[row] for row in numbers)
    labels = corpus.labels[numbers]
    if recipe.reads == "texts":
        return Rows(texts, view_of(texts), texts, labels, numbers)
    shelf = cache_dir() / "features" if public else private_shelf()
    features: Any = encode_cached(encoder, texts, shelf)
    return Rows(features, features, texts, labels, numbers)


def _some(rows: Ints, most: int, rng: np.random.Generator) -> Ints:
    return np.sort(rng.permutation(rows)[:most])
