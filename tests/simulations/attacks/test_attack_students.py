"""The attack on students: the experiment's own mechanism trains its clients, and a control."""

from dataclasses import replace

import numpy as np
import pytest

from clients.mechanisms import Mechanism
from clients.priors import corrected, shares
from clients.teachers import Teacher
from clients.teachers.frozen_linear import FrozenLinear
from common.configure import load
from common.gaussian_dp import mu_of
from simulations.attacks._game import Size
from simulations.attacks._release import Defence, defences, quantised
from simulations.attacks._scene import own_mechanism, set_up
from simulations.attacks._training import train
from simulations.attacks.student import Student, _Federations
from simulations.events import silent
from tests.simulations.attacks.scenes import game, legible

SIZE = Size(40, 60, 20, targets=2, shadows=2, federations=(3, 6), audits=2)
PRIVATE = "clients.mechanism = { kind = 'dp_gd', epsilon_target = 2.0, delta = 1e-5, steps = 3 }"
LINEAR = "clients.teacher = 'frozen_linear'; data.num_clients = 2"


def world(*settings):
    """A control and the experiment's own release, and nothing else."""
    made = legible(
        game(FrozenLinear(penalty=1.0), features=12, size=SIZE, settings=(LINEAR, *settings))
    )
    rows = defences(8, own_mechanism(made), 1, len(made.shared))[:2]
    return set_up(made, silent, rows)


def test_students_of_private_clients_are_held_against_their_own_guarantee():
    control, own = Student().run(world(PRIVATE))
    assert (control.defence, own.defence) == ("float32", "8 bits")
    assert "bound" not in control.figures
    allowed = replace(world(PRIVATE).own, mu=mu_of(2.0, 1e-5)).allows(0.01)
    assert own.figures["bound"]["0.01"] == pytest.approx(allowed, rel=1e-3)
    assert own.figures["auc"] != control.figures["auc"]
    again = Student().run(world(PRIVATE))[1]
    assert again.figures == own.figures  # its noise is seeded, though the experiment's is not


def test_clients_of_the_federations_are_trained_as_the_experiment_says():
    scene = world(PRIVATE)
    made = _Federations(scene, scene.game.halves(2, "f", False))
    trained = made.signals(scene.own.defence)[1]
    assert trained.mu == pytest.approx(mu_of(2.0, 1e-5), rel=1e-3)
    assert made.signals(scene.rows[0].defence)[1].mu is None


def test_answers_are_corrected_and_released_as_a_client_does_it():
    scene = world("clients.prior_correction = 1.0")
    made, rows = scene.game, [np.arange(10)]
    trained = train(made, rows, "one", None, lambda done, total: None)
    federations = _Federations(scene, made.halves(2, "f", False))
    rng = np.random.default_rng(0)
    said = federations.answer(trained, 0, Defence("", "", quantised(8), 1 / 255), rng)
    plain = trained.models[0].predict(made.shared.inputs)
    wanted = corrected(plain, shares(made.pool.labels[:10], 3), 1.0)
    np.testing.assert_array_equal(said.probs, quantised(8)(wanted, rng))
    favourites = {"kind": "randomised_answers", "row_epsilon": 50.0}
    hard = Defence("", "", lambda probs, _: probs, 1.0, _mechanism(favourites))
    said = federations.answer(trained, 0, hard, rng).probs
    assert set(np.unique(said)) == {0.0, 1.0}
    assert (said.argmax(axis=1) == wanted.argmax(axis=1)).all()


def _mechanism(settings):
    return load(Mechanism, settings)


def test_a_student_that_learns_noised_targets_is_not_distilled_without_the_noise():
    equal = "server.weighting = 'uniform'; server.aggregator = 'mean'"
    assert Student().obstacle(world(equal)) is None
    noised = world(equal, "server.hiding = 'noisy_mean'")
    assert "noises what its student learns" in Student().obstacle(noised)


class Elsewhere(Teacher):
    """Learns by heart, too, but rows that are no candidates, whatever shard it is given."""

    def __init__(self, rows):
        self.rows = rows

    def fit(self, inputs, labels, num_labels, rng, progress=None):
        picked = rng.permutation(len(self.rows))[: len(labels)]
        return BY_HEART.fit(self.rows.view[picked], self.rows.labels[picked], num_labels, rng)

    def restore(self, tensors, num_labels):
        return BY_HEART.restore(tensors, num_labels)


BY_HEART = FrozenLinear(penalty=1e-3)
PARROT = (
    "data.num_clients = 2; server.weighting = 'uniform'; server.aggregator = 'mean'",
    "server.loss = 'kl'; server.student = { kind = 'frozen_mlp', hidden = 48 }",
    "server.schedule = { steps = 150, learning_rate = 0.02 }",
)
FEDERATIONS = replace(SIZE, fresh=60, federations=(6, 12))


def parrots(recipe=None):
    """What is found in students who were taught about the very candidates.

    Args:
        recipe: of a teacher, from the game; not given: one that learns its ten rows by heart.
    """
    made = legible(game(BY_HEART, features=48, size=FEDERATIONS, settings=PARROT))
    made = replace(made, shared=made.pool)
    made = made if recipe is None else replace(made, recipe=recipe(made))
    (found,) = Student().run(set_up(made, silent, (Defence("8 bits", "", quantised(8), 1 / 255),)))
    return found.figures


def test_a_student_of_teachers_that_know_their_rows_by_heart_is_found_out():
    """Positive control: ten rows each, and the candidates themselves are asked about."""
    found = parrots()
    assert found["auc"] > 0.75
    assert found["auc_interval"][0] > 0.65


def test_a_student_that_never_saw_a_member_gives_nobody_away():
    """Negative control: the same, but the teachers have learned other rows by heart."""
    found = parrots(lambda made: Elsewhere(made.fresh))
    low, high = found["auc_interval"]
    assert low <= 0.5 <= high
    assert found["auc"] == pytest.approx(0.5, abs=0.08)
