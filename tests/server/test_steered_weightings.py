"""GOVERN, the gate and the policy: by hand, by enumeration, and on teachers that are known."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from common.predictions import UNKNOWN, Ensemble
from server.config import ServerConfig
from server.distil import Schedule, predict
from server.losses.kl import Kl
from server.memory import pack_state, restore_state
from server.pretraining import Classroom, Pretraining
from server.steering import LABEL
from server.students import fingerprint
from server.students.frozen_mlp import FrozenMlp
from server.teaching import Method
from server.weightings._instances import instances
from server.weightings._policy import Baseline, Policy, score
from server.weightings._rewards import selected_gain
from server.weightings._scale import standardised
from server.weightings._views import Views
from server.weightings.gate import Gate, mixture_loss
from server.weightings.govern import Govern, winners
from server.weightings.reinforced import Reinforced
from tests.courses import GRADES, course, step_of

REWARDS = ["selection", "label", "label_and_teacher", "development"]


def test_govern_by_hand() -> None:
    # The student says (.5, .3, .2). Signs of p - q: teacher 0 (+, -, -), teacher 1 (+, -, +),
    # teacher 2 (-, +, +). Majority (+, -, +). Agreements: 1 + 1 - 1, 3, -1 - 1 + 1.
    probs = torch.tensor([[[0.8, 0.1, 0.1]], [[0.6, 0.1, 0.3]], [[0.1, 0.5, 0.4]]])
    q = torch.tensor([[0.5, 0.3, 0.2]])
    assert winners(probs, q)[:, 0].tolist() == [True, True, False]


def test_govern_against_loops() -> None:
    rng = np.random.default_rng(0)
    probs, q = rng.dirichlet([1.0] * 4, size=(5, 30)), rng.dirichlet([1.0] * 4, size=30)
    made = winners(torch.tensor(probs), torch.tensor(q)).numpy()
    for i in range(30):
        votes = [[1 if probs[k, i, c] > q[i, c] else -1 for c in range(4)] for k in range(5)]
        tally = [sum(votes[k][c] for k in range(5)) for c in range(4)]
        for k in range(5):
            agreed = sum(1 for c in range(4) if votes[k][c] * tally[c] > 0)
            against = sum(1 for c in range(4) if votes[k][c] * tally[c] < 0)
            assert made[k, i] == (agreed > against)


def test_govern_with_two_labels_is_the_majority_of_scores_above_or_below() -> None:
    rng = np.random.default_rng(1)
    above, here = rng.random((5, 40)), rng.random(40)
    probs, q = np.stack([above, 1 - above], axis=2), np.stack([here, 1 - here], axis=1)
    up = above > here
    wanted = np.where(up.sum(axis=0) > 2, up, ~up)
    assert np.array_equal(winners(torch.tensor(probs), torch.tensor(q)).numpy(), wanted)


def test_govern_shares_equally_and_keeps_all_where_the_vote_is_level() -> None:
    given = course((0, 1, LABEL))
    given.probs[0, 0] = torch.tensor([0.9, 0.05, 0.05])
    given.probs[1, 0] = torch.tensor([0.0, 0.5, 0.5])  # the student is between them
    step = step_of(given)
    steering = Govern().steer(given, {})
    weights = steering.weigh(replace(step, log_q=torch.full((12, 3), 1 / 3).log()))
    assert torch.equal(weights[:, 0], step.weights[:, 0])


def gate_problem(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What is seen of 60 texts, and two teachers of whom each knows one side."""
    seen = rng.normal(size=(60, 3))
    seen[:, -1] = 1
    said = np.stack([1 / (1 + np.exp(-3 * seen[:, 0])), 1 / (1 + np.exp(3 * seen[:, 0]))])
    return torch.tensor(seen), torch.tensor(said.clip(1e-3))


def test_one_step_of_the_gate_by_hand() -> None:
    """One known label, to which the teachers give .8 and .2.

    Equal shares make .5 of it, so the posterior of a teacher is what it gave, and the slope in
    its logit is .5 less that: -.3 and .3. Adam's first step has the rate's length and their signs.
    """
    given = course((0, 1), known=1, texts=8)
    given.probs[:, given.rows, given.labels] = torch.tensor([[0.8], [0.2]])
    given.probs[:, given.rows, (given.labels + 1) % 3] = torch.tensor([[0.2], [0.8]])
    step = step_of(given, size=8)
    weights = Gate(inputs="nothing", steps=1, learning_rate=0.05).steer(given, {}).weigh(step)
    share = 1 / (1 + np.exp(-0.1))  # of logits .05 and -.05
    wanted = torch.tensor([[share], [1 - share]]) * step.weights.sum(dim=0)
    assert torch.allclose(weights, wanted.float(), atol=1e-6)
    said = torch.tensor([[0.8], [0.2]])
    before, after = torch.zeros(1, 2), torch.tensor([[0.05, -0.05]])
    assert mixture_loss(before, torch.ones(1, 1), said).item() == pytest.approx(-np.log(0.5))
    assert mixture_loss(after, torch.ones(1, 1), said).item() == pytest.approx(-np.log(0.5149875))


