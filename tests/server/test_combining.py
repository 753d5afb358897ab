"""Weights and targets made some rows at a time: the same bits, without the memory."""

import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.configure import find, kinds
from common.labels import LabelGeometry
from common.predictions import UNKNOWN, Ensemble
from common.quantise import to_codes
from common.records import Record
from server.aggregators import Aggregator
from server.aggregators.mean import Mean
from server.answers import Answers, Coded
from server.combining import ALIGNED, blocks, combine
from server.subclasses import fine
from server.weightings import Weighting
from server.weightings.entropy import Entropy
from server.weightings.uniform import Uniform

CORNERS = np.array([[0.0, 0.0], [1.0, 0.2], [0.1, 1.1]])
LINE = LabelGeometry.ordinal(list("abc"))
PLANE = LabelGeometry(
    tuple("abc"), CORNERS, np.linalg.norm(CORNERS[:, None] - CORNERS[None], axis=2)
)
ROWS = st.sampled_from([1, 2, ALIGNED, ALIGNED + 1, ALIGNED + 2, 2 * ALIGNED + 1, 3 * ALIGNED - 7])


def answers(seed: int, clients: int, samples: int, bits: int = 8, count: int = 1) -> Answers:
    """Opinions as they cross, some certain and some indifferent."""
    rng = np.random.default_rng(seed)

    def said(shape: tuple[int, ...]) -> np.ndarray:
        probs = rng.dirichlet([0.3] * (3 * count), size=shape)
        probs[rng.random(shape) < 0.1] = 1 / (3 * count)
        return to_codes(probs, bits)

    return Answers(
        {
            2 * client: Coded.of(
                Record(
                    1,
                    2 * client,
                    said((samples,)),
                    said((1,))[0],
                    rng.integers(2**bits, size=samples).astype(np.uint16),
                    int(rng.integers(1, 100)),
                ),
                bits,
                count,
            )
            for client in reversed(range(clients))
        }
    )


def labelled(given: Answers, samples: int) -> Ensemble:
    """All of them at once, and labels for a third of the texts."""
    labels = np.where(np.arange(samples) % 3 == 0, np.arange(samples) % 2, UNKNOWN)
    return replaced(given.rows(slice(None)), labels)


def replaced(ensemble: Ensemble, labels: np.ndarray) -> Ensemble:
    return Ensemble(**vars(ensemble) | {"labels": labels})


def same(given: Ensemble, weighting: Weighting, aggregator: Aggregator, cost: LabelGeometry):
    """Whether blocks of the least size give what all rows at once give."""
    state = weighting.start(2 * len(given.clients))
    whole = weighting.weigh(given, state)
    targets = aggregator.combine(given.probs, whole, cost)
    made = combine(given.rows, given.probs.shape[1], weighting, state, aggregator, cost, 1)
    return (
        made.weights.tobytes() == whole.astype(np.float32).tobytes()
        and made.targets.probs.tobytes() == targets.probs.tobytes()
        and made.targets.weights.tobytes() == targets.weights.tobytes()
    )


@pytest.mark.parametrize("kind", kinds(Weighting))
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), clients=st.integers(1, 20), samples=ROWS)
def test_every_weighting_gives_the_same_bits(kind, seed, clients, samples):
    ensemble = labelled(answers(seed, clients, samples), samples)
    assert same(ensemble, find(Weighting, kind)(), Mean(), LINE)


@pytest.mark.parametrize("cost", [LINE, PLANE], ids=["line", "plane"])
@pytest.mark.parametrize("kind", kinds(Aggregator))
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000), clients=st.integers(1, 20), samples=ROWS)
def test_every_aggregator_gives_the_same_bits(kind, cost, seed, clients, samples):
    ensemble = labelled(answers(seed, clients, samples), samples)
    assert same(ensemble, Entropy(), find(Aggregator, kind)(), cost)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("bits", [1, 8, 16])
