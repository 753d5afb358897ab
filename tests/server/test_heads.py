"""Students of pseudo-subclasses: heads, what they learn, what they answer, how they are kept."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp, softmax

from common.failures import ConfigError
from common.labels import LabelGeometry
from common.predictions import Ensemble
from common.subclasses import merged, refined
from server.aggregators.aligned import Aligned
from server.aggregators.keep_all import KeepAll
from server.aggregators.mean import Mean
from server.config import ServerConfig
from server.distil import Schedule, judged, predict
from server.geometries.learned import Learned
from server.heads import Headed, Heads, about_heads, build, rebuilt
from server.losses.comparative import Comparative
from server.losses.kl import Kl
from server.pretraining import Classroom, Pretraining
from server.reweightings.rw_kd import RwKd
from server.students import fingerprint
from server.students.frozen_linear import FrozenLinear
from server.students.frozen_mlp import FrozenMlp
from server.subclasses import WITHIN, check_used, fine
from server.teaching import Method
from server.weightings.uniform import Uniform

K, N, C, S, D = 3, 40, 2, 4, 6
GRADES = LabelGeometry.ordinal(("negative", "positive"))
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(N, D)).astype(np.float32)
PLAIN = ServerConfig(
    loss=Kl(),
    weighting=Uniform(),
    aggregator=KeepAll(),
    student=FrozenMlp(hidden=8, dropout=0.0),
    schedule=Schedule(steps=20, learning_rate=1e-2),
)


def told(clients=range(K), rng=0):
    split = np.random.default_rng(rng).dirichlet(np.ones(C * S), (len(clients), N))
    split = split.astype(np.float32)
    return Ensemble(np.array(clients), merged(split, S), subclasses=split)


class Told:
    """Opinions that can be looked at part by part."""

    def __init__(self, ensemble):
        self.ensemble, self.clients = ensemble, ensemble.clients

    def rows(self, part):
        return replace(
            self.ensemble,
            probs=self.ensemble.probs[:, part],
            subclasses=self.ensemble.subclasses[:, part],
        )


def taught(config=PLAIN, ensemble=None, subclasses=S, clients=K):
    method = Method(config, Classroom(ROWS), GRADES, clients, 7, subclasses)
    student, state = method.student(C), method.start()
    aim = method.aim(Told(ensemble or told()), GRADES, state)
    before = {name: t.clone() for name, t in student.state_dict().items()}
    made = method.teach(student, aim, GRADES, state, 1)
    return student, aim, made, before


def by_hand(student, rows, shares):
    """Softmax per head, sums over subclasses, mean over heads."""
    with torch.inference_mode():
        outputs = student.trunk[:-1](torch.from_numpy(rows)).double().numpy()
    heads = softmax(outputs.reshape(len(rows), K, C * S), axis=2).reshape(len(rows), K, C, S)
    return np.einsum("bkcs,k->bc", heads, np.array(shares) / np.sum(shares))


def test_the_answer_is_the_heads_mean_of_sums_over_subclasses():
    student = build(FrozenMlp(hidden=8), D, C, Heads(K, S), np.random.default_rng(1)).eval()
    np.testing.assert_allclose(predict(student, ROWS), by_hand(student, ROWS, [1, 1, 1]), atol=1e-6)
    student.shares.copy_(torch.tensor([1.0, 0.0, 3.0]))
    np.testing.assert_allclose(predict(student, ROWS), by_hand(student, ROWS, [1, 0, 3]), atol=1e-6)


def test_every_head_says_a_distribution_over_all_subclasses():
    student = build(FrozenLinear(), D, C, Heads(K, S), np.random.default_rng(1))
    said = student.said(torch.from_numpy(ROWS)).detach().numpy()
    assert said.shape == (N, K, C * S)
    np.testing.assert_allclose(logsumexp(said, axis=2), 0, atol=1e-5)


def test_with_keep_all_each_client_has_a_head_and_others_stay_as_they_were():
    student, aim, taught_, before = taught(ensemble=told(clients=[0, 2]))
    assert isinstance(student, Headed)
    assert aim.targets.probs.shape == (2, N, C * S)
    assert student.shares.tolist() == [1, 0, 1]
    after = student.state_dict()["trunk.output.bias"].view(K, C * S)
    moved = (after - before["trunk.output.bias"].view(K, C * S)).abs().amax(dim=1)
    assert moved[1] < 1e-2  # the decay of weights
    assert min(moved[0], moved[2]) > 3 * moved[1]
    assert taught_.lesson.losses[-1] < taught_.lesson.losses[0]
    assert taught_.lesson.geometry is GRADES
    np.testing.assert_allclose(predict(student, ROWS), by_hand(student, ROWS, [1, 0, 1]), atol=1e-6)


def test_a_head_learns_its_own_client():
    """Opposite teachers: each head follows its own, which one head could not."""
    one = np.zeros((2, N, C * S), np.float32)
    up = ROWS[:, 0] > 0
    one[0, up, 0] = one[0, ~up, S] = one[1, up, S] = one[1, ~up, 0] = 1
    ensemble = Ensemble(np.arange(2), merged(one, S), subclasses=one)
    longer = replace(PLAIN, schedule=Schedule(steps=200, learning_rate=3e-2))
    student, *_ = taught(longer, ensemble, clients=2)
    with torch.inference_mode():
        said = student.said(torch.from_numpy(ROWS)).exp().unflatten(2, (C, S)).sum(dim=3)
    np.testing.assert_allclose(said[up, 0, 0], 1, atol=0.3)
    np.testing.assert_allclose(said[up, 1, 0], 0, atol=0.3)


def test_a_head_counts_as_much_as_its_client():
    student = build(FrozenLinear(), D, C, Heads(K, S), np.random.default_rng(1))
    student.heard(np.array([0, 2]), np.array([[0.5, 1.0], [0.5, 0.0]]))
    assert student.shares.tolist() == [1.5, 0, 0.5]


def test_an_aggregator_without_subclasses_is_given_the_sums():
    plain = replace(PLAIN, aggregator=Mean())
    student, aim, *_ = taught(plain)
    assert not isinstance(student, Headed)
    assert aim.subclasses == 1
    assert aim.of_labels is aim.targets
    whole = replace(told(), subclasses=np.zeros((K, N, 0)))
    again, *_ = taught(plain, whole, subclasses=1)
    assert fingerprint(student) == fingerprint(again)


def test_aligned_makes_one_head():
    student, aim, *_ = taught(replace(PLAIN, aggregator=Aligned()))
    assert student.heads == Heads(1, S)
    assert aim.targets.probs.shape == (1, N, C * S)
    assert aim.of_labels.probs.shape == (1, N, C)
    np.testing.assert_allclose(aim.of_labels.probs[0], told().probs.mean(axis=0), atol=1e-6)


def test_same_description_same_bits():
    assert fingerprint(taught()[0]) == fingerprint(taught()[0])


@pytest.mark.parametrize("loss", [Kl(), Comparative()])
def test_every_head_is_judged_by_its_own_target(loss):
    log_q = torch.randn(K, 5, C * S).log_softmax(dim=2)
    p = torch.rand(K, 5, C * S).softmax(dim=2)
    cost = refined(GRADES, S)
    alone = [loss(log_q[k], p[k], cost) for k in range(K)]
    torch.testing.assert_close(judged(loss, log_q, p, cost), torch.stack(alone))
    torch.testing.assert_close(judged(loss, log_q[0], p, cost)[0], alone[0])


def test_subclasses_lie_half_of_the_smallest_cost_apart():
    assert fine(GRADES, 2).cost.tolist() == [
        [0, WITHIN, 1 + WITHIN, 1 + WITHIN],
        [WITHIN, 0, 1 + WITHIN, 1 + WITHIN],
        [1 + WITHIN, 1 + WITHIN, 0, WITHIN],
        [1 + WITHIN, 1 + WITHIN, WITHIN, 0],
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"aggregator": Mean()},
        {"geometry": Learned()},
        {"reweighting": RwKd()},
        {"label_weight": 0.2},
        {"pretraining": Pretraining()},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_knows_nothing_of_subclasses_is_refused(changes):
    with pytest.raises(ConfigError, match=rf"server\.{next(iter(changes))} .*subclasses"):
        check_used(replace(PLAIN, **changes))


@pytest.mark.parametrize("recipe", [FrozenMlp(hidden=3), FrozenLinear()])
def test_a_published_student_is_rebuilt(recipe):
    student = build(recipe, D, C, Heads(K, S), np.random.default_rng(1)).eval()
    student.shares.copy_(torch.tensor([0.1, 0.0, 1.3]))
    about = {"num_features": D, "labels": GRADES.names, **about_heads(student, GRADES.names)}
    assert len(about["outputs"]) == len(set(about["outputs"])) == K * C * S
    again = rebuilt(recipe, about, student.trunk.state_dict())
    assert fingerprint(again) == fingerprint(student)
    assert np.array_equal(predict(again, ROWS), predict(student, ROWS))


def test_permuted_subclasses_are_matched_exactly():
    rng = np.random.default_rng(2)
    truth = rng.dirichlet(np.full(3 * S, 0.3), size=200)
    orders = [np.concatenate([c * S + rng.permutation(S) for c in range(3)]) for _ in range(5)]
    opinions = np.stack([truth[:, order] for order in orders]).astype(np.float32)
    weights = rng.random((5, 200)) + 0.1
    weights[2] += 1  # the heaviest, in whose order the answer is
    cost = refined(LabelGeometry.ordinal("abc"), S)
    found = Aligned().combine(opinions, weights, cost)
    np.testing.assert_allclose(found.probs[0], opinions[2], atol=1e-7)
    assert found.weights.tolist() == [[1.0] * 200]


def test_matching_is_at_least_as_near_as_taking_them_in_order_and_keeps_labels():
    probs = told(rng=3).subclasses
    weights = np.random.default_rng(4).random((K, N))
    w = weights / weights.sum(axis=0)

    def apart(mixture, opinions):
        return (w[:, :, None] * (opinions - mixture) ** 2).sum()

    found = Aligned().combine(probs, weights, fine(GRADES, S)).probs[0]
    plain = np.einsum("kn,knc->nc", w, probs)
    np.testing.assert_allclose(merged(found, S), merged(plain, S), atol=1e-6)
    assert (found**2).sum() >= (plain**2).sum()  # the mean of matched opinions is less blurred