def test_one_weight_per_teacher_by_hand() -> None:
    """Four known labels: the first teacher gives three of them .8, the second the fourth.

    The slope of log(.2 + .6 g) three times and log(.8 - .6 g) once is 0 where
    3 (.8 - .6 g) = .2 + .6 g, at g = 11/12. Every label twice, for one half is held out.
    """
    said = torch.tensor([[0.8, 0.8, 0.8, 0.2], [0.2, 0.2, 0.2, 0.8]]).repeat_interleave(2, dim=1)
    gate = Gate(inputs="nothing", steps=600, holdout=0.5)._fitted(torch.ones(8, 1), said)
    assert torch.softmax(gate[0], dim=0).tolist() == pytest.approx([11 / 12, 1 / 12], abs=1e-3)


def test_the_gate_minimises_the_penalised_loss_as_scipy_does() -> None:
    """Every text twice, so that the half that is held out is the half that is learned from."""
    seen, said = gate_problem(np.random.default_rng(0))

    def objective(flat: np.ndarray) -> float:
        logits = seen.numpy() @ flat.reshape(3, 2)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        loss = -np.log((shares.T * said.numpy()).sum(axis=0)).mean()
        return float(loss + 0.05 * (flat[:4] ** 2).sum())

    best = minimize(objective, np.zeros(6)).fun
    twice = seen.repeat_interleave(2, dim=0).float(), said.repeat_interleave(2, dim=1).float()
    gate = Gate(steps=300, decay=0.1, holdout=0.5)._fitted(*twice)
    assert objective(np.zeros(6)) == pytest.approx(mixture_loss(gate * 0, *twice).item(), abs=1e-6)
    assert objective(gate.numpy().astype(float).ravel()) == pytest.approx(
        best, abs=1e-2
    )  # chosen unpenalised


def test_the_gate_opens_to_who_knows_this_kind_of_text() -> None:
    given = course((0, 1), known=20, texts=40)
    side = given.features[:, 0] > 0
    truth = torch.nn.functional.one_hot(given.labels, 3).float()
    wrong = truth.roll(1, dims=1)
    here = side[given.rows][:, None]
    given.probs[0, given.rows] = torch.where(here, truth, wrong)
    given.probs[1, given.rows] = torch.where(here, wrong, truth)
    step = step_of(given, size=40)
    weights = Gate(decay=0.001).steer(given, {}).weigh(step)
    assert weights[0, side].mean() > 0.6 * step.weights[:, side].sum(0).mean()
    assert weights[1, ~side].mean() > 0.6 * step.weights[:, ~side].sum(0).mean()
    # One weight per teacher cannot tell the sides.
    flat = Gate(inputs="nothing").steer(given, {}).weigh(step) / step.weights.sum(0)
    assert torch.allclose(flat, flat[:, :1].expand_as(flat), atol=1e-6)


def test_a_gate_that_learns_nothing_of_use_stays_shut() -> None:
    """Labels at random: the held-out half is served best by equal weights, or nearly."""
    given = course((0, 1, 2, 3), known=20, seed=3)
    shares = Gate(inputs="predictions").steer(given, {}).weigh(step_of(given, size=40))
    assert shares.max() < 0.9


