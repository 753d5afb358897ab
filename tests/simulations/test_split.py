import json
import re
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from common.failures import ConfigError, DataError
from common.labels import LabelGeometry
from simulations.datasets import Corpus, Part
from simulations.partitions.dirichlet import Dirichlet
from simulations.partitions.iid import Iid
from simulations.partitions.natural import Natural
from simulations.split import Split, split

USUAL = {
    "transfer_fraction": 0.25,
    "test_fraction": 0.2,
    "validation_size": 200,
    "partition": Natural(),
    "num_clients": 4,
    "seed": 7,
}


def make(documents, groups, names=("a", "b", "c", "d")):
    rows = len(documents)
    return Corpus(
        texts=tuple(map(str, range(rows))),
        labels=np.arange(rows) % 3,
        geometry=LabelGeometry.ordinal(["x", "y", "z"]),
        group_names=names,
        groups=np.asarray(groups, dtype=np.int64),
        documents=np.asarray(documents, dtype=np.int64),
    )


def like_vader():
    """Two groups of single rows, one of reviews, one of short articles; 2,000 rows each."""
    rng = np.random.default_rng(0)
    reviews = np.sort(rng.integers(0, 290, 2000)) + 10_000
    articles = np.sort(rng.integers(0, 480, 2000)) + 20_000
    documents = np.concatenate([np.arange(4000), reviews, articles])
    documents[100:103] = documents[2100]  # near duplicates across two groups
    return make(documents, np.repeat(np.arange(4), 2000))


def parts(made):
    return {
        "transfer": made.transfer,
        "validation": made.validation,
        "test": made.test,
        "private": made.private,
    }


def counts(corpus, rows):
    return np.bincount(corpus.groups[rows], minlength=4).tolist()


@pytest.fixture(scope="module")
def corpus():
    return like_vader()


@pytest.mark.parametrize("seed", range(10))
def test_the_usual_split_is_exact_in_every_group(corpus, seed):
    made = split(corpus, **USUAL | {"seed": seed})
    assert counts(corpus, made.transfer) == [500] * 4
    assert counts(corpus, made.test) == [400] * 4
    assert counts(corpus, made.validation) == [50] * 4
    assert counts(corpus, made.private) == [1050] * 4


def test_every_row_has_one_place_and_every_document_one_side(corpus):
    made = parts(split(corpus, **USUAL))
    assert np.array_equal(np.sort(np.concatenate(list(made.values()))), np.arange(8000))
    sides = [set(corpus.documents[rows].tolist()) for rows in made.values()]
    assert not any(one & other for one, other in combinations(sides, 2))
    for rows in made.values():
        assert rows.dtype == np.int64
        assert np.all(np.diff(rows) > 0)


def test_clients_hold_the_private_rows(corpus):
    for partition in (Natural(), Iid(), Dirichlet()):
        made = split(corpus, **USUAL | {"partition": partition, "num_clients": 8})
        assert np.array_equal(np.sort(np.concatenate(made.clients)), made.private)
        assert all(np.all(np.diff(rows) > 0) for rows in made.clients)
    natural = split(corpus, **USUAL)
    assert [set(corpus.groups[rows].tolist()) for rows in natural.clients] == [{0}, {1}, {2}, {3}]


def test_the_seed_decides(corpus):
    first, again, other = (split(corpus, **USUAL | {"seed": s}) for s in (1, 1, 2))
    assert first.to_json("x", "", "") == again.to_json("x", "", "")
    assert not np.array_equal(first.test, other.test)


def test_the_partition_does_not_move_the_test_set(corpus):
    one = split(corpus, **USUAL)
    other = split(corpus, **USUAL | {"partition": Iid(), "num_clients": 50})
    assert all(np.array_equal(parts(one)[name], parts(other)[name]) for name in parts(one))


def test_the_file_brings_it_back(corpus):
    made = split(corpus, **USUAL)
    table = json.loads(json.dumps(made.to_json("vader", "abc", "def")))
    assert list(table) == [
        "dataset",
        "sha256",
        "corpus_sha256",
        "clients",
        "transfer",
        "validation",
        "test",
    ]
    assert (table["dataset"], table["sha256"]) == ("vader", "abc")
    assert sorted(table["clients"]) == ["0", "1", "2", "3"]
    back = Split.from_json(table)
    assert all(np.array_equal(parts(back)[name], rows) for name, rows in parts(made).items())
    assert back.to_json("vader", "abc", "def") == table


