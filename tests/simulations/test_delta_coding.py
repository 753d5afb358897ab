"""What a coder would have sent, against a coder of exact fractions, and in whole runs."""

import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.quantise import packed_length, to_codes
from common.records import HEADER, Flags, Layout, decode
from common.seeds import stream
from common.terms import Terms
from simulations.code_lengths import adaptive_bits, whole_bytes
from simulations.delta_coding import Sizes, coded, sizes_of
from simulations.events import silent
from simulations.inspection import inspect, table
from simulations.loop import federate
from simulations.reporting.coded import coded_rows
from simulations.reporting.report import build_report
from tests.simulations.run_folders import skeleton
from tests.worlds import stocked, tiny_with

TALK = (
    "num_rounds = 3",
    "server.feedback = 'consensus'",
    "clients.refinement = { kind = 'digest_revisit' }",
)
ASKED_IN_PART = (
    "server.cache = { kind = 'soft_labels', duration = 1, share = 0.6 }",
    "server.aggregator = 'mean'",
    "server.cohort = { kind = 'round_robin', share = 0.5 }",
)
strings = st.integers(2, 5).flatmap(
    lambda size: st.tuples(st.lists(st.integers(0, size - 1), max_size=16), st.just(size))
)


def parts(low, width, counts):
    """The intervals of all symbols within one: (low end, width) each."""
    for symbol, count in enumerate(counts):
        part = width * count / sum(counts)
        yield symbol, low, part
        low += part


def followed(alphabet, length, chosen):
    """Low end, width and symbols after so many choices among the parts of [0, 1)."""
    low, width, counts, made = Fraction(0), Fraction(1), [Fraction(1, 2)] * alphabet, []
    for place in range(length):
        symbol, low, width = next(p for p in parts(low, width, counts) if chosen(place, *p))
        counts[symbol] += 1
        made.append(symbol)
    return low, width, made


def interval(symbols, alphabet):
    """Low end and width, exactly, of the part of [0, 1) that stands for a string."""
    return followed(alphabet, len(symbols), lambda place, s, *_: s == symbols[place])[:2]


def decoded(value, length, alphabet):
    """The string in whose interval a number lies."""
    return followed(alphabet, length, lambda _, s, low, part: low <= value < low + part)[2]


@settings(max_examples=40)
@given(strings)
def test_the_length_is_that_of_the_interval_of_the_string(string):
    symbols, alphabet = string
    bits = adaptive_bits(np.array(symbols, dtype=np.int64), alphabet)
    assert bits == pytest.approx(-math.log2(interval(symbols, alphabet)[1]), abs=1e-9)


@settings(max_examples=40)
@given(strings)
def test_that_many_bytes_can_be_decoded_and_one_less_often_not(string):
    symbols, alphabet = string
    size = whole_bytes([adaptive_bits(np.array(symbols, dtype=np.int64), alphabet)])
    low, width = interval(symbols, alphabet)
    grid = Fraction(1, 256**size)
    value = math.ceil(low / grid) * grid
    assert value + (grid if symbols else 0) <= low + width  # whatever follows, it is the same
    assert decoded(value, len(symbols), alphabet) == symbols
    assert 8 * size <= -math.log2(width) + 10


def test_constant_strings_are_short_and_random_ones_are_not():
    rng = stream(0, "strings")
    assert adaptive_bits(np.zeros(2000, dtype=np.int64), 5) < 30
    assert adaptive_bits(rng.integers(0, 4, 2000), 4) == pytest.approx(4000, rel=0.01)
    assert whole_bytes([]) == whole_bytes([0.0, 0.0]) == 0


def by_hand(symbols, alphabet):
    """Bits, one symbol after the other."""
    seen, bits = Counter(), 0.0
    for place, symbol in enumerate(symbols):
        bits -= math.log2((seen[symbol] + 0.5) / (place + alphabet / 2))
        seen[symbol] += 1
    return bits


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_a_message_of_which_a_part_was_said_before(bits):
    rng, classes = stream(bits, "message"), 3
    flags = Flags.bias | Flags.scalar | Flags.num_examples
    layout = Layout(12, classes, bits, flags, bytes(32))
    now, before = (to_codes(rng.dirichlet(np.ones(classes), 12), bits) for _ in range(2))

    def told(codes):
        rows = codes.tolist()
        return [[row.index(1)] for row in rows] if bits == 1 else [row[:-1] for row in rows]

    known = np.array(told(before), dtype=np.int64)
    known[8:] = -1
    alphabet = classes if bits == 1 else 2**bits
    said = told(now)
    steps = [(s - b) % alphabet for k in range(8) for s, b in zip(said[k], known[k], strict=True)]
    new = [s for row in said[8:] for s in row]
    rest = HEADER.size + packed_length(classes, bits) + packed_length(12, bits) + 4
    assert sizes_of(now, known, layout) == Sizes(
        plain=rest + packed_length(12 * classes, bits),
        alone=rest + whole_bytes([by_hand([s for row in said for s in row], alphabet)]),
        delta=rest + whole_bytes([by_hand(steps, alphabet), by_hand(new, alphabet)]),
    )