def test_standardised_columns_have_no_mean_and_rows_length_one() -> None:
    rng = np.random.default_rng(0)
    made = standardised(torch.tensor(np.column_stack([rng.normal(5, 3, (50, 4)), np.full(50, 2)])))
    assert torch.allclose(made.mean(dim=0), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    assert made.square().sum(dim=1).mean().item() == pytest.approx(0.8)
    assert bool((made[:, 4] == 0).all())


def expected_reward(logits: Tensor, rewards: dict[tuple[int, ...], float]) -> Tensor:
    chances = torch.sigmoid(logits)
    parts = []
    for actions, reward in rewards.items():
        taken = torch.tensor(actions, dtype=logits.dtype)
        parts.append(reward * (chances**taken * (1 - chances) ** (1 - taken)).prod())
    return torch.stack(parts).sum()


def test_the_score_function_is_unbiased_for_the_slope_of_the_expected_reward() -> None:
    """All 2^K choices for one text: autograd of the expectation, and the mean of the scores."""
    rng = np.random.default_rng(0)
    logits = torch.tensor(rng.normal(size=3), requires_grad=True)
    said = torch.tensor(rng.random((3, 1)))
    choices = list(product((0, 1), repeat=3))
    rewards = {
        a: float(selected_gain(torch.tensor(a, dtype=torch.float64)[:, None], said))
        for a in choices
    }
    (exact,) = torch.autograd.grad(expected_reward(logits, rewards), logits)
    chances = torch.sigmoid(logits.detach())[:, None]
    mean = torch.zeros(3, 1, dtype=torch.float64)
    for actions, reward in rewards.items():
        taken = torch.tensor(actions, dtype=torch.float64)[:, None]
        likely = (chances**taken * (1 - chances) ** (1 - taken)).prod()
        mean += likely * score(taken, chances, torch.tensor([reward - 0.7]))  # any baseline
    assert torch.allclose(mean[:, 0], exact, atol=1e-12)
    assert rewards[0, 0, 0] == 0.0


def test_a_step_of_the_policy_is_the_gradient_in_its_parameters() -> None:
    """Autograd of the surrogate, mean over texts, plus the entropy bonus; absent rows stay."""
    rng = np.random.default_rng(1)
    views, teachers = torch.tensor(rng.normal(size=(2, 5, 4))), torch.tensor([0, 3])
    shared, own = torch.tensor(rng.normal(size=4)), torch.tensor(rng.normal(size=(5, 4)))
    actions, gains = torch.tensor(rng.integers(0, 2, (2, 5))).double(), torch.tensor(rng.random(5))
    a, A = shared.clone().requires_grad_(), own.clone().requires_grad_()
    chances = torch.sigmoid(torch.einsum("kbf,kf->kb", views, a + A[teachers]))
    likely = actions * chances.log() + (1 - actions) * (1 - chances).log()
    entropy = torch.special.entr(chances) + torch.special.entr(1 - chances)
    (gains * likely + 0.3 * entropy).sum().div(5).backward()
    policy = Policy(shared.clone(), own.clone())
    assert torch.allclose(policy.chances(views, teachers), chances)
    policy.climb(views, teachers, score(actions, chances.detach(), gains), 0.3)
    assert a.grad is not None
    assert A.grad is not None
    assert torch.allclose(policy.shared - shared, a.grad)
    assert torch.allclose(policy.own - own, A.grad)
    assert bool((A.grad[[1, 2, 4]] == 0).all())


def test_rewards_become_advantages_by_what_was_usual() -> None:
    # The first sets the mean: no advantage. Then seen = 1, so half of the old stays:
    # away = 2, variance (0 + 4) / 2, mean 2; then away = 2 - 2 = 0, variance 2 * 2/3.
    usual = Baseline(0.0, 0.0, 0, 0.9)
    assert float(usual.advantages(torch.tensor(1.0))) == 0.0
    assert float(usual.advantages(torch.tensor(3.0))) == pytest.approx(2 / 2**0.5)
    assert usual.mean == 2.0
    assert float(usual.advantages(torch.tensor(2.0))) == 0.0
    assert usual.variance == pytest.approx(4 / 3)


def test_the_gain_of_a_selection_by_hand() -> None:
    said = torch.tensor([[0.8, 0.8, 0.8], [0.2, 0.2, 0.2]])
    actions = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert selected_gain(actions, said).tolist() == pytest.approx([np.log(0.8 / 0.5), 0, 0])


def test_what_the_policy_sees_by_hand() -> None:
    """One teacher sure of the first of three grades, one of the last; grades 0, 1, 2 apart."""
    given = course((0, 4))
    given.probs[0, 7], given.probs[1, 7] = torch.eye(3)[0], torch.eye(3)[2]
    rows, log_q = torch.tensor([7]), torch.tensor([[0.5, 0.3, 0.2]]).log()
    views = Views(given, instances(given, "features"))
    made = views(rows, log_q, torch.tensor([[0.5], [2.0]]))
    assert made.shape == (2, 1, views.width) == (2, 1, 1 + 1 + 1 + 3 + 1 + 3 + 6)
    # 1, entropy, distance to (1/2, 0, 1/2) over 2, p, tanh of the loss, q.
    first = [1, 0, 0.5, 1, 0, 0, np.tanh(0.5), 0.5, 0.3, 0.2]
    assert made[0, 0, :10].tolist() == pytest.approx(first, abs=1e-6)
    assert torch.allclose(made[1, 0, 10:], standardised(given.features)[7])
    assert Views(given, instances(given, "none")).width == 10


K, N, D, C = 3, 300, 6, 3
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(N, D)).astype(np.float32)
TRUTH = FEATURES[:, :C].argmax(axis=1)
LABELS = np.where(np.arange(N) < 100, TRUTH, UNKNOWN)
GOOD = np.eye(C)[TRUTH] * 0.8 + 0.2 / C
BAD = np.roll(GOOD, 1, axis=1)
SIDE = (FEATURES[:, 3] > 0)[:, None]
PROBS = np.stack([np.where(SIDE, GOOD, BAD), np.where(SIDE, BAD, GOOD), BAD]).astype(np.float32)
ENSEMBLE = Ensemble(np.array([0, 2, 4]), PROBS)
ROOM = Classroom(FEATURES, LABELS)


