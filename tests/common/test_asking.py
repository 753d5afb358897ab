"""The plan of rounds, against a cache kept with a dictionary, and by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.asking import Asking
from common.quantise import to_codes
from common.reasons import Reason, Refused
from common.records import HEADER, Flags, Layout, Record, decode, encode
from simulations.benches.canonical import fault, length
from tests.common.test_terms import TERMS

PLANS = st.builds(
    Asking,
    rows=st.integers(1, 40),
    seed=st.integers(0, 2**64 - 1),
    share=st.floats(0.01, 1.0),
    duration=st.integers(0, 6),
)


def request_lists(plan, rounds):
    """SCARLET's server: a dictionary of (round) by text, and a request for whatever is too old."""
    cache, made = {}, []
    for now in range(1, rounds + 1):
        draw = set(plan.drawn(now).tolist())
        wanted = {text for text in draw if text not in cache or now - cache[text] > plan.duration}
        cache.update(dict.fromkeys(wanted, now))
        made.append((sorted(wanted), dict(cache)))
    return made


@settings(max_examples=60, deadline=None)
@given(PLANS, st.integers(1, 25))
def test_it_is_what_a_cache_with_sets_asks_for(plan, rounds):
    for number, (wanted, cache) in enumerate(request_lists(plan, rounds), start=1):
        assert plan.asked(number).tolist() == wanted
        last = plan.last(number)
        assert {text: int(last[text]) for text in np.flatnonzero(last)} == cache


@settings(max_examples=30, deadline=None)
@given(PLANS, st.permutations(range(1, 13)))
def test_it_does_not_matter_in_which_order_it_is_worked_out(plan, order):
    """A client that was away, a server that goes on and an observer afterwards get the same."""
    expected = {number: replace(plan).asked(number).tolist() for number in order}
    assert {number: plan.asked(number).tolist() for number in order} == expected


def test_four_rounds_by_hand():
    plan = Asking(rows=6, seed=0, share=0.5, duration=1)
    drawn = [plan.drawn(number).tolist() for number in (1, 2, 3, 4)]
    assert drawn == [[2, 4, 5], [2, 3, 5], [2, 3, 5], [0, 3, 5]]
    # Round 2 knows 2 and 5 since round 1; in round 3 these are two rounds old, and 3 is one;
    # in round 4 that is too old, 5 is fresh, and nobody ever asked about 0.
    assert [plan.asked(number).tolist() for number in (1, 2, 3, 4)] == [
        [2, 4, 5],
        [3],
        [2, 5],
        [0, 3],
    ]
    assert plan.last(4).tolist() == [4, 0, 3, 4, 1, 3]
    assert plan.last(0).tolist() == [0] * 6


@given(PLANS, st.integers(1, 9))
def test_a_draw_is_a_part_of_that_size_and_always_the_same(plan, number):
    drawn = plan.drawn(number)
    assert len(drawn) == max(1, math.ceil(round(plan.share * plan.rows, 9)))
    assert sorted(set(drawn.tolist())) == drawn.tolist()
    assert 0 <= drawn[0] <= drawn[-1] < plan.rows
    assert np.array_equal(drawn, replace(plan).drawn(number))
    assert set(plan.asked(number).tolist()) <= set(drawn.tolist())


def test_draws_are_new_in_every_round_and_even():
    plan = Asking(rows=10, seed=5, share=0.3, duration=0)
    draws = [frozenset(plan.drawn(number).tolist()) for number in range(1, 2001)]
    counts = np.array([sum(text in drawn for drawn in draws) for text in range(10)])
    assert np.abs(counts / 2000 - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / 2000)
    assert len(set(draws)) == 120  # all sets of three of ten


@pytest.mark.parametrize("rounds", [1, 7])
def test_without_a_duration_all_that_is_drawn_is_asked(rounds):
    plan = Asking(rows=9, seed=1, share=1.0, duration=0)
    assert all(len(plan.asked(number)) == 9 for number in range(1, rounds + 1))
    kept = replace(plan, duration=3)
    assert [len(kept.asked(number)) for number in range(1, 10)] == [9, 0, 0, 0, 9, 0, 0, 0, 9]


def test_nothing_private_and_nothing_secret_decides():
    """Same texts, same plan; other texts, another one."""
    cached = replace(TERMS, cache={"share": 0.5, "duration": 2})
    same = replace(cached, run="00" * 16, site="11" * 16, num_clients=9, disclosed=())
    other = replace(cached, transfer_sha256="ee" * 32)
    rounds = range(1, 7)
    plans = [[t.asked(number).tolist() for number in rounds] for t in (cached, same, other)]
    assert plans[0] == plans[1] != plans[2]
    assert TERMS.asked(1) is None


def test_the_terms_know_the_one_length_of_each_round(tmp_path):
    cached = replace(TERMS, cache={"share": 0.5, "duration": 50}, bits_down=2)
    cached.save(tmp_path / "terms.json")
    assert type(cached).read(tmp_path / "terms.json") == cached
    sizes = [len(cached.asked(number)) for number in (1, 2, 3, 4)]
    assert sizes[0] == 5
    assert sizes[0] > sum(sizes[1:]) / 3
    for number, size in enumerate(sizes, start=1):
        # Codes of 4 bits, one more row for the bias, 4 bytes for the number of examples.
        expected = 56 + -(-size * 3 * 4 // 8) + 2 + 4
        assert cached.layout_of(number).length == cached.answer_bytes_of(number) == expected
        down = cached.layout_down_of(number + 1)
        assert (down.rows, down.length) == (size, 56 + -(-size * 3 * 2 // 8))
    assert TERMS.layout_of(2) == TERMS.layout
    assert TERMS.layout_down_of(2) is None


@pytest.mark.parametrize("flags", [Flags.none, Flags.bias | Flags.scalar | Flags.num_examples])
@pytest.mark.parametrize("bits", [1, 2, 8, 16])
def test_a_record_about_no_text_is_canonical_too(flags, bits):
    layout = Layout(0, 3, bits, flags, bytes(32))
    bias = to_codes(np.ones(3), bits) if flags else None
    said = Record(2, 1, np.zeros((0, 3), np.uint16), bias)
    if flags:
        said = replace(said, scalar=np.zeros(0, np.uint16), num_examples=7)
    data = encode(said, layout)
    assert len(data) == length(layout) == layout.length
    assert fault(data, layout, 2, 1) is None
    assert len(decode(data, layout, 2, 1).codes) == 0
    for wrong in (data + b"\0", data[:-1], data[: HEADER.size] + b"text", b""):
        if wrong != data:
            with pytest.raises(Refused) as refusal:
                decode(wrong, layout, 2, 1)
            assert refusal.value.reason in (Reason.wrong_length, Reason.too_large) or flags


def test_a_part_of_what_is_said_keeps_the_extras():
    said = Record(1, 2, np.arange(12).reshape(4, 3), np.arange(3), np.arange(4), 9)
    part = said.about(np.array([1, 3]))
    assert part.codes.tolist() == [[3, 4, 5], [9, 10, 11]]
    assert part.scalar.tolist() == [1, 3]
    assert part.bias.tolist() == [0, 1, 2]
    assert (part.round, part.client, part.num_examples) == (1, 2, 9)
