"""What the final student alone gives away."""

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from torch import nn
from typing_extensions import override

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
from simulations.attacks._figures import Masks, membership
from simulations.attacks._game import Game
from simulations.attacks._likelihood import lira, log_odds
from simulations.attacks._membership import told, told_of_run
from simulations.attacks._release import FLOAT, quantised
from simulations.attacks._scene import Scene
from simulations.attacks._school import School, obstacle
from simulations.attacks._training import Trained, train
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
    with up to four clients, its loss, aggregator and schedule; its weighting only where that
    needs nothing beyond predictions and their bias. Of a finished run it is the run's own student
    that is asked, and beside it one distilled from what the clients would have said without any
    protection. Reference: Jagielski et al. *Students Parrot
    Their Teachers*, NeurIPS 2023, https://arxiv.org/abs/2303.03446.
    """

    place: ClassVar[str] = "student"

    @override
    def run(self, scene: Scene) -> list[Finding]:
        game = scene.game
        targets, shadows = game.size.federations
        inside = game.halves(targets, "federations", paired=False)
        shadowed = game.halves(shadows, "shadow federations", paired=True)
        everybody = np.concatenate([inside, shadowed])
        signals = _Federations(game).signals(everybody, scene)
        scores = lira(signals[:targets], signals[targets:], shadowed)
        found = membership(scores, inside, game.rng("draws", "student"))
        return [told("student", replace(scene.own, mu=None), self.place, found)]

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

    def __init__(self, game: Game) -> None:
        self._game, self._config = game, _server(game)
        self._clients = min(_MOST_CLIENTS, game.experiment.data.num_clients)
        reader = self._config.student.reader(game.encoder, game.shared.texts)
        shelf, quiet = cache_dir() / "features", blanks(game.experiment.clients.blanks)
        self._features = reader.read(game.shared.texts, shelf)
        self._asked = reader.read(game.pool.texts, private_shelf())
        of_texts = game.recipe.reads == "texts"
        self._quiet = quiet if of_texts else game.encoder.encode(quiet)
        self._room = Classroom(self._features)

    def signals(self, inside: Masks, scene: Scene) -> Floats:
        """How sure each student is of the true labels, shape (federations, P)."""
        rng, rows = self._game.rng("deal"), []
        for held in inside:
            members = rng.permutation(np.flatnonzero(held))
            rows += np.array_split(members, self._clients)

        def step(done: int, total: int) -> None:
            scene.progress("clients", done, total)

        trained = train(self._game, rows, "federated", None, step)
        said = []
        for number in range(len(inside)):
            part = slice(number * self._clients, (number + 1) * self._clients)
            said.append(predict(self._student(trained, part), self._asked))
            scene.progress("students", number + 1, len(inside))
        return log_odds(np.stack(said), self._game.pool.labels, FLOAT)

    def _student(self, trained: Trained, part: slice) -> nn.Module:
        cost = self._config.geometry.build(self._game.geometry)
        seed = derive(self._game.seed, "attack", "server")
        method = Method(self._config, self._room, cost, self._clients, seed)
        student, state = method.student(len(cost)), method.start()
        heard = {k: self._answer(trained, part.start + k) for k in range(self._clients)}
        aim = method.aim(Ensemble.stack(heard), cost, state)
        method.teach(student, aim, cost, state, 1)
        return student

    def _answer(self, trained: Trained, number: int) -> Predictions:
        game, model = self._game, trained.models[number]
        bits = game.experiment.wire.bits
        code, rng = quantised(bits), game.rng("nothing")
        probs = code(model.predict(game.shared.inputs), rng)
        quiet = model.predict(self._quiet).astype(np.float64).mean(axis=0)
        return Predictions(probs, code(quiet, rng), len(trained.rows[number]))


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
