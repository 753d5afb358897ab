"""RW-KD against the derivative it stands for: differences, and autograd through the step."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from common.configure import find, kinds, load
from common.failures import ConfigError
from common.labels import LabelGeometry
from server.config import ServerConfig
from server.losses import DistillationLoss
from server.losses.kl import Kl
from server.losses.transport import Transport
from server.reweightings._alignment import alignments, followed, gradient, trainable
from server.reweightings.rw_kd import RwKd
from server.sharing import evenly, opinions, shared_out
from server.steering import LABEL, Course, Step
from server.students.transformer import Transformer
from tests.courses import GRADES, course, step_of

ALL_OF_V = {"meta_batch": 1000, "virtual_rate": 0.1}


def meta_loss(given: Course, step: Step, epsilon: Tensor, rate: float = 0.1) -> Tensor:
    """L_V after the virtual step, written down as in the source; differentiable in epsilon."""
    student = given.student.eval()
    at = {n: p.detach().clone().requires_grad_() for n, p in student.named_parameters()}
    log_q = functional_call(student, at, (given.features[step.rows],))
    inner = (epsilon * given.loss(log_q, step.probs, step.geometry)).sum() / len(step.rows)
    fall = torch.autograd.grad(inner, list(at.values()), create_graph=True)
    moved = {n: p - rate * g for (n, p), g in zip(at.items(), fall, strict=True)}
    judged = evenly(len(given.rows), 0.5)
    said = functional_call(student, moved, (given.features[given.rows[judged]],))
    return torch.nn.functional.nll_loss(said, given.labels[judged])


def slopes(settings: dict[str, Any], given: Course, step: Step) -> Tensor:
    steering: Any = RwKd(**ALL_OF_V, **settings).steer(given)
    return steering.slopes(step, step.weights)


@pytest.mark.parametrize("ahead", [False, True])
def test_slopes_are_those_through_the_virtual_step(ahead: bool) -> None:
    """Two oracles in double precision: central differences in epsilon, and double backward."""
    given = course((0, 2, 5), dtype=torch.float64)
    step = step_of(given, size=5)
    epsilon = (step.weights if ahead else torch.zeros_like(step.weights)).clone().requires_grad_()
    (exact,) = torch.autograd.grad(meta_loss(given, step, epsilon), epsilon)
    made = slopes({"ahead": ahead}, given, step)
    assert torch.allclose(made, -exact, rtol=1e-9, atol=1e-14)
    for i, j in np.ndindex(*epsilon.shape):
        away = torch.zeros_like(epsilon)
        away[i, j] = 1e-4
        higher, lower = (meta_loss(given, step, epsilon + s * away).item() for s in (1, -1))
        assert made[i, j].item() == pytest.approx(-(higher - lower) / 2e-4, rel=1e-4, abs=1e-10)


def test_a_student_of_one_number_by_hand() -> None:
    """Logits (theta x, 0), theta = 0: all that can be differentiated is, with a pencil.

    log q = (-log 2, -log 2). dq_0 / dtheta = x/4; the cross-entropy against p has slope
    x (1/2 - p_0). V is a text x = 1 with label 0: slope -1/2. A text x = 2 taught p_0 = 0.9 and
    p_0 = 0.1 has slopes -0.8 and +0.8. At eta = 0.1, B = 1: u = .04 and -.04, so the first
    teacher has all but the floor.
    """

    class OneNumber(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.theta = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return torch.log_softmax(torch.cat([self.theta * x, 0 * x], dim=1), dim=1)

    flat = LabelGeometry.discrete(["yes", "no"])
    probs = torch.tensor([[[0.5, 0.5], [0.9, 0.1]], [[0.5, 0.5], [0.1, 0.9]]])
    given = replace(
        course(geometry=flat),
        student=OneNumber(),
        features=torch.tensor([[1.0], [2.0]]),
        probs=probs,
        weights=torch.full((2, 2), 0.5),
        teachers=(0, 1),
        rows=torch.tensor([0]),
        labels=torch.tensor([0]),
    )
    rows = torch.tensor([1])
    log_q = given.student(given.features[rows]).detach()
    values = Kl()(log_q, probs[:, rows], flat)
    step = Step(1, rows, log_q, probs[:, rows], given.weights[:, rows], values, flat)
    assert slopes({}, given, step)[:, 0].tolist() == pytest.approx([0.04, -0.04])
    weights = RwKd(**ALL_OF_V, floor=0.01).steer(given).weigh(step)
    assert weights[:, 0].tolist() == pytest.approx([0.8, 0.2])


@pytest.mark.parametrize("kind", kinds(DistillationLoss))
def test_losses_are_followed_as_they_change(kind: str) -> None:
    """Every loss of the family, against differences in double precision along a random way."""
    loss = find(DistillationLoss, kind)()
    if not loss.exact_gradient:
        pytest.skip("its gradient is not its slope")
    loss.check(GRADES)
    rng = np.random.default_rng(3)
    log_q = torch.tensor(rng.normal(size=(4, 3))).log_softmax(dim=1)
    probs = torch.tensor(rng.dirichlet([1.0] * 3, size=(2, 4)))
    change = torch.tensor(rng.normal(size=(4, 3)))
    change -= (change * log_q.exp()).sum(dim=1, keepdim=True)  # q stays a distribution
    made = followed(loss, log_q.clone(), change, probs, GRADES)
    ahead, behind = (
        loss((log_q + s * 1e-5 * change).log_softmax(1), probs, GRADES) for s in (1, -1)
    )
    assert torch.allclose(made, (ahead - behind) / 2e-5, rtol=1e-3, atol=1e-5)


def test_a_transformer_is_followed_too() -> None:
    """Its attention has no forward mode as it comes; one text's gradient, the long way round."""
    student = Transformer(layers=1, width=8, heads=2, vocabulary=600, max_tokens=6).build(
        6, 3, np.random.default_rng(0)
    )
    rng = np.random.default_rng(1)
    ids = torch.tensor(rng.integers(5, 600, size=(3, 6)), dtype=torch.float32)
    probs = torch.tensor(rng.dirichlet([1.0] * 3, size=(2, 3)), dtype=torch.float32)
    at = trainable(student)
    direction = gradient(student, at, ids, lambda log_q: -log_q[:, 0].mean())
    made = alignments(student, direction, ids, probs, Kl(), GRADES)
    for i, j in np.ndindex(2, 3):

        def one(log_q: Tensor, i: int = i, j: int = j) -> Tensor:
            return Kl()(log_q, probs, GRADES)[i, j]

        own = gradient(student, at, ids, one)
        wanted = sum(float((own[name] * direction[name]).sum()) for name in at)
        assert made[i, j].item() == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_the_labels_it_is_judged_by_are_no_terms() -> None:
    given = course((0, 2, LABEL))
    step = step_of(given)
    weights = RwKd(meta_share=0.5).steer(given).weigh(step)
    judged = given.rows[evenly(len(given.rows), 0.5)]
    there = torch.isin(step.rows, judged)
    assert bool(there.any())
    assert bool((weights[2, there] == 0).all())
    others = torch.isin(step.rows, given.rows) & ~there
    assert bool((weights[2, others] > 0).all())


