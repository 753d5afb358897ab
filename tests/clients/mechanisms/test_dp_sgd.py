"""DP-SGD: the accountant, the clipped sums and the noise, each against another source."""

import numpy as np
import pytest
import torch

pytest.importorskip("opacus")
pytest.importorskip("dp_accounting")

from clients.mechanisms import Holding, Spending
from clients.mechanisms import dp_sgd as module
from clients.mechanisms._gradients import linear, one_hidden
from clients.mechanisms._opacus import Pace, descend, head, network
from clients.mechanisms._sampled import sampled_noise_multiplier
from clients.mechanisms.dp_gd import DpGd
from clients.mechanisms.dp_sgd import DpSgd
from clients.noise import SeededNoise, SystemNoise
from clients.teachers.frozen_linear import FrozenLinear
from clients.teachers.frozen_mlp import FrozenMlp
from clients.teachers.sklearn import Sklearn
from common.failures import ConfigError
from simulations.events import silent
from simulations.guarantee import NOT_PRIVATE, guarantee
from simulations.loop import federate
from tests.clients.mechanisms.test_dp_gd import per_example
from tests.worlds import hashes, stocked, tiny_with

M, D, C, H = 60, 6, 3, 4
RNG = np.random.default_rng(0)
FEATURES = (3 * RNG.normal(size=(M, D)) + 1).astype(np.float32)
LABELS = FEATURES[:, :C].argmax(axis=1)
SHARED = (3 * RNG.normal(size=(80, D)) + 1).astype(np.float32)
SHARD = Holding(FEATURES, LABELS, C, SHARED)
RECIPES = [FrozenLinear(), FrozenMlp(hidden=8), FrozenMlp(hidden=8, activation="gelu")]
QUIET = {"epsilon_target": 1e9, "sampling": 1.0}


class Nothing:
    """A source of no noise, for which everybody is in every step."""

    private = False

    def uniform(self, *shape):
        return np.zeros(shape)

    def normal(self, *shape):
        return np.zeros(shape)


def test_the_accountant_is_that_of_opacus():
    """PLD of dp-accounting against the PRV accountant of Opacus, which errs upwards by 0.01."""
    from opacus.accountants import PRVAccountant

    other = PRVAccountant()
    other.history = [(1.5, 0.1, 100), (1.5, 0.1, 100)]
    one = Spending(1.5, 0.1, 100, True)
    found = DpSgd(delta=1e-5).epsilon([one, one])
    assert found == pytest.approx(other.get_epsilon(1e-5), abs=0.02)
    assert found > DpSgd(delta=1e-5).epsilon([one])


def test_without_sampling_it_is_the_closed_form():
    ours, exact = DpSgd(sampling=1.0, steps=30), DpGd(steps=30)
    assert ours.plan() == exact.plan()
    assert ours.epsilon([ours.plan()]) == pytest.approx(8.0, rel=1e-6)
    assert ours.epsilon([ours.plan()] * 2) == exact.epsilon([exact.plan()] * 2)


def test_nearly_all_of_them_costs_nearly_as_much_as_all():
    """Where both apply, the numeric accountant meets the closed form from below."""
    numeric, exact = (DpSgd().epsilon([Spending(6.0, q, 40, True)]) for q in (0.999, 1.0))
    assert numeric == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("epsilon", [1.0, 8.0])
def test_the_noise_is_just_enough(epsilon):
    mechanism = DpSgd(epsilon_target=epsilon, sampling=0.1, steps=50)
    plan = mechanism.plan()
    assert mechanism.epsilon([plan]) <= epsilon
    less = Spending(plan.noise_multiplier * 0.99, 0.1, 50, True)
    assert mechanism.epsilon([less]) > epsilon
    assert plan.noise_multiplier < sampled_noise_multiplier(epsilon, 1e-5, 1.0, 50)


@pytest.mark.parametrize("hidden", [False, True], ids=["linear", "mlp"])
def test_one_step_is_the_clipped_sum_of_single_gradients(hidden):
    """Against torch.func example by example, and against the closed form of dp_gd."""
    layers = [torch.nn.Linear(D, C)]
    if hidden:
        layers = [torch.nn.Linear(D, H), torch.nn.ReLU(), torch.nn.Linear(H, C)]
    net = torch.nn.Sequential(*layers).double()
    with torch.no_grad():
        for part in net.parameters():
            part.copy_(torch.from_numpy(np.random.default_rng(1).normal(size=part.shape)) / 3)
    own = {
        str(number): np.concatenate([m.weight.detach(), m.bias.detach()[:, None]], axis=1)
        for number, m in enumerate(layers)
        if isinstance(m, torch.nn.Linear)
    }
    inputs = 0.4 * np.random.default_rng(2).normal(size=(M, D))
    wanted, norms = per_example(net, inputs, LABELS)
    assert 0 < (norms > 1).float().mean() < 1
    made = network(own, "relu")
    pace = Pace(1, 1.0, clip=1.0, noise_multiplier=1.0, learning_rate=1.0, momentum=0.0)
    after = head(own, descend(made, inputs, np.eye(C)[LABELS], pace, Nothing()))
    for name, part in own.items():
        moved = (part - after[name]) * M
        assert moved[:, :-1] == pytest.approx(wanted[f"{name}.weight"], abs=1e-4)
        assert moved[:, -1] == pytest.approx(wanted[f"{name}.bias"], abs=1e-4)
    names = ("hidden", "output") if hidden else ("weights",)
    closed = (one_hidden if hidden else linear)(
        dict(zip(names, own.values(), strict=True)),
        np.concatenate([inputs, np.ones((M, 1))], axis=1),
        np.eye(C)[LABELS],
        1.0,
    )
    for part, found, total in zip(own.values(), after.values(), closed.values(), strict=True):
        assert (part - found) * M == pytest.approx(total, abs=1e-4)


