"""Laws that every partition obeys."""

import dataclasses

import numpy as np
import pytest

from common.configure import dump, find, kind_of, kinds, load
from common.failures import ConfigError
from simulations.partitions import Partition

HARD = {"alpha": 1e-3}


def variants():
    """Every partition as it comes, and as hard as its settings allow."""
    for kind in kinds(Partition):
        made = find(Partition, kind)
        fields = dataclasses.fields(made)
        if any(f.default is f.default_factory is dataclasses.MISSING for f in fields):
            continue  # it follows a file, and has its laws in a test of its own
        yield pytest.param(made(), id=kind)
        names = {field.name for field in fields}
        if hard := {name: value for name, value in HARD.items() if name in names}:
            yield pytest.param(made(**hard), id=f"{kind}-hard")


every = pytest.mark.parametrize("partition", list(variants()))


def columns(rows: int):
    rng = np.random.default_rng(3)
    return rng.choice(5, rows, p=[0.4, 0.3, 0.15, 0.1, 0.05]), rng.permutation(rows) % 4


@every
@pytest.mark.parametrize(("rows", "num_clients"), [(4200, 4), (4201, 8), (4200, 200), (401, 40)])
def test_every_row_has_exactly_one_owner(partition, rows, num_clients):
    shards = partition.split(*columns(rows), num_clients, np.random.default_rng(0))
    assert len(shards) == num_clients
    assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(rows))
    for shard in shards:
        assert shard.dtype == np.int64
        assert len(shard) > 0
        assert np.all(np.diff(shard) > 0)


@every
def test_the_same_seed_deals_the_same_rows(partition):
    labels, groups = columns(900)
    given = labels.copy(), groups.copy()
    first, again = (partition.split(labels, groups, 12, np.random.default_rng(5)) for _ in range(2))
    other = partition.split(labels, groups, 12, np.random.default_rng(6))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert np.array_equal(labels, given[0])
    assert np.array_equal(groups, given[1])


@pytest.mark.timeout(60)
@every
def test_it_always_comes_to_an_end(partition):
    for seed in range(20):
        partition.split(*columns(4200), 200, np.random.default_rng(seed))


@every
@pytest.mark.parametrize("num_clients", [0, -1, 404])
def test_what_cannot_be_dealt_is_one_line(partition, num_clients):
    with pytest.raises(ConfigError, match=r"write at (least|most)") as caught:
        partition.split(*columns(400), num_clients, np.random.default_rng(0))
    assert "\n" not in str(caught.value)


@every
def test_it_survives_the_way_through_a_file(partition):
    assert load(Partition, dump(partition) | {"kind": kind_of(partition)}) == partition