def test_eleven_clients_keep_their_order(corpus):
    made = split(corpus, **USUAL | {"partition": Iid(), "num_clients": 11})
    back = Split.from_json(made.to_json("x", "", ""))
    assert all(map(np.array_equal, made.clients, back.clients))


def test_groups_of_different_size_give_the_same_share():
    groups = np.repeat(np.arange(4), [100, 200, 300, 400])
    corpus = make(np.arange(1000), groups)
    made = split(corpus, **USUAL | {"validation_size": 10})
    assert counts(corpus, made.transfer) == [25, 50, 75, 100]
    assert counts(corpus, made.test) == [20, 40, 60, 80]
    assert counts(corpus, made.validation) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "line", "key"),
    [
        ({"num_clients": 5000, "partition": Iid()}, "at most (4200)", "num_clients"),
        ({"transfer_fraction": 0.79}, r"at most (0\.\d+)", "transfer_fraction"),
        ({"validation_size": 7000}, r"at most (\d+)", "validation_size"),
    ],
)
def test_the_largest_feasible_value_is_named_and_works(corpus, change, line, key):
    change = {"partition": Iid()} | change
    with pytest.raises(ConfigError, match=line) as caught:
        split(corpus, **USUAL | change)
    named = re.search(line, str(caught.value))
    assert named is not None
    fixed = change | {key: type(USUAL[key])(named[1])}
    assert len(split(corpus, **USUAL | fixed).clients) == fixed.get("num_clients", 4)


@pytest.mark.parametrize(
    "change",
    [
        {"transfer_fraction": 0.0},
        {"transfer_fraction": 1.0},
        {"transfer_fraction": 1e-9},
        {"test_fraction": -0.5},
        {"test_fraction": 0.9999},
        {"test_fraction": float("nan")},
        {"validation_size": -1},
        {"num_clients": 0},
        {"num_clients": 3},
    ],
)
def test_what_cannot_be_split_is_one_line(corpus, change):
    with pytest.raises(ConfigError, match="write") as caught:
        split(corpus, **USUAL | change)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def published(corpus, validation=slice(0, 0), test=slice(0, 0)):
    """The corpus with these rows, and all of their documents, in parts of their own."""
    parts = np.zeros(len(corpus), dtype=np.int64)
    for part, rows in ((Part.VALIDATION, validation), (Part.TEST, test)):
        parts[np.isin(corpus.documents, corpus.documents[rows])] = part
    return replace(corpus, parts=parts)


def test_one_published_part_is_none(corpus):
    one, other = (split(c, **USUAL) for c in (corpus, published(corpus)))
    assert one.to_json("", "", "") == other.to_json("", "", "")


def test_published_parts_are_kept(corpus):
    made = published(corpus, slice(0, 500), slice(2500, 5000))
    found = split(made, **USUAL | {"test_fraction": 0.001})
    held = {part: np.flatnonzero(made.parts == part) for part in Part}
    assert np.array_equal(found.test, held[Part.TEST])
    assert set(found.validation.tolist()) < set(held[Part.VALIDATION].tolist())
    assert len(found.validation) == 200
    assert np.array_equal(np.union1d(found.transfer, found.private), held[Part.TRAIN])
    assert len(found.transfer) == round(0.25 * len(held[Part.TRAIN]))
    shares = np.array(counts(made, found.transfer)) / counts(made, held[Part.TRAIN])
    assert shares == pytest.approx([0.25] * 4, abs=0.01)


def test_only_a_published_test_part(corpus):
    made = published(corpus, test=slice(0, 1000))
    found = split(made, **USUAL)
    assert np.array_equal(found.test, np.flatnonzero(made.parts == Part.TEST))
    assert len(found.validation) == 200
    assert set(made.parts[found.validation].tolist()) == {Part.TRAIN}


def test_only_a_published_validation_part(corpus):
    made = published(corpus, validation=slice(0, 500))
    found = split(made, **USUAL)
    train = int((made.parts == Part.TRAIN).sum())
    assert len(found.test) == round(0.2 * train)
    assert set(made.parts[found.test].tolist()) == {Part.TRAIN}
    with pytest.raises(ConfigError, match=r"published validation part has (\d+) rows; write at"):
        split(made, **USUAL | {"validation_size": 2000})


def test_documents_that_fit_nowhere_are_one_line():
    groups = np.repeat(np.arange(4), 25)
    corpus = make(np.zeros(100, dtype=int), groups)
    with pytest.raises(DataError, match="no whole document fits into the 20 rows of the test part"):
        split(corpus, **USUAL | {"validation_size": 0})
