"""Skews go together: every partition with every corruption, and corruptions with each other.

Members are enumerated, never named, and looked at as ``fedknot plan`` shows them.
"""

import dataclasses
import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from common.configure import dump, find, kind_of, kinds, load
from common.failures import ConfigError
from common.seeds import stream
from simulations.corruptions import Corruption
from simulations.experiment_file import read
from simulations.partitions import Partition
from simulations.preview import preview
from simulations.provision import divide
from simulations.shards import shards
from tests.worlds import TINY, tiny_with

SKEW = Path(__file__).parents[2] / "docs" / "skew.md"
NUM_CLIENTS = 8


def needs_a_file(kind):
    return any(
        field.default is field.default_factory is dataclasses.MISSING
        for field in dataclasses.fields(find(Partition, kind))
    )


def partitions():
    """Every partition that chance decides, those that hold another one with each they can."""
    for kind in kinds(Partition):
        made = find(Partition, kind)
        if needs_a_file(kind):
            continue
        inner = [f.name for f in dataclasses.fields(made) if isinstance(f.type, type) and
                 issubclass(f.type, Partition)]  # fmt: skip
        if not inner:
            yield pytest.param({"kind": kind}, id=kind)
        for other in kinds(Partition) if inner else ():
            if find(Partition, other).nests and not needs_a_file(other):
                yield pytest.param({"kind": kind, inner[0]: other}, id=f"{kind}-{other}")


every_partition = pytest.mark.parametrize("partition", list(partitions()))
every_pair = pytest.mark.parametrize(
    ("first", "second"), list(product(kinds(Corruption), repeat=2))
)


def experiment(partition="iid", corruptions=()):
    """Eight clients of some forty rows each; features of numbers are not among the texts."""
    table = dump(tiny_with("data.dataset.size = 600"))
    table["data"] |= {
        "num_clients": NUM_CLIENTS,
        "partition": leastless(partition),
        "corruptions": [{"kind": kind} for kind in corruptions],
    }
    return load(type(tiny_with()), table)


def leastless(table):
    """With clients as small as they come, so that any partition can deal a few rows."""
    if isinstance(table, str):
        table = {"kind": table}
    fields = {field.name for field in dataclasses.fields(find(Partition, table["kind"]))}
    made = {key: leastless(value) if key != "kind" else value for key, value in table.items()}
    return made | ({"min_size": 1} if "min_size" in fields else {})


def held(made):
    return list(shards(made, *divide(made)))


@every_partition
@pytest.mark.parametrize("corruption", kinds(Corruption))
def test_every_partition_goes_with_every_corruption(partition, corruption):
    made = experiment(partition, [corruption])
    plan, clean = preview(made), preview(experiment(partition))
    assert [c["rows"] for c in plan["clients"]] == [c["rows"] for c in clean["clients"]]
    assert [c["corruptions"] for c in plan["clients"]] == [[corruption]] * NUM_CLIENTS
    before, after = held(experiment(partition)), held(made)
    assert any(
        a.texts != b.texts or not np.array_equal(a.labels, b.labels)
        for a, b in zip(before, after, strict=True)
    )


@every_pair
def test_every_corruption_goes_with_every_other(first, second):
    """The second is applied to what the first left: with its own draws, whatever came before."""
    both, (corpus, _) = experiment(corruptions=[first, second]), divide(experiment())
    one, other = held(experiment(corruptions=[first])), held(both)
    alone = find(Corruption, second)()
    assert [kind_of(c) for c in both.data.corruptions] == [first, second]
    for client, (left, found) in enumerate(zip(one, other, strict=True)):
        rng = stream(both.seed, "corruption", 1, client)
        expected = alone.corrupt(left, corpus.geometry, rng)
        assert found.texts == expected.texts
        assert np.array_equal(found.labels, expected.labels)


@every_partition
def test_all_corruptions_at_once_leave_shared_and_graded_rows_alone(partition):
    clean, spoilt = experiment(partition), experiment(partition, kinds(Corruption))
    (_, one), (_, other) = divide(clean), divide(spoilt)
    for part in ("transfer", "validation", "test"):
        assert np.array_equal(getattr(one, part), getattr(other, part))
    plan = preview(spoilt)
    assert sum(c["rows"] for c in plan["clients"]) == plan["rows"]["private"]
    assert all(c["corruptions"] == kinds(Corruption) for c in plan["clients"])


@every_partition
def test_a_combination_survives_the_way_through_a_file(partition):
    made = experiment(partition, kinds(Corruption))
    assert load(type(made), dump(made)) == made


def combinations():
    """What the manual's table of combinations says to write, by what goes together."""
    table = SKEW.read_text().partition("| together | write |\n")[2].partition("\n\n")[0]
    lines = [line.strip("|").split("|") for line in table.splitlines()[1:]]
    return {name.strip(): cell.strip() for name, cell in lines}


def test_the_manual_says_of_combinations_what_to_write():
    found = combinations()
    assert len(found) >= 8
    for name, cell in found.items():
        written = re.findall(r"`(\{[^`]*\})`", cell)
        assert written or cell.startswith("nothing: "), name
        for table in written:
            sized = "data.dataset.size = 800; data.num_clients = 8"
            made = read("synthetic", [*TINY, sized, f"data.partition = {table}"])
            assert len(preview(made)["clients"]) == NUM_CLIENTS


def test_who_writes_several_partitions_is_told_what_goes_together():
    with pytest.raises(
        ConfigError, match=r"within_groups.*quantity.*pathological_quantity"
    ) as told:
        read("synthetic", ["data.partition = [{ kind = 'natural' }, { kind = 'quantity' }]"])
    assert "\n" not in str(told.value)