def test_rows_of_answers_are_rows_of_what_was_answered(bits, count):
    given, part = answers(3, 4, 9, bits, count), slice(2, 7)
    alone = {client: coded.predictions() for client, coded in given.admitted.items()}
    whole, some = Ensemble.stack(alone), given.rows(part)
    for name, value in vars(whole.rows(part)).items():
        found = getattr(some, name)
        assert (value is None) == (found is None), name
        assert value is None or np.array_equal(found, value), name
        assert value is None or found.dtype == value.dtype, name
    assert some.clients.tolist() == [0, 2, 4, 6]


@given(samples=st.integers(1, 5000), most=st.integers(1, 2000))
def test_blocks_follow_each_other_and_none_is_a_single_row(samples, most):
    made = blocks(samples, most)
    assert (made[0].start, made[-1].stop) == (0, samples)
    assert all(a.stop == b.start for a, b in pairwise(made))
    assert all(part.start % ALIGNED == 0 for part in made)
    sizes = [part.stop - part.start for part in made]
    assert max(sizes) <= max(most, ALIGNED) + 1
    assert samples == 1 or min(sizes) > 1


FAMILIES = (Weighting, Aggregator)
MEMBERS = [(family, kind) for family in FAMILIES for kind in kinds(family)]
every_member = pytest.mark.parametrize(
    ("family", "kind"), MEMBERS, ids=[f"{f.__name__.lower()}-{k}" for f, k in MEMBERS]
)


def beyond(member, blocks_of_rows, subclasses=1):
    """Bytes at the peak beside what is handed back: weights (K, N) and targets."""
    clients, samples = 60, blocks_of_rows * ALIGNED
    given = answers(0, clients, samples, count=subclasses)
    labels = np.where(np.arange(samples) % 3 == 0, np.arange(samples) % 2, UNKNOWN)
    weighting = member if isinstance(member, Weighting) else Uniform()
    aggregator = member if isinstance(member, Aggregator) else Mean()
    cost = LINE if subclasses == 1 else fine(LINE, subclasses)

    def told(part):
        return replaced(given.rows(part), labels[part])

    state = weighting.start(2 * clients)
    combine(told, 2, weighting, state, aggregator, cost, 1)  # whatever is imported on the way
    tracemalloc.start()
    try:
        made = combine(told, samples, weighting, state, aggregator, cost, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kept = made.weights.nbytes + made.targets.probs.nbytes + made.targets.weights.nbytes
    return peak - kept, clients * samples * 3 * subclasses * 4


@every_member
def test_what_streams_takes_no_more_for_more_texts(family, kind):
    """60 clients, two blocks and five; opinions are counted as 32-bit numbers, the least."""
    member = find(family, kind)()
    (few, _), (many, opinions) = beyond(member, 2), beyond(member, 5)
    if member.sees_all_samples:
        assert many - few > (5 - 2) / 5 * opinions  # else it would not have to say so
    else:
        assert many - few < opinions / 8


@pytest.mark.parametrize(
    "kind", [k for k in kinds(Aggregator) if find(Aggregator, k).matches_subclasses]
)
def test_who_matches_subclasses_needs_all_texts(kind):
    member = find(Aggregator, kind)()
    (few, _), (many, opinions) = beyond(member, 2, 2), beyond(member, 5, 2)
    assert many - few > (5 - 2) / 5 * opinions


def named(title):
    """What stands in backquotes in the rows of the table of that title, by the first cell."""
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    table = page.partition(f"| {title} |")[2].partition("\n\n")[0]
    rows = [line.split("|") for line in table.splitlines()[2:]]
    return [(row[1].strip(), set("|".join(row[1:3]).split("`")[1::2])) for row in rows]


def test_the_manual_lists_who_needs_all_samples():
    members = [find(family, kind) for family, kind in MEMBERS]
    needing = {
        kind
        for (_, kind), member in zip(MEMBERS, members, strict=True)
        if member.sees_all_samples or getattr(member, "matches_subclasses", False)
    }
    told = {name for first, _ in named("needs all texts") for name in first.split("`")[1::2]}
    assert told == needing


def test_the_manual_lists_who_streams():
    found = dict(named("streams"))
    for family, name in zip(FAMILIES, ("weightings", "aggregators"), strict=True):
        streaming = {
            kind
            for kind in kinds(family)
            if not find(family, kind).sees_all_samples
            and not getattr(find(family, kind), "matches_subclasses", False)
        }
        assert found[name] == streaming