def test_who_says_the_same_again_says_nothing():
    codes = to_codes(stream(0, "same").dirichlet(np.ones(5), 2000), 8)
    layout = Layout(2000, 5, 8, Flags.none, bytes(32))
    sizes = sizes_of(codes, codes[:, :-1].astype(np.int64), layout)
    assert sizes.delta < 200 < 0.7 * sizes.alone < sizes.plain


@pytest.fixture(scope="module", params=[(), ASKED_IN_PART, ("wire.bits = 1",)])
def talk(request, tmp_path_factory):
    """Three rounds of the tiny experiment; only to be read."""
    folder = stocked(tiny_with(*TALK, *request.param), tmp_path_factory.mktemp("talk") / "run")
    federate(folder, silent)
    return folder


def oracle(folder, terms):
    """Means of plain and delta coded bytes by round, one text and one fraction at a time."""
    heard, made = {}, {}
    for number in range(1, 4):
        texts = terms.asked(number)
        texts = range(terms.rows) if texts is None else texts.tolist()
        for path in sorted((folder / "releases" / str(number)).iterdir()):
            layout, client = terms.layout_of(number), int(path.stem)
            codes = decode(path.read_bytes(), layout, number, client).codes.tolist()
            steps, new = [], []
            for text, row in zip(texts, codes, strict=True):
                symbols = [row.index(1)] if terms.bits == 1 else row[:-1]
                old = heard.get((client, text))
                size = len(row) if terms.bits == 1 else 2**terms.bits
                if old is None:
                    new += symbols
                else:
                    steps += [(a - b) % size for a, b in zip(symbols, old, strict=True)]
                heard[client, text] = symbols
            bits = [by_hand(part, size) if part else 0.0 for part in (steps, new)]
            rest = layout.length - packed_length(layout.rows * layout.classes, terms.bits)
            sizes = path.stat().st_size, rest + whole_bytes(bits)
            made.setdefault(number, []).append(sizes)
    return made


def test_a_whole_run_is_counted_message_by_message(talk):
    terms = Terms.read(talk / "terms.json")
    rows, expected = coded(talk, terms, range(4)), oracle(talk, terms)
    assert [row["round"] for row in rows] == list(expected)
    for row in rows:
        plain, delta = zip(*expected[row["round"]], strict=True)
        assert row["messages"] == len(delta)
        assert row["plain"] == pytest.approx(np.mean(plain), abs=0.06)
        assert row["delta_coded"] == pytest.approx(np.mean(delta), abs=0.06)
        assert (row["least"], row["largest"]) == (min(delta), max(delta))
    assert rows[0]["delta_coded"] == rows[0]["entropy_coded"]


def test_it_is_shown_with_what_crossed(talk):
    found = inspect(talk, None, None)
    assert [row["round"] for row in found["coded"]] == [1, 2, 3]
    assert any("a coder would have sent" in line for line in table(found))
    assert [row["round"] for row in inspect(talk, None, 2)["coded"]] == [2]
    assert found["coded"] == coded_rows(talk)


def test_the_page_of_a_run_shows_it(talk):
    sent = {"bytes_up_per_client": 400, "fedavg_bytes_per_client": 9000}
    summary = skeleton("complete", 4) | {"wire": sent}
    page = build_report(talk, summary)
    assert page.count("delta coded") == 1
    for row in coded_rows(talk):
        assert (
            f'<td class="num">{row["least"]:,}</td>\n<td class="num">{row["largest"]:,}</td>'
            in page
        )


def test_one_round_and_masked_words_have_nothing_to_be_coded(talk):
    terms = Terms.read(talk / "terms.json")
    masked = replace(terms, secure_sum={"rule": "uniform", "crowd": 2})
    for without in (replace(terms, num_rounds=1), masked):
        assert coded(talk, without, range(4)) == []


def test_a_page_is_made_where_messages_are_gone(tmp_path):
    assert coded_rows(tmp_path) == []