def method(weighting: Any, **more: Any) -> Method:
    config = ServerConfig(
        loss=Kl(),
        weighting=weighting,
        student=FrozenMlp(hidden=16),
        schedule=Schedule(steps=150, batch_size=64, learning_rate=1e-2),
        **more,
    )
    return Method(config, ROOM, GRADES, 5, seed=1)


def one_round(teacher: Method, student, state, number: int, ensemble: Ensemble = ENSEMBLE):
    return teacher.teach(student, teacher.aim(ensemble, GRADES, state), GRADES, state, number)


def test_the_policy_finds_who_knows_which_texts() -> None:
    """Two experts for a side each and one who is always wrong: the student learns the truth."""
    teacher = method(Reinforced(rate=3.0, every=1))
    student = teacher.student(C)
    one_round(teacher, student, teacher.start(), 1)
    plain = method(Govern())
    other = plain.student(C)
    one_round(plain, other, plain.start(), 1)
    right = [np.mean(predict(s, FEATURES).argmax(axis=1) == TRUTH) for s in (student, other)]
    assert right[0] > right[1] + 0.2


@pytest.mark.parametrize("reward", REWARDS)
def test_a_run_that_is_killed_between_rounds_ends_the_same(reward: Any) -> None:
    """The second round from the bytes of the first, with a client gone and another come."""
    weighting = Reinforced(reward=reward, every=3, warmup=20)
    others = replace(ENSEMBLE, clients=np.array([1, 2, 4]))
    ends = []
    for through_bytes in (False, True):
        teacher = method(weighting)
        student = teacher.student(C)
        state = one_round(teacher, student, teacher.start(), 1).state
        assert np.any(state["own"][[0, 2, 4]] != 0, axis=1).all()
        assert np.all(state["own"][[1, 3]] == 0)
        if through_bytes:
            teacher, state = method(weighting), restore_state(pack_state(state))
        absent = state["own"][0].copy()
        state = one_round(teacher, student, state, 2, others).state
        assert np.array_equal(state["own"][0], absent)
        ends.append((fingerprint(student), pack_state(state)))
    assert ends[0] == ends[1]


def test_during_the_warm_up_all_teach() -> None:
    given = course()
    weighting = Reinforced(warmup=2, reward="label")
    steering = weighting.steer(given, weighting.start(6))
    for number in (1, 2, 3):
        step = step_of(given, number)
        same = torch.equal(steering.weigh(step), step.weights)
        assert same == (number < 3)
        steering.learn(step)
    assert steering.state()["steps"] == [3]
    later = weighting.steer(given, steering.state())
    assert not torch.equal(later.weigh(step_of(given)), step_of(given).weights)


def test_the_policy_has_a_place_for_a_teacher_of_the_servers_own() -> None:
    teacher = method(Reinforced(), pretraining=Pretraining(schedule=Schedule(steps=5)))
    made = one_round(teacher, teacher.student(C), teacher.start(), 1)
    assert made.state["own"].shape[0] == 6
    assert bool(np.any(made.state["own"][5] != 0))


@pytest.mark.parametrize("taught_by", ["sample", "chance"])
def test_a_choice_is_of_some_equally_or_of_all_by_chance(taught_by: Any) -> None:
    given = course((0, 2, 5))
    steering = Reinforced(taught_by=taught_by).steer(given, Reinforced().start(6))
    weights = steering.weigh(step_of(given, size=40))
    shares = weights / weights.sum(dim=0)
    if taught_by == "chance":
        assert torch.allclose(shares, torch.full_like(shares, 1 / 3))
    else:
        taken = shares > 0
        alone = taken.sum(dim=0) == 1
        assert bool(alone.any())
        assert torch.allclose(shares[:, alone].amax(dim=0), torch.ones(int(alone.sum())))
