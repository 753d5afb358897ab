import io
import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from common.labels import LabelGeometry
from common.quantise import to_codes, to_probs
from common.reasons import Reason
from common.records import Flags, Layout, Record, encode
from server.admission import Admission
from server.aggregators.mean import Mean
from server.answers import Answers
from server.weightings.knot import Knot

N, C = 6, 3
LAYOUT = Layout(N, C, 8, Flags.bias | Flags.num_examples, bytes(range(32)))


def record(client, **changes):
    rng = np.random.default_rng(client)
    codes = to_codes(rng.dirichlet(np.ones(C), size=N), 8)
    bias = to_codes(rng.dirichlet(np.ones(C)), 8)
    return replace(Record(1, client, codes, bias, num_examples=10 + client), **changes)


def message(client, layout=LAYOUT, **changes):
    return encode(record(client, **changes), layout)


def npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=array.dtype == object)
    return file.getvalue()


def body(numbers):
    """A good header, and numbers where the codes should be."""
    return message(3)[:56] + np.asarray(numbers).tobytes()


def fitting(numbers):
    """The same, cut or filled to the length that is asked for."""
    return body(numbers)[: LAYOUT.length].ljust(LAYOUT.length, b"\0")


def codes(rows):
    return np.array(rows, dtype=np.uint16)


PROBS = np.full((N, C), 1 / 3)
EVEN = [[85, 85, 85]]
ABUSES = {
    "nothing": (Reason.wrong_length, b""),
    "one byte": (Reason.wrong_length, b"\0"),
    "text": (Reason.wrong_length, b"a private text"),
    "cut": (Reason.wrong_length, message(3)[:-1]),
    "trailing byte": (Reason.too_large, message(3) + b"\0"),
    "trailing secret": (Reason.too_large, message(3) + b"secret" * 1000),
    "float32": (Reason.too_large, body(PROBS.astype(np.float32))),
    "float64": (Reason.too_large, body(PROBS)),
    "zeros": (Reason.wrong_field, bytes(LAYOUT.length)),
    "NaN": (Reason.wrong_sum, fitting(np.full((N, C), np.nan, np.float32))),
    "infinite": (Reason.wrong_sum, fitting(np.full((N, C), np.inf, np.float32))),
    "negative": (Reason.wrong_sum, fitting(np.full((N, C), -85, np.int8))),
    "sum of 2": (Reason.wrong_sum, message(3, codes=codes([[170, 170, 170]] * N))),
    "sum of 0": (Reason.wrong_sum, message(3, codes=codes([[0, 0, 0]] * N))),
    "one short": (Reason.wrong_sum, message(3, codes=codes([*EVEN * (N - 1), [85, 85, 84]]))),
    "sum over 256": (Reason.wrong_sum, message(3, codes=codes([[255, 255, 1]] * N))),
    "bad bias": (Reason.wrong_sum, message(3, bias=codes([85, 85, 86]))),
    "one row": (
        Reason.wrong_length,
        message(3, replace(LAYOUT, rows=1), codes=codes(EVEN)),
    ),
    "a row less": (
        Reason.wrong_length,
        message(3, replace(LAYOUT, rows=N - 1), codes=codes(EVEN * (N - 1))),
    ),
    "a class more": (
        Reason.too_large,
        message(
            3,
            replace(LAYOUT, classes=C + 1),
            codes=codes([[85, 85, 85, 0]] * N),
            bias=codes([255, 0, 0, 0]),
        ),
    ),
    "transposed": (
        Reason.wrong_length,
        message(
            3,
            replace(LAYOUT, rows=C, classes=N, flags=Flags.num_examples),
            codes=codes([[255, 0, 0, 0, 0, 0]] * C),
            bias=None,
        ),
    ),
    "16 bits": (Reason.too_large, message(3, replace(LAYOUT, bits=16))),
    "no bias": (
        Reason.wrong_length,
        message(3, replace(LAYOUT, flags=Flags.num_examples), bias=None),
    ),
    "undeclared scalar": (
        Reason.too_large,
        message(3, replace(LAYOUT, flags=Flags(7)), scalar=codes([1] * N)),
    ),
    "other flags": (Reason.not_canonical, message(3)[:7] + b"\x03" + message(3)[8:]),
    "forged size": (Reason.not_canonical, message(3)[:16] + b"\xff" * 6 + message(3)[22:]),
    "hidden bytes": (Reason.not_canonical, message(3)[:22] + b"hi" + message(3)[24:]),
    "array file": (Reason.too_large, npy(PROBS)),
    "pickle": (Reason.too_large, npy(np.array([[None] * C] * N, dtype=object))),
    "other schema": (Reason.wrong_field, message(3, replace(LAYOUT, schema=2))),
    "other transfer set": (Reason.wrong_binding, message(3, replace(LAYOUT, binding=bytes(32)))),
    "last round": (Reason.wrong_round, message(3, round=0)),
    "next round": (Reason.wrong_round, message(3, round=2)),
    "another's id": (Reason.wrong_client, message(2)),
    "nobody's id": (Reason.wrong_client, message(2**31)),
}


