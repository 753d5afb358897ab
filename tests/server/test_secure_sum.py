from dataclasses import replace

import numpy as np
import pytest

from clients.masking import mask, public_key
from common.confidence import RULES, claims
from common.configure import load
from common.fixed_point import to_words
from common.masked import MaskedLayout, encode_masked
from common.predictions import Predictions
from common.reasons import Reason, Refused
from common.rosters import Roster
from common.secure_terms import SecureTerms
from server.aggregators import Aggregator
from server.secure_sum import SecureSum
from server.summing import summed_up
from tests.common.test_terms import TERMS as PLAIN

TERMS = replace(
    PLAIN, k_min=3, num_clients=8, disclosed=(), secure_sum={"rule": "uniform", "crowd": 2}
)
SHAPE = (TERMS.rows, len(TERMS.labels))


def secret(client, attempt=1):
    return bytes([client + 1, attempt]) * 16


def gate(clients=range(6), rosters=(), server_round=1):
    return SecureSum(TERMS, server_round, clients, rosters)


def name(made, clients):
    for client in clients:
        verdict = made.admit_key(client, public_key(secret(client, made.attempt)))
        assert verdict is Reason.accepted


def words_of(client, parties=6, terms=TERMS):
    probs = np.random.default_rng(client).dirichlet(np.ones(3), TERMS.rows).astype(np.float32)
    return terms.secure.words(Predictions(probs), parties)


def sent(roster, client, words=None):
    layout = MaskedLayout(*SHAPE, roster.context, roster.round)
    own = words_of(client) if words is None else words
    return encode_masked(mask(own, secret(client, roster.attempt), client, roster), layout, client)


def test_the_sum_is_exact():
    made = gate()
    name(made, range(6))
    roster = made.close()
    assert roster.clients == set(range(6))
    for client in (3, 1, 0, 5, 2):
        assert made.admit(client, sent(roster, client)) is Reason.accepted
    assert made.missing == {4}
    assert made.admit(4, sent(roster, 4)) is Reason.accepted
    exact = sum(words_of(client).astype(np.int64) for client in range(6))
    assert np.array_equal(made.total(), exact)


def test_who_is_not_asked_is_not_heard():
    made = gate()
    assert made.admit_key(6, bytes(32)) is Reason.wrong_client
    assert made.admit(0, b"") is Reason.wrong_client
    name(made, range(5))
    roster = made.close()
    assert made.admit_key(5, bytes(32)) is Reason.wrong_client
    assert made.admit(5, sent(roster, 4)) is Reason.wrong_client


def test_keys_are_judged():
    made = gate()
    key = public_key(secret(0))
    assert made.admit_key(0, key + b"0") is Reason.wrong_length
    assert made.admit_key(0, key) is Reason.accepted
    assert made.admit_key(0, bytes(32)) is Reason.duplicate
    assert made.admit_key(1, key) is Reason.duplicate


LOW = {
    "zero": bytes(32),
    "one": b"\x01" + bytes(31),
    "order eight": bytes.fromhex(
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
    ),
    "minus one": (2**255 - 20).to_bytes(32, "little"),
    "zero, not reduced": (2**255 - 19).to_bytes(32, "little"),
    "one, not reduced": (2**255 - 18).to_bytes(32, "little"),
    "zero, high bit": bytes(31) + b"\x80",
}
"""Points of small order, of https://cr.yp.to/ecdh.html#validate and of how they may be written."""


@pytest.mark.parametrize("key", LOW.values(), ids=LOW)
def test_a_key_that_fails_every_member_gets_on_no_list(key):
    made = gate()
    assert made.admit_key(0, key) is Reason.wrong_field
    name(made, range(1, 6))
    roster = made.close()
    assert roster.clients == set(range(1, 6))
    assert made.admit(1, sent(roster, 1)) is Reason.accepted
    with pytest.raises(ValueError, match="shared key"):
        mask(words_of(1), secret(1), 1, Roster(1, 1, bytes(32), ((0, key), *roster.members)))


def test_records_are_judged():
    made = gate()
    name(made, range(6))
    roster = made.close()
    good = sent(roster, 0)
    assert made.admit(0, good + b"0") is Reason.too_large
    assert made.admit(1, good) is Reason.wrong_client
    other = Roster(1, 1, bytes(32), roster.members)
    assert made.admit(0, sent(other, 0)) is Reason.wrong_binding
    assert made.admit(0, good) is Reason.accepted
    assert made.admit(0, good) is Reason.duplicate
    assert made.admitted.keys() == {0}


def test_too_few_keys_make_no_list():
    made = gate()
    name(made, range(2))
    assert made.close() is None
    assert not made.again()