def test_the_label_against_all_opinions_leaves_the_opinions_their_proportions() -> None:
    given = course((0, 2, LABEL))
    step = step_of(given)
    settings: dict[str, Any] = {"terms": "label_teachers"}
    weights = RwKd(**ALL_OF_V, **settings, floor=1e-12).steer(given).weigh(step)
    assert torch.allclose(weights[0] / weights[1], step.weights[0] / step.weights[1], rtol=1e-4)
    unlabelled = ~torch.isin(step.rows, given.rows)
    assert torch.allclose(weights[:, unlabelled], step.weights[:, unlabelled])
    # The slope in the block's weight is what moving all of its parts together does.
    each = slopes({}, given, step)
    block = slopes(settings, given, step)
    share = step.weights[:2] / step.weights[:2].sum(0)
    assert torch.allclose(block[0], (share * each[:2]).sum(0), rtol=1e-4, atol=1e-9)
    assert torch.allclose(block[2], each[2])


def test_a_label_that_is_not_taught_cannot_be_held_against_opinions() -> None:
    weighed = {"reweighting": {"kind": "rw_kd", "terms": "label_teachers"}}
    with pytest.raises(ConfigError, match=r"write server\.label_weight = 0\.5"):
        load(ServerConfig, weighed)
    load(ServerConfig, weighed | {"label_weight": 0.5})
    assert not RwKd(terms="label_teachers").needs_opinions
    assert RwKd().needs_opinions


def test_momentum_keeps_part_of_the_last_shares() -> None:
    given = course((0, 2, 5))
    step = step_of(given, size=40)
    slow, fast = (
        RwKd(**ALL_OF_V, momentum=momentum).steer(given).weigh(step) for momentum in (0.75, 0.0)
    )
    assert torch.allclose(slow, 0.75 * step.weights + 0.25 * fast, atol=1e-6)
    again = RwKd(**ALL_OF_V, momentum=0.75).steer(given)
    again.weigh(step)
    assert torch.allclose(again.weigh(step), 0.75 * slow + 0.25 * fast, atol=1e-6)


def test_what_helps_is_believed() -> None:
    """One teacher says the truth, one the opposite: learning goes the first one's way."""
    given = course((0, 1), loss=Transport(), known=20)
    truth = torch.nn.functional.one_hot(given.labels, 3).float()
    given.probs[0, given.rows], given.probs[1, given.rows] = truth, truth.roll(1, dims=1)
    steering, step = RwKd(**ALL_OF_V).steer(given), step_of(given, size=40)
    told = steering.weigh(step)[:, given.rows].mean(dim=1)
    assert told[0] > told[1]


def test_sharing_out_by_hand() -> None:
    weights = torch.tensor([[0.2, 0.5], [0.3, 0.5], [0.5, 1.0]])
    scores = torch.tensor([[1.0, 0.0], [3.0, 0.0], [9.0, 9.0]])
    made = shared_out(scores, weights, opinions((4, 7, LABEL)))
    assert torch.allclose(made, torch.tensor([[0.125, 0.5], [0.375, 0.5], [0.5, 1.0]]))


@pytest.mark.parametrize("count", [1, 2, 3, 10, 200])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_parting_evenly_leaves_both_sides_something(count: int, share: float) -> None:
    mask = evenly(count, share)
    wanted = min(max(1, round(share * count)), max(1, count - 1))
    assert int(mask.sum()) == wanted
    assert mask[0]
