"""What the final student alone gives away."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from torch import nn
from typing_extensions import override

from clients.mechanisms import Mechanism
from common.arrays import Floats
from common.blanks import blanks
from common.component import component
from common.places import cache_dir
from common.predictions import Ensemble, Predictions
from common.seeds import derive
from server.archive import open_student
from server.config import ServerConfig
from server.distil import predict
from server.pretraining import Classroom
from server.students.frozen_mlp import FrozenMlp
from server.teaching import Method
from server.weightings.uniform import Uniform
from simulations.attacks import Attack, Finding
from simulations.attacks._figures import Masks
from simulations.attacks._game import Game
from simulations.attacks._likelihood import lira, log_odds
from simulations.attacks._membership import Ranking, told, told_of_run
from simulations.attacks._release import FLOAT, Defence
from simulations.attacks._scene import Scene, noise_seed, repeatable
from simulations.attacks._school import NOISED, School, obstacle
from simulations.attacks._training import Trained, says, train
from simulations.examination import private_shelf

if TYPE_CHECKING:
    from simulations.attacks._taken import Taken

_MOST_CLIENTS = 4


@final
@component
class Student(Attack):
    """Likelihood ratios on the student's answers, against students of the attacker's own.

    A candidate is a member if any client of a small federation trained on it. Whoever has the
    student and nothing else can do this (an outsider). The federation is the experiment's own,
    with up to four clients, its mechanism (with seeded noise, which the attack does not use), loss,
    aggregator and schedule; its weighting only where that needs nothing beyond predictions and
    their bias. Beside it stands the control, whose clients do nothing. Of a finished run it is the
    run's own student that is asked, and beside it one distilled from what the clients would have
    said without any protection. Reference: Jagielski et al. *Students Parrot Their Teachers*,
    NeurIPS 2023, https://arxiv.org/abs/2303.03446.
    """

    place: ClassVar[str] = "student"

    @override
    def run(self, scene: Scene) -> list[Finding]:
        game = scene.game
        targets, shadows = game.size.federations
        inside = game.halves(targets, "federations", paired=False)
        shadowed = game.halves(shadows, "shadow federations", paired=True)
        federations = _Federations(scene, np.concatenate([inside, shadowed]))
        control = [seen for seen in scene.rows if seen.defence.control and seen is not scene.own]
        made = []
        for seen in (*control, scene.own):
            signals, trained = federations.signals(seen.defence)
            scores = lira(signals[:targets], signals[targets:], shadowed)
            row = replace(seen, mu=trained.mu, claim=trained.claim)
            ranking, rng = Ranking(scores, inside), game.rng("draws", "student")
            made.append(told("student", row, self.place, ranking, rng))
        return made

    @override
    def obstacle(self, scene: Scene) -> str | None:
        return NOISED if scene.game.experiment.server.hiding is not None else None

    @override
    def obstacle_in(self, taken: "Taken") -> str | None:
        return obstacle(taken.run)

    @override
    def against(self, taken: "Taken") -> list[Finding]:
        school, games = School(taken.run), [scene.game for scene in taken.scenes.values()]
        asked = school.read([text for game in games for text in game.pool.texts])
        labels = np.concatenate([game.pool.labels for game in games])
        count = taken.run.size.federations[1]
        known = [scene.inside_shadows[:count] for scene in taken.scenes.values()]
        control = next(seen.defence.name for seen in taken.first.rows if seen.defence.control)
        targets = {control: school.student(taken.control)}
        targets[taken.own] = open_student(taken.run.folder)
        made = []

        def signals(students: list[nn.Module]) -> Floats:
            return log_odds(np.stack([predict(one, asked) for one in students]), labels, FLOAT)

        for name, target in targets.items():
            shadows = []
            for model in range(count):
                taken.progress("students", model, count)
                heard = {k: h.of(model) for k, h in taken.shadows[name].items()}
                shadows.append(school.student(heard))
            scores = lira(signals([target]), signals(shadows), np.concatenate(known, axis=1))
            seen = taken.rows[name][0][1]
            found = told_of_run("student", seen, self.place, scores.reshape(-1, taken.width), taken)
            figures = {**found.figures, "accuracy": school.accuracy(target)}
            made.append(replace(found, figures=figures))
        taken.progress("students", count, count)
        return made


class _Federations:
    """Many small federations on one pool, each up to its student."""

    def __init__(self, scene: Scene, inside: Masks) -> None:
        game = self._game = scene.game
        self._inside, self._progress, self._config = inside, scene.progress, _server(game)
        self._clients = min(_MOST_CLIENTS, game.experiment.data.num_clients)
        reader = self._config.student.reader(game.encoder, game.shared.texts)
        shelf, quiet = cache_dir() / "features", blanks(game.experiment.clients.blanks)
        self._features = reader.read(game.shared.texts, shelf)
        self._asked = reader.read(game.pool.texts, private_shelf())
        of_texts = game.recipe.reads == "texts"
        self._quiet = quiet if of_texts else game.encoder.encode(quiet)
        self._room = Classroom(self._features)
        self._trained: dict[Mechanism | None, Trained] = {}

    def signals(self, defence: Defence) -> tuple[Floats, Trained]:
        """How sure each student is of the true labels, shape (federations, P), and the teachers.

        Args:
            defence: how clients train and what they do to their answers.
        """
        own = defence.mechanism
        if own is not None:
            defence = replace(defence, mechanism=repeatable(own, noise_seed(self._game)))
        trained, said = self._taught(defence.mechanism), []
        for number in range(len(self._inside)):
            said.append(predict(self._student(trained, number, defence), self._asked))
            self._progress("students", number + 1, len(self._inside))
        return log_odds(np.stack(said), self._game.pool.labels, FLOAT), trained

    def _taught(self, mechanism: Mechanism | None) -> Trained:
        """All clients' teachers, each training once; who holds what is the same for all."""
        how = mechanism if mechanism is not None and mechanism.trains else None
        if how not in self._trained:
            rng, rows = self._game.rng("deal"), []
            for held in self._inside:
                members = rng.permutation(np.flatnonzero(held))
                rows += np.array_split(members, self._clients)
            self._trained[how] = train(self._game, rows, "federated", how, self._step)
        return self._trained[how]

    def _step(self, done: int, total: int) -> None:
        self._progress("clients", done, total)

    def _student(self, trained: Trained, number: int, defence: Defence) -> nn.Module:
        """Of one federation; only what its clients release differs from one defence to another."""
        cost = self._config.geometry.build(self._game.geometry)
        seed = derive(self._game.seed, "attack", "server")
        method = Method(self._config, self._room, cost, self._clients, seed)
        student, state = method.student(len(cost)), method.start()
        first, rng = number * self._clients, self._game.rng("alter", "student", number)
        ids = range(self._clients)
        heard = {k: self.answer(trained, first + k, defence, rng) for k in ids}
        aim = method.aim(Ensemble.stack(heard), cost, state)
        method.teach(student, aim, cost, state, 1)
        return student

    def answer(
        self, trained: Trained, number: int, defence: Defence, rng: np.random.Generator
    ) -> Predictions:
        """What a client sends: corrected, released, altered and biased as the experiment's own."""
        game = self._game
        said, quiet = (says(game, trained, number, on) for on in (game.shared.inputs, self._quiet))
        bias = defence.bias(quiet, game.experiment.clients.bias, rng)
        return Predictions(defence.release(said, rng), bias, len(trained.rows[number]))


def _server(game: Game) -> ServerConfig:
    """The experiment's own, without what only a whole run has."""
    config = game.experiment.server
    weighting = config.weighting
    if weighting.needs - {"bias", "num_examples"} or weighting.steers:
        weighting = Uniform()
    student = config.student if config.student.reads == "features" else FrozenMlp()
    return replace(
        config,
        weighting=weighting,
        student=student,
        pretraining=None,
        fine_tuning=None,
        label_weight=None,
        reweighting=None,
    )
