"""What the server says back, and whom it asks."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from common.configure import find, kinds, load
from common.quantise import to_probs
from common.records import SERVER, decode
from common.seeds import stream
from common.terms import Terms
from server.aggregators import Aggregator, Targets
from server.checkpoint import CONSENSUS
from server.cohorts import Cohort
from server.feedbacks import Feedback
from server.feedbacks.consensus import Consensus
from server.feedbacks.student import Student
from server.speaking import Speaker
from tests.worlds import stocked, tiny_with

K, N, C, D = 3, 11, 4, 5


def opinions():
    rng = stream(0, "opinions")
    probs = rng.dirichlet(np.ones(C), (K, N)).astype(np.float32)
    weights = rng.random((K, N)).astype(np.float32)
    return probs, weights / weights.sum(axis=0)


@pytest.fixture
def student():
    net = torch.nn.Sequential(torch.nn.Linear(D, C), torch.nn.LogSoftmax(dim=1))
    return net.eval()


FEATURES = stream(0, "features").normal(size=(N, D)).astype(np.float32)


@pytest.mark.parametrize("kind", kinds(Feedback))
def test_what_is_said_are_distributions(kind, student):
    said = load(Feedback, kind).speak(Targets(*opinions()), student, FEATURES)
    assert said.shape == (N, C)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)


def test_the_consensus_is_the_weighted_mean_of_the_targets(student):
    probs, weights = opinions()
    said = Consensus().speak(Targets(probs, weights), student, FEATURES)
    by_hand = [[sum(weights[k, n] * probs[k, n, c] for k in range(K)) for c in range(C)] for n in
               range(N)]  # fmt: skip
    np.testing.assert_allclose(said, by_hand, atol=1e-7)


def test_with_the_mean_of_logits_it_is_fedmds_and_with_a_sharpened_mean_ds_fls(student):
    probs, _ = opinions()
    even = np.ones((K, N))

    def said(aggregator):
        targets = load(Aggregator, aggregator).combine(probs, even, None)
        return Consensus().speak(targets, student, FEATURES)

    logits = np.log(np.maximum(probs.astype(np.float64), 1e-3)).mean(axis=0)
    np.testing.assert_allclose(said("geometric_mean"), softmax(logits, axis=1), atol=2e-3)
    era = softmax(probs.astype(np.float64).mean(axis=0) / 0.1, axis=1)
    np.testing.assert_allclose(said("sharpened_mean"), era, atol=1e-6)


def test_the_students_word_is_its_own(student):
    said = Student().speak(Targets(*opinions()), student, FEATURES)
    expected = student(torch.tensor(FEATURES)).exp().detach()
    np.testing.assert_allclose(said, expected, atol=1e-6)


@pytest.mark.parametrize(("more", "bits"), [((), 8), (("wire.bits_down = 2",), 2)])
def test_what_is_said_crosses_in_its_own_layout(tmp_path, student, more, bits):
    overrides = ("server.feedback = 'consensus'", "clients.refinement = 'digest_revisit'", *more)
    terms = Terms.read(stocked(tiny_with(*overrides), tmp_path / "run") / "terms.json")
    probs = stream(1, "said").dirichlet(np.ones(3), (1, terms.rows))
    speaker = Speaker(Consensus(), terms, FEATURES)
    assert speaker.consensus(1) is None
    assert speaker.parts == {}
    speaker.prepare(1, Targets(probs, np.ones((1, terms.rows))), student)
    made = speaker.consensus(2)
    assert (made.question.round, made.question.schema) == (2, 4)
    assert made.question.binding == terms.binding == terms.layout.binding
    assert len(made.payload) == 56 + -(-terms.rows * 3 * bits // 8)
    record = decode(made.payload, terms.layout_down, 2, SERVER)
    np.testing.assert_allclose(to_probs(record.codes, bits), probs[0], atol=1 / (2**bits - 1))
    again = Speaker(Consensus(), terms, FEATURES)
    again.restore(speaker.parts)
    assert again.consensus(2) == made
    assert list(speaker.parts) == [CONSENSUS]


def test_without_feedback_nothing_is_ever_said(tmp_path, student):
    terms = Terms.read(stocked(tiny_with(), tmp_path / "run") / "terms.json")
    assert terms.layout_down is None
    speaker = Speaker(None, terms, FEATURES)
    speaker.prepare(1, Targets(*opinions()), student)
    assert speaker.consensus(2) is None


def drawn(cohort, server_round, clients=10, fewest=1):
    return cohort.draw(server_round, clients, fewest, stream(7, "cohort", server_round))


@pytest.mark.parametrize("kind", kinds(Cohort))
@pytest.mark.parametrize("clients", [1, 2, 7, 100])
def test_a_cohort_is_a_part_of_the_clients_and_large_enough(kind, clients):
    fields = find(Cohort, kind).__dataclass_fields__
    shares = (0.01, 0.3, 1.0) if "share" in fields else (None,)
    for share in shares:
        cohort = load(Cohort, {"kind": kind} | ({} if share is None else {"share": share}))
        for fewest in (1, clients // 2 + 1, clients):
            for server_round in (1, 2, 9):
                made = drawn(cohort, server_round, clients, fewest)
                assert made <= set(range(clients))
                expected = clients if share is None else max(fewest, -(-share * clients // 1))
                assert len(made) == expected
                assert made == drawn(cohort, server_round, clients, fewest)


def test_a_random_share_is_drawn_anew_and_evenly():
    cohort = load(Cohort, {"kind": "random_share", "share": 0.3})
    rounds = [drawn(cohort, number) for number in range(1, 2001)]
    counts = np.array([sum(client in made for made in rounds) for client in range(10)])
    assert np.abs(counts / 2000 - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / 2000)
    assert len({frozenset(made) for made in rounds}) == 120  # all sets of three of ten


def test_in_turn_everybody_is_asked_before_anybody_again():
    cohort = load(Cohort, {"kind": "round_robin", "share": 0.3})
    asked = [sorted(drawn(cohort, number)) for number in range(1, 5)]
    assert asked == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 1, 9]]


def test_a_share_is_rounded_up_but_not_by_the_last_bit():
    assert len(drawn(load(Cohort, {"kind": "random_share", "share": 0.1}), 1, 30)) == 3
