"""R20: the smallest and the largest federations that there can be."""

import numpy as np
import pytest

from common.files import read_lines
from common.terms import Terms
from tests.reliability.commands import INLINE, SMALL, fedknot, summary_of
from tests.reliability.test_texts import are_distributions, odd, rows_of

# Each with the numbers of clients, labels and transfer texts that it makes.
WORLDS = {
    "one client": (("data.num_clients = 1", "data.partition = 'iid'"), (1, 3, 40)),
    "two labels": (("data.dataset.num_labels = 2",), (4, 2, 40)),
    "one text": (("data.transfer_fraction = 0.007",), (4, 3, 1)),
    "one text of one client": (
        ("data.num_clients = 1; data.partition = 'iid'; data.transfer_fraction = 0.007",),
        (1, 3, 1),
    ),
    "200 clients": (
        ("data.num_clients = 200; data.dataset.size = 2000; data.partition = 'iid'",
         "clients.teacher = 'constant'"),
        (200, 3, 500),
    ),
}  # fmt: skip


def completes(done, folder, clients, labels, rows):
    assert (done.code, done.err) == (0, "")
    terms = Terms.read(folder / "terms.json")
    assert (terms.num_clients, len(terms.labels), terms.rows) == (clients, labels, rows)
    assert summary_of(folder)["clients"]["answered"] == clients
    for probs in rows_of(folder).values():
        are_distributions(probs, rows, labels)


@pytest.mark.parametrize(
    "world", [pytest.param(w, marks=pytest.mark.slow) if "200" in w else w for w in WORLDS]
)
def test_r20_the_smallest_and_the_largest(call, tmp_path, world):
    overrides, expected = WORLDS[world]
    words = [word for override in overrides for word in ("--set", override)]
    done = call("run", *SMALL, *words, *INLINE, "--out", tmp_path / "run")
    completes(done, tmp_path / "run", *expected)


@pytest.mark.slow
def test_r20_a_thousand_labels(call, odd_texts, tmp_path):
    words = ("--set", odd(num_labels=1000, size=8000), "--set", "server.schedule.steps = 2")
    done = call("run", *SMALL, *words, *INLINE, "--out", tmp_path / "run")
    completes(done, tmp_path / "run", 4, 1000, 2000)


@pytest.mark.slow
def test_r20_a_hundred_thousand_texts(tmp_path):
    size = "data.dataset.size = 132000; data.transfer_fraction = 0.76; data.test_fraction = 0.01"
    done = fedknot("run", *SMALL, "--set", size, *INLINE, "--out", tmp_path / "run")
    completes(done, tmp_path / "run", 4, 3, 100_320)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_r20_200_clients_on_ray(call, tmp_path):
    overrides, expected = WORLDS["200 clients"]
    words = [word for override in overrides for word in ("--set", override)]
    done = fedknot("run", *SMALL, *words, "--quiet", "--out", tmp_path / "run")
    completes(done, tmp_path / "run", *expected)


LIMITS = {
    "data.dataset.num_labels = 1": "at least 2",
    "data.dataset.num_labels = 101": "at most 100",
    "data.num_clients = 0": "at least 1",
    "data.transfer_fraction = 0.0001": "write at least",
    "data.num_clients = 100; data.partition = 'iid'": "write at most",
}


@pytest.mark.parametrize("setting", LIMITS)
def test_r20_what_cannot_be_is_refused_with_the_limit(call, tmp_path, setting):
    done = call("run", *SMALL, "--set", setting, *INLINE, "--out", tmp_path / "run")
    assert done.code == 2
    assert done.is_one_line(LIMITS[setting])


@pytest.mark.slow
def test_r20_as_many_clients_as_private_texts(call, tmp_path):
    """One example each, and nobody is left out."""
    words = ("--set", "data.num_clients = 72; data.partition = 'iid'")
    done = call("run", *SMALL, *words, *INLINE, "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    shards = [read_lines(path) for path in (tmp_path / "run").glob("clients/*/shard.jsonl")]
    assert set(map(len, shards)) == {1}
    rows = np.stack(list(rows_of(tmp_path / "run").values()))
    assert rows.shape == (72, 40, 3)