def test_a_lost_party_takes_another_with_it():
    made = gate()
    name(made, range(6))
    roster = made.close()
    for client in (0, 1, 2, 4, 5):
        made.admit(client, sent(roster, client))
    assert made.missing == {3}
    assert made.again()
    assert made.expected == {0, 1, 2, 4, 5}
    assert made.admitted == {}
    name(made, made.expected)
    second = made.close()
    assert second.clients == {0, 1, 2, 4}
    assert (second.attempt, made.spared) == (2, {5})
    assert not set(roster.keys.values()) & set(second.keys.values())
    assert not made.again()


def test_nobody_who_comes_back_late_can_be_unmasked():
    """Client 3 sends its words of the first list after the second sum: two unknowns remain."""
    made = gate()
    name(made, range(6))
    first = made.close()
    kept = {client: sent(first, client) for client in range(6)}
    for client in (0, 1, 2, 4, 5):
        made.admit(client, kept[client])
    made.again()
    name(made, made.expected)
    second = made.close()
    assert made.admit(3, kept[3]) is Reason.wrong_client
    assert len(first.clients - second.clients) == 2


def test_lists_of_earlier_rounds_and_processes_count():
    made = gate()
    name(made, range(6))
    first = made.close()
    later = gate(rosters=[first], server_round=2)
    name(later, range(5))
    assert later.close().clients == set(range(4))
    again = gate(rosters=[first])
    name(again, range(6))
    assert again.close() == first
    burned = gate(rosters=[first])
    name(burned, range(4))
    assert burned.close() is None
    assert burned.again()
    name(burned, range(4))
    assert burned.close().clients == set(range(4))


@pytest.mark.parametrize(
    "garbage",
    [
        lambda words: np.full_like(words, 12345),
        lambda words: words + np.uint32(1),
        lambda words: np.zeros_like(words) - np.uint32(5),
        lambda words: np.random.default_rng(0).integers(0, 2**32, words.shape, np.uint32),
    ],
    ids=["no distribution", "one too many", "negative", "noise"],
)
def test_what_cannot_be_a_sum_is_none(garbage):
    made = gate()
    name(made, range(6))
    roster = made.close()
    for client in range(5):
        made.admit(client, sent(roster, client))
    made.admit(5, sent(roster, 5, garbage(words_of(5))))
    with pytest.raises(Refused) as refusal:
        made.total()
    assert refusal.value.reason is Reason.wrong_sum


def test_texts_of_which_few_said_something_have_no_weight():
    total = np.array([[8, 4, 4, 16, 2], [8, 4, 4, 16, 1], [0, 0, 0, 0, 0]], dtype=np.uint32)
    aim = summed_up(total, TERMS)
    assert aim.weights.tolist() == [[1, 0, 0]]
    assert aim.targets.weights.tolist() == [[1, 0, 0]]
    assert np.allclose(aim.targets.probs, [[[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [1 / 3] * 3]])
    assert aim.teachers.tolist() == [TERMS.num_clients]


def drawn(parties, floor=0.0):
    rng = np.random.default_rng(5)
    probs = rng.dirichlet(np.full(3, 0.4), (parties, TERMS.rows)) * (1 - 3 * floor) + floor
    return probs.astype(np.float32), rng.dirichlet(np.ones(3), parties).astype(np.float32)


@pytest.mark.parametrize("kind", ["mean", "geometric_mean"])
@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_sum_is_the_aggregator_with_the_same_weights(rule, kind):
    """Up to 2 K / (2^20 sum of weights), and for logarithms that times the logarithm of the floor.

    Below its floor the geometric mean looks at what others said, which a client cannot; so none
    is here.
    """
    parties, floor = 9, None if kind == "mean" else 1e-3
    probs, bias = drawn(parties, floor or 0.0)
    terms = replace(TERMS, secure_sum={"rule": rule, "crowd": 2, "floor": floor})
    total = np.zeros((TERMS.rows, 5), dtype=np.uint32)
    weights = np.zeros((parties, TERMS.rows))
    for k in range(parties):
        said = Predictions(probs[k], bias[k], 100 * k)
        total += terms.secure.words(said, parties)
        weights[k] = claims(rule, probs[k], bias[k], 100 * k)
    assert terms.secure.plausible(total, parties)
    made = summed_up(total, terms).targets
    aggregator = load(Aggregator, {"kind": kind}, "aggregator")
    expected = aggregator.combine(probs, weights, TERMS.geometry)
    bound = 2 * parties / (2**20 * weights.sum(axis=0)) * (1 if floor is None else -np.log(floor))
    away = np.abs(made.probs[0] - expected.probs[0]).max(axis=1)
    assert (away <= bound + 1e-6).all()


def test_logarithms_are_in_their_range():
    secure = SecureTerms("uniform", 2, 1e-3)
    values = secure.values(np.array([[1.0, 0.0, 1e-3], [0.5, 0.25, 0.25]]))
    assert values[0].tolist() == [0, 1, 1]
    assert values[1, 0] == pytest.approx(np.log(0.5) / np.log(1e-3))
    assert to_words(values, np.ones(2), 2, whole=False)[0, :3].tolist() == [0, 2**20, 2**20]