def test_noise_and_samples_come_from_the_source_it_was_given(monkeypatch):
    """No example is in a step; what moves is the noise, z S eta / (q M) a coordinate."""
    drawn = []

    def normal(self, *shape):
        drawn.append(shape)
        return np.ones(shape)

    monkeypatch.setattr(SystemNoise, "normal", normal)
    monkeypatch.setattr(SystemNoise, "uniform", lambda self, *shape: np.ones(shape))
    before = torch.random.get_rng_state()
    net = {"weights": np.zeros((C, D + 1))}
    pace = Pace(1, 0.5, clip=0.7, noise_multiplier=2.0, learning_rate=3.0, momentum=0.0)
    wanted = np.eye(C)[LABELS]
    made = descend(network(net, ""), FEATURES.astype(float), wanted, pace, SystemNoise())
    after = head(net, made)
    assert after["weights"] == pytest.approx(np.full((C, D + 1), -3 * 2 * 0.7 / (0.5 * M)))
    assert sum(map(np.prod, drawn)) == C * (D + 1)
    assert torch.equal(before, torch.random.get_rng_state())


def test_as_many_are_in_a_step_as_were_asked_for(monkeypatch):
    seen = []
    real = SeededNoise.uniform

    def uniform(self, *shape):
        made = real(self, *shape)
        seen.append(float(np.mean(made < 0.3)))
        return made

    monkeypatch.setattr(SeededNoise, "uniform", uniform)
    DpSgd(sampling=0.3, steps=40, noise_seed=1).fit(FrozenLinear(), SHARD, np.random.default_rng(0))
    assert len(seen) == 40
    assert np.mean(seen) == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("recipe", RECIPES, ids=["linear", "relu", "gelu"])
def test_it_learns_where_noise_is_small(recipe):
    mechanism = DpSgd(steps=80, learning_rate=1.0, **QUIET)
    fitted, _ = mechanism.fit(recipe, SHARD, np.random.default_rng(0))
    assert np.mean(fitted.predict(FEATURES).argmax(1) == LABELS) > 0.85


def test_without_noise_and_samples_it_is_dp_gd():
    shape = {"steps": 6, "learning_rate": 0.005, "epsilon_target": 1e9}
    ours, _ = DpSgd(sampling=1.0, **shape).fit(FrozenLinear(), SHARD, np.random.default_rng(0))
    theirs, _ = DpGd(**shape).fit(FrozenLinear(), SHARD, np.random.default_rng(0))
    assert ours.tensors()["weights"] == pytest.approx(theirs.tensors()["weights"], abs=1e-4)


def test_an_empty_shard_and_an_empty_step_are_trained_on_too():
    nobody = Holding(FEATURES[:0], LABELS[:0], C, SHARED)
    for holding, sampling in ((nobody, 0.2), (SHARD, 0.001)):
        mechanism = DpSgd(sampling=sampling, steps=3)
        fitted, _ = mechanism.fit(FrozenLinear(), holding, np.random.default_rng(0))
        assert np.all(np.isfinite(fitted.predict(FEATURES)))


def test_a_consensus_is_where_it_sets_out_from():
    said = np.eye(C)[SHARED[:, :C].argmax(1)]
    settings = {"steps": 20, "learning_rate": 1.0}
    nobody = Holding(FEATURES[:0], LABELS[:0], C, SHARED, said)
    mechanism = DpSgd(**settings, **QUIET)
    fitted, _ = mechanism.fit(FrozenLinear(), nobody, np.random.default_rng(0))
    assert np.mean(fitted.predict(SHARED).argmax(1) == said.argmax(1)) > 0.8


def test_what_it_cannot_train_or_lacks_it_says(monkeypatch):
    with pytest.raises(ConfigError, match="frozen_linear"):
        DpSgd().check(Sklearn())
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'fedknot\[dp\]'"):
        DpSgd().check(FrozenLinear())


def test_a_run_says_what_its_ledgers_say(tmp_path):
    linear_teacher = "clients.teacher = 'frozen_linear'"
    settings = "kind = 'dp_sgd', epsilon_target = 4.0, steps = 5, sampling = 0.5"
    experiment = tiny_with(linear_teacher, f"clients.mechanism = {{ {settings} }}")
    folder = stocked(experiment, tmp_path / "run")
    federate(folder, silent)
    found = guarantee(folder, experiment)
    assert found["guarantee"] == "dp_sgd"
    assert 3.9 < found["epsilon"] <= 4.0
    seeded = tiny_with(linear_teacher, f"clients.mechanism = {{ {settings}, noise_seed = 1 }}")
    runs = []
    for name in ("one", "two"):
        made = stocked(seeded, tmp_path / name)
        federate(made, silent)
        runs.append(hashes(made))
    assert runs[0] == runs[1]
    assert guarantee(made, seeded)["guarantee"] == NOT_PRIVATE