def aggregate(admission):
    """Everything a round computes from its answers before the student sees them."""
    ensemble = Answers(admission.admitted).rows(slice(None))
    weights = Knot().weigh(ensemble, {})
    targets = Mean().combine(ensemble.probs, weights, LabelGeometry.discrete(list("abcd")[:C]))
    arrays = (*vars(ensemble).values(), weights, targets.probs, targets.weights)
    there = [array for array in arrays if array is not None]
    return [(array.dtype, array.shape, array.tobytes()) for array in there]


def admitted(*messages):
    made = Admission(LAYOUT, 1, {0, 1, 2, 3})
    verdicts = [made.admit(client, payload) for client, payload in messages]
    return made, verdicts


GOOD = [(client, message(client)) for client in range(3)]


@pytest.mark.parametrize("abuse", ABUSES)
@pytest.mark.parametrize("place", [0, 3])
def test_the_aggregate_is_the_one_without_the_bad_client_bit_for_bit(abuse, place):
    reason, payload = ABUSES[abuse]
    messages = [*GOOD[:place], (3, payload), *GOOD[place:]]
    made, verdicts = admitted(*messages)
    assert verdicts.pop(place) is reason
    assert verdicts == [Reason.accepted] * 3
    assert set(made.admitted) == {0, 1, 2}
    assert aggregate(made) == aggregate(admitted(*GOOD)[0])


def test_a_good_fourth_client_would_have_counted():
    assert aggregate(admitted(*GOOD, (3, message(3)))[0]) != aggregate(admitted(*GOOD)[0])


def test_every_reason_that_a_payload_can_have_is_given():
    assert {reason for reason, _ in ABUSES.values()} == {
        Reason.wrong_field,
        Reason.wrong_length,
        Reason.not_canonical,
        Reason.wrong_sum,
        Reason.wrong_binding,
        Reason.wrong_round,
        Reason.wrong_client,
        Reason.too_large,
    }


def test_probabilities_are_those_of_the_codes():
    made, _ = admitted((1, message(1)))
    said = made.admitted[1].predictions()
    assert np.array_equal(said.probs, to_probs(record(1).codes, 8))
    assert np.array_equal(said.bias, to_probs(record(1).bias, 8))
    assert said.num_examples == 11
    assert said.probs.dtype == np.float32
    np.testing.assert_allclose(said.probs.sum(axis=1), 1, atol=1e-6)


def test_the_first_good_answer_wins():
    other = message(0, codes=codes(EVEN * N))
    made, verdicts = admitted(*GOOD, (0, GOOD[0][1]), (0, other), (0, b""))
    assert verdicts[3:] == [Reason.duplicate] * 3
    assert aggregate(made) == aggregate(admitted(*GOOD)[0])


def test_a_bad_answer_does_not_use_up_the_clients_turn():
    made, verdicts = admitted((0, b""), (0, ABUSES["sum of 2"][1]), *GOOD)
    assert verdicts == [Reason.wrong_length, Reason.wrong_client] + [Reason.accepted] * 3
    assert aggregate(made) == aggregate(admitted(*GOOD)[0])


def test_a_replay_of_the_last_round_is_refused():
    second = Admission(LAYOUT, 2, {0})
    assert second.admit(0, message(0)) is Reason.wrong_round
    assert second.admit(0, message(0, round=2)) is Reason.accepted


@pytest.mark.parametrize("client", [4, -1, 10**9])
def test_strangers_are_refused_whatever_they_say(client):
    made, verdicts = admitted((client, message(4)), (client, b""))
    assert verdicts == [Reason.wrong_client] * 2
    assert made.admitted == {}


def test_the_order_of_arrival_does_not_matter():
    messages = [*GOOD, (3, message(3))]
    made = [aggregate(admitted(*order)[0]) for order in itertools.permutations(messages)]
    assert len(made) == 24
    assert all(one == made[0] for one in made)


def test_huge_messages_cost_nothing():
    huge = bytes(50_000_000)
    tracemalloc.start()
    try:
        made, verdicts = admitted((3, huge), (3, ABUSES["forged size"][1]))
        assert verdicts == [Reason.too_large, Reason.not_canonical]
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert made.admitted == {}


@pytest.mark.parametrize("bits", [1, 2, 4, 16])
def test_every_width_is_admitted(bits):
    layout = replace(LAYOUT, bits=bits)
    rng = np.random.default_rng(0)
    parts = {"codes": to_codes(rng.random((N, C)), bits), "bias": to_codes(rng.random(C), bits)}
    made = Admission(layout, 1, {0})
    assert made.admit(0, message(0, layout, **parts)) is Reason.accepted
    assert np.array_equal(made.admitted[0].predictions().probs, to_probs(parts["codes"], bits))
