import dataclasses
import hashlib
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import beta, kstest, normaltest

from common.configure import dump, find, kinds, load
from common.failures import ConfigError, DataError
from common.labels import LabelGeometry
from simulations.apportion import apportion, apportion_at_least
from simulations.datasets import Corpus
from simulations.partitions import Partition
from simulations.partitions.dirichlet import Dirichlet, proportions, raise_to
from simulations.partitions.from_file import FromFile
from simulations.partitions.iid import Iid
from simulations.partitions.natural import Natural
from simulations.partitions.natural_dirichlet import NaturalDirichlet
from simulations.partitions.pathological import Pathological
from simulations.partitions.pathological_quantity import PathologicalQuantity
from simulations.partitions.quantity import Quantity, _skewed
from simulations.partitions.within_groups import WithinGroups
from simulations.saved_split import corpus_sha256
from simulations.split import Split, split

GROUPS = np.repeat([0, 1, 2, 3], [90, 100, 110, 120])
LABELS = np.arange(420) % 5
KINDS = kinds(Partition)
DRAWN = [kind for kind in KINDS if "path" not in find(Partition, kind).__dataclass_fields__]
"""The partitions that chance decides, and not a file."""


def deal(partition, num_clients, labels=LABELS, groups=GROUPS, seed=0):
    return partition.split(labels, groups, num_clients, np.random.default_rng(seed))


def class_shares(shards, labels=LABELS):
    return np.array([np.bincount(labels[rows], minlength=5) / len(rows) for rows in shards])


def changed(partition, path, value):
    """With another setting, of its own or of the partition that it holds."""
    key, _, rest = path.partition(".")
    if rest:
        value = changed(getattr(partition, key), rest, value)
    return dataclasses.replace(partition, **{key: value})


def write(path, clients, private, corpus="abc"):
    """A ``split.json`` in which the first rows are public and the others are dealt out."""
    rest = {"transfer": np.arange(100), "validation": np.arange(100, 120)}
    made = Split(**rest, test=np.arange(120, 200), private=private, clients=tuple(clients))
    path.write_text(json.dumps(made.to_json("synthetic", "", corpus)))
    return made


@pytest.fixture
def member(tmp_path):
    """A partition of a kind; one that needs a file gets one for eight clients."""

    def make(kind, **settings):
        known = find(Partition, kind)
        if "path" in known.__dataclass_fields__:
            path = tmp_path / "split.json"
            write(path, [200 + rows for rows in deal(Iid(), 8)], np.arange(200, 620))
            settings = {"path": str(path)} | settings
        return known(**settings)

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_has_one_owner_and_every_client_rows(kind, member):
    shards = deal(member(kind), 8)
    assert len(shards) == 8
    assert all(len(rows) and np.all(np.diff(rows) > 0) for rows in shards)
    assert all(rows.dtype == np.int64 for rows in shards)
    assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(420))


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind, member):
    first, again = deal(member(kind), 8), deal(member(kind), 8)
    assert all(map(np.array_equal, first, again))


@pytest.mark.parametrize("kind", DRAWN)
def test_another_seed_deals_otherwise(kind, member):
    one, other = deal(member(kind), 8), deal(member(kind), 8, seed=1)
    assert not all(map(np.array_equal, one, other))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_clients", [0, 421, 10_000])
def test_more_clients_than_rows_or_none_is_one_line(kind, num_clients, member):
    with pytest.raises(ConfigError, match="write") as caught:
        deal(member(kind), num_clients)
    assert "\n" not in str(caught.value)


def test_labels_that_no_number_of_shards_can_deal_ask_for_fewer_clients():
    """Three rows of three labels and two clients: four shards are too many, two too few."""
    labels, groups = np.array([0, 1, 2]), np.zeros(3, dtype=int)
    with pytest.raises(ConfigError, match=r"data\.num_clients = 2 cannot share 3 .* write 1"):
        deal(find(Partition, "pathological")(), 2, labels, groups)


@pytest.mark.parametrize("kind", DRAWN)
@given(data=st.data())
def test_any_rows_are_dealt_or_the_message_says_what_works(kind, data):
    """Whoever writes what the message says arrives at a deal."""
    size = data.draw(st.integers(1, 60))
    labels = np.array(data.draw(st.lists(st.integers(0, 4), min_size=size, max_size=size)))
    groups = np.array(data.draw(st.lists(st.integers(0, 2), min_size=size, max_size=size)))
    num_clients, partition = data.draw(st.integers(1, 70)), find(Partition, kind)()
    for _ in range(6):
        try:
            shards = deal(partition, num_clients, labels, groups)
        except ConfigError as error:
            line = str(error)
            value = int(re.search(r"write (?:at (?:most|least) )?(\d+)", line)[1])
            if line.startswith("data.num_clients"):
                num_clients = value
                continue
            if value < 1:  # fewer rows than clients in one natural group
                return
            path = re.match(r"data\.partition\.([\w.]+) = ", line)[1]
            partition = changed(partition, path, value)
            continue
        assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(size))
        assert all(map(len, shards))
        return
    pytest.fail(line)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", DRAWN)
def test_a_thousand_clients_come_to_an_end(kind, member):
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 5, 60_000), np.arange(60_000) % 4
    assert len(deal(member(kind), 1000, labels, groups)) == 1000


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if "min_size" in find(Partition, k).__dataclass_fields__]
)
def test_the_least_size_is_kept_or_the_largest_feasible_one_named(kind, member):
    for least in (1, 7, 11):
        assert min(map(len, deal(member(kind, min_size=least), 8))) >= least
    with pytest.raises(ConfigError, match=r"min_size = 400 .*write at most \d+$") as caught:
        deal(member(kind, min_size=400), 8)
    most = int(str(caught.value).rsplit(" ", 1)[1])
    assert min(map(len, deal(member(kind, min_size=most), 8))) >= most
    with pytest.raises(ConfigError):
        deal(member(kind, min_size=most + 1), 8)


def test_iid_shares_differ_by_one_at_most():
    assert [len(rows) for rows in deal(Iid(), 8)] == [53] * 4 + [52] * 4


def test_iid_every_row_may_go_anywhere():
    owners = np.zeros((420, 4))
    for seed in range(200):
        for client, rows in enumerate(deal(Iid(), 4, seed=seed)):
            owners[rows, client] += 1
    # 200 draws at 1/4: 50 on average, standard deviation 6.1.
    assert np.all(np.abs(owners - 50) < 5 * 6.2)


def test_natural_client_k_holds_group_k():
    shards = deal(Natural(), 4)
    assert all(
        np.array_equal(rows, np.arange(420)[np.isin(GROUPS, k)]) for k, rows in enumerate(shards)
    )


def test_natural_groups_are_cut_into_equal_shares():
    shards = deal(Natural(), 8)
    assert [set(GROUPS[rows].tolist()) for rows in shards] == [{k % 4} for k in range(8)]
    assert [len(rows) for rows in shards] == [45, 50, 55, 60] * 2


def test_natural_absent_groups_do_not_count():
    shards = deal(Natural(), 2, labels=LABELS[:4], groups=np.array([7, 3, 3, 7]))
    assert [rows.tolist() for rows in shards] == [[1, 2], [0, 3]]


@pytest.mark.parametrize(
    ("num_clients", "message"),
    [
        (6, "does not fit the 4 natural groups; write 4 or a multiple of it"),
        (400, "100 clients to a natural group of 90 rows; write at most 360"),
    ],
)
def test_natural_says_which_numbers_work(num_clients, message):
    with pytest.raises(ConfigError, match=message):
        deal(Natural(), num_clients)
    assert len(deal(Natural(), 360)) == 360


def test_dirichlet_a_large_alpha_deals_alike_and_a_small_one_does_not():
    labels = np.arange(20_000) % 5
    spread = [
        class_shares(deal(Dirichlet(alpha=alpha), 10, labels, labels), labels).std(axis=0).mean()
        for alpha in (1e6, 100.0, 1.0, 0.05)
    ]
    assert np.all(np.diff(spread) > 0)
    assert spread[0] < 1e-3
    assert spread[-1] > 0.25


@pytest.mark.parametrize("alpha", [0.05, 0.5, 3.0])
def test_dirichlet_marginals_are_beta_distributed(alpha):
    # One coordinate of Dir(a, ..., a) over K clients is Beta(a, (K - 1) a).
    rng = np.random.default_rng(0)
    drawn = [proportions(alpha, 6, rng)[2] for _ in range(2000)]
    assert kstest(drawn, beta(alpha, 5 * alpha).cdf).pvalue > 1e-3


@pytest.mark.parametrize("alpha", [5e-324, 1e-200, 1e-3, 1.0, 1e300])
def test_dirichlet_any_alpha_gives_proportions(alpha):
    drawn = proportions(alpha, 50, np.random.default_rng(0))
    assert np.all(np.isfinite(drawn))
    assert drawn.sum() == pytest.approx(1.0)
    assert len(set(map(len, deal(Dirichlet(alpha=alpha), 42)))) >= 1


@pytest.mark.parametrize("seed", range(5))
def test_dirichlet_nobody_holds_less_than_the_least(seed):
    shards = deal(Dirichlet(alpha=0.01, min_size=10), 42, seed=seed)
    assert [len(rows) for rows in shards] == [10] * 42
    shards = deal(Dirichlet(alpha=0.01, min_size=7), 42, seed=seed)
    assert min(map(len, shards)) == 7


@pytest.mark.timeout(60)
@pytest.mark.parametrize("rows", [2500, 4200, 2499])
def test_dirichlet_five_hundred_clients_at_a_hundredth_come_to_an_end(rows):
    labels, partition = np.arange(rows) % 5, Dirichlet(alpha=0.01, min_size=5)
    if rows < 2500:
        with pytest.raises(ConfigError, match=r"write at most 4$"):
            deal(partition, 500, labels, labels)
    else:
        assert min(map(len, deal(partition, 500, labels, labels))) == 5


def test_dirichlet_says_the_largest_feasible_least():
    with pytest.raises(ConfigError, match=r"min_size = 10 for 50 clients.*write at most 8"):
        deal(Dirichlet(), 50)
    assert min(map(len, deal(Dirichlet(min_size=8), 50))) >= 8


@given(st.lists(st.tuples(*[st.integers(0, 40)] * 3), min_size=1, max_size=12), st.integers(1, 12))
def test_dirichlet_mending_keeps_the_classes_and_the_rich(table, min_size):
    before = np.array(table)
    min_size = min(min_size, int(before.sum()) // len(before))
    counts = before.copy()
    raise_to(min_size, counts)
    assert np.array_equal(counts.sum(axis=0), before.sum(axis=0))
    assert np.all(counts >= 0)
    assert np.all(counts.sum(axis=1) >= min_size)
    rich = before.sum(axis=1) >= min_size
    assert np.all(counts[rich] <= before[rich])


@pytest.mark.parametrize("settings", [{"alpha": 0.0}, {"alpha": float("inf")}, {"min_size": 0}])
def test_dirichlet_settings_out_of_range(settings):
    for kind in (Dirichlet, NaturalDirichlet):
        with pytest.raises(ValidationError):
            kind(**settings)


def test_natural_dirichlet_keeps_the_domains_and_skews_within_them():
    shards = deal(NaturalDirichlet(alpha=0.05), 16)
    assert [set(GROUPS[rows].tolist()) for rows in shards] == [{k % 4} for k in range(16)]
    even = deal(NaturalDirichlet(alpha=1e6), 16)
    assert class_shares(shards).std(axis=0).mean() > 5 * class_shares(even).std(axis=0).mean()
    assert max(map(len, even)) - min(map(len, even)) <= 10


def test_natural_dirichlet_with_one_client_a_group_is_natural():
    assert all(map(np.array_equal, deal(NaturalDirichlet(), 4), deal(Natural(), 4)))


def test_natural_dirichlet_names_the_least_of_the_smallest_group():
    with pytest.raises(ConfigError, match=r"for 5 clients of a natural group of 90 .*at most 18$"):
        deal(NaturalDirichlet(min_size=19), 20)
    assert min(map(len, deal(NaturalDirichlet(min_size=18), 20))) == 18


NESTING = [kind for kind in KINDS if find(Partition, kind).nests]
"""The partitions that can deal the rows of one natural group."""


@pytest.mark.parametrize("kind", NESTING)
def test_within_groups_every_group_is_dealt_as_if_it_were_alone(kind):
    inner = find(Partition, kind)()
    rng = np.random.default_rng(3)
    shards = WithinGroups(partition=inner).split(LABELS, GROUPS, 12, np.random.default_rng(3))
    for group in range(4):
        own = np.flatnonzero(group == GROUPS)
        alone = inner.split(LABELS[own], GROUPS[own], 3, rng)
        found = shards[group::4]
        assert all(np.array_equal(own[a], b) for a, b in zip(alone, found, strict=True))


def test_within_groups_of_dirichlet_is_natural_dirichlet():
    one = deal(WithinGroups(partition=Dirichlet(alpha=0.2, min_size=3)), 20)
    other = deal(NaturalDirichlet(alpha=0.2, min_size=3), 20)
    assert all(map(np.array_equal, one, other))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NESTING])
def test_what_looks_at_groups_itself_is_not_put_within_groups(kind, member):
    inner = member(kind)
    table = {"kind": "within_groups", "partition": {"kind": kind} | dump(inner)}
    with pytest.raises(ConfigError, match="cannot deal the rows of one natural group") as caught:
        load(Partition, table, "data.partition")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("inner", "num_clients", "told", "works"),
    [
        (
            Quantity(min_size=19),
            20,
            "data.partition.partition.min_size = 19 for 5 clients of a natural group is more than "
            "the 90 private rows; write at most 18",
            {"min_size": 18},
        ),
        (
            Pathological(labels_per_client=40),
            12,
            "data.partition.partition.labels_per_client = 40 for 3 clients of a natural group "
            "makes more shards than the 90 private rows; write at most 30",
            {"labels_per_client": 30},
        ),
    ],
)
def test_within_groups_names_what_the_smallest_group_can_have(inner, num_clients, told, works):
    with pytest.raises(ConfigError) as caught:
        deal(WithinGroups(partition=inner), num_clients)
    assert str(caught.value) == told
    fits = WithinGroups(partition=dataclasses.replace(inner, **works))
    assert len(deal(fits, num_clients)) == num_clients


def test_within_groups_with_more_labels_than_rows_asks_for_fewer_clients():
    labels, groups = np.tile([0, 1, 2], 2), np.repeat([0, 1], 3)
    line = r"data\.num_clients = 4, 2 in each of 2 natural groups, cannot share 3 .* write 2$"
    with pytest.raises(ConfigError, match=line):
        deal(WithinGroups(partition=Pathological()), 4, labels, groups)
    assert len(deal(WithinGroups(partition=Pathological(labels_per_client=3)), 2, labels, groups))


@pytest.mark.parametrize("law", ["log_normal", "power_law"])
def test_pathological_quantity_shares_a_label_as_the_law_says(law):
    """One label a client: among those who hold the same, sizes are the law's to the row."""
    labels = np.repeat(np.arange(4), [3000, 2000, 2000, 1000])
    made = PathologicalQuantity(labels_per_client=1, law=law, spread=0.7)
    shards = deal(made, 40, labels, labels)
    rng = np.random.default_rng(0)
    for label in range(4):
        rng.permutation(int((labels == label).sum()))
    z = rng.standard_normal(40) if law == "log_normal" else -np.log(rng.permutation(40) + 1.0)
    wanted, of = np.exp(0.7 * z), np.array([labels[rows[0]] for rows in shards])
    for label in range(4):
        held = np.array([len(rows) for k, rows in enumerate(shards) if of[k] == label])
        share = wanted[of == label] / wanted[of == label].sum()
        assert np.all(np.abs(held - share * held.sum()) < 1)


@pytest.mark.parametrize("held", [1, 2, 3])
def test_pathological_quantity_keeps_to_few_labels_and_spreads_sizes(held):
    labels = np.repeat(np.arange(5), [400, 250, 40, 3, 307])
    shards = deal(PathologicalQuantity(labels_per_client=held, spread=1.5), 20, labels, labels)
    assert max(len(np.unique(labels[rows])) for rows in shards) <= held
    sizes = [
        np.array(list(map(len, deal(made, 20, labels, labels))))
        for made in (
            Pathological(labels_per_client=held),
            PathologicalQuantity(labels_per_client=held),
        )
    ]
    assert np.std(np.log(sizes[1])) > np.std(np.log(sizes[0])) + 0.3


@pytest.mark.parametrize("law", ["log_normal", "power_law"])
def test_pathological_quantity_survives_any_spread(law):
    shards = deal(PathologicalQuantity(law=law, spread=100.0), 20)
    assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(420))
    assert all(map(len, shards))


def test_pathological_shards_are_of_one_label():
    labels = np.repeat(np.arange(5), [400, 250, 40, 3, 307])
    rng = np.random.default_rng(1)
    rng.shuffle(labels)
    for held in (1, 2, 3):
        shards = deal(Pathological(labels_per_client=held), 20, labels, labels)
        assert max(len(np.unique(labels[rows])) for rows in shards) <= held
        assert np.array_equal(np.sort(np.concatenate(shards)), np.arange(1000))


def test_pathological_on_equal_labels_is_the_paper():
    # 100 clients, two shards each; 20 shards of 300 rows of each of ten digits.
    labels = np.repeat(np.arange(10), 6000)
    shards = deal(Pathological(), 100, labels, labels)
    counts = np.array([np.bincount(labels[rows], minlength=10) for rows in shards])
    assert set(np.unique(counts)) == {0, 300, 600}
    assert np.all(counts.sum(axis=1) == 600)
    # Two of 200 shards, 20 of each digit: both of one digit with probability 19 / 199.
    twice = [np.mean(_both(seed)) for seed in range(200)]
    assert abs(np.mean(twice) - 19 / 199) < 5 * np.std(twice) / np.sqrt(200)


def _both(seed):
    labels = np.repeat(np.arange(10), 20)
    return [
        len(np.unique(labels[rows])) == 1
        for rows in deal(Pathological(), 100, labels, labels, seed)
    ]


@pytest.mark.parametrize(
    ("settings", "num_clients", "message"),
    [
        ({"labels_per_client": 1}, 4, "leaves some of the 5 labels to nobody; write at least 2$"),
        ({"labels_per_client": 9}, 50, "more shards than the 420 private rows; write at most 8$"),
    ],
)
def test_pathological_says_what_works(settings, num_clients, message):
    with pytest.raises(ConfigError, match=message) as caught:
        deal(Pathological(**settings), num_clients)
    value = int(str(caught.value).rsplit(" ", 1)[1])
    assert len(deal(Pathological(labels_per_client=value), num_clients)) == num_clients


def test_quantity_power_law_sizes_are_the_ranks():
    labels = np.zeros(50_000, dtype=np.int64)
    sizes = sorted(map(len, deal(Quantity(law="power_law", min_size=1), 30, labels, labels)))
    exact = 50_000 / np.arange(30, 0, -1) / np.sum(1 / np.arange(1, 31))
    assert np.all(np.abs(sizes - exact) < 1)


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_quantity_log_normal_sizes_have_that_spread(spread):
    labels = np.zeros(2_000_000, dtype=np.int64)
    shards = deal(Quantity(spread=spread, min_size=1), 2000, labels, labels)
    logs = np.log([len(rows) for rows in shards])
    assert logs.std() == pytest.approx(spread, rel=0.06)
    assert normaltest(logs).pvalue > 1e-3


@pytest.mark.parametrize("law", ["log_normal", "power_law"])
def test_quantity_without_spread_is_even(law):
    assert set(map(len, deal(Quantity(law=law, spread=0.0), 8))) == {52, 53}
    assert sum(map(len, deal(Quantity(law=law, spread=100.0), 8))) == 420


def test_quantity_does_not_skew_the_labels():
    labels = np.arange(100_000) % 5
    shares = class_shares(deal(Quantity(min_size=1000), 20, labels, labels), labels)
    assert np.abs(shares - 0.2).max() < 0.05


@given(
    st.lists(st.floats(0, 1e6), min_size=1, max_size=20).filter(sum),
    st.integers(0, 9),
    st.integers(0, 500),
)
def test_shares_with_a_least_are_whole_fair_and_large_enough(weights, least, spare):
    total = least * len(weights) + spare
    shares = apportion_at_least(np.array(weights), total, least)
    assert shares.sum() == total
    assert shares.min() >= least
    free = shares > least
    assert np.array_equal(
        apportion_at_least(np.array(weights), total, 0), apportion(np.array(weights), total)
    )
    # Whoever is above the least has its share of what is left, to the nearest whole.
    if free.sum() > 1:
        rates = shares[free] - np.array(weights)[free] * (
            shares[free].sum() / np.sum(np.array(weights)[free])
        )
        assert np.abs(rates).max() < 2 + free.sum()


# --- a saved split


@pytest.fixture(scope="module")
def corpus():
    rows = 620
    return Corpus(
        texts=tuple(map(str, range(rows))),
        labels=np.arange(rows) % 3,
        geometry=LabelGeometry.ordinal(["x", "y", "z"]),
        group_names=("a", "b"),
        groups=np.arange(rows) % 2,
        documents=np.arange(rows),
    )


USUAL = {
    "transfer_fraction": 100 / 620,
    "test_fraction": 80 / 620,
    "validation_size": 20,
    "seed": 1,
}


@pytest.fixture
def saved(tmp_path, corpus):
    path = tmp_path / "split.json"
    clients = [200 + rows for rows in deal(Quantity(), 8)]
    return path, write(path, clients, np.arange(200, 620), corpus_sha256(corpus))


def again(corpus, path, **changes):
    partition = FromFile(path=str(path), sha256=changes.pop("sha256", ""))
    return split(corpus, partition=partition, **{**USUAL, "num_clients": 8} | changes)


def test_a_saved_split_comes_back_whole(corpus, saved):
    path, made = saved
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    back = again(corpus, path, sha256=digest)
    assert back.to_json("", "", "") == made.to_json("", "", "")
    assert np.array_equal(back.private, made.private)
    # The seed of the new experiment moves nothing.
    assert again(corpus, path, seed=99).to_json("", "", "") == made.to_json("", "", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_clients": 4}, "the saved split has 8 clients; write 8$"),
        ({"transfer_fraction": 0.3}, r"data.transfer_fraction means 186 rows.*write 0\.1613$"),
        ({"test_fraction": 0.3}, r"data.test_fraction means 186 rows.*write 0\.129$"),
        ({"validation_size": 50}, "data.validation_size means 50 rows.*write 20$"),
        ({"sha256": "0" * 64}, "write its hash"),
    ],
)
def test_what_the_experiment_says_must_be_what_was_saved(corpus, saved, changes, message):
    with pytest.raises(ConfigError, match=message):
        again(corpus, saved[0], **changes)


def test_a_saved_split_of_other_texts_is_refused(corpus, saved):
    other = dataclasses.replace(corpus, labels=(corpus.labels + 1) % 3)
    with pytest.raises(ConfigError, match="written for other texts"):
        again(other, saved[0])


def give_all_away(table, giver, taker):
    """Every row still has one owner, and all are in order, but a client is left with none."""
    clients = table["clients"]
    clients[taker] = sorted(clients[taker] + clients[giver])
    clients[giver] = []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: t["clients"]["3"].pop(), "each row to one owner"),
        (lambda t: t["test"].append(t["clients"]["0"][0]), "each row to one owner"),
        (lambda t: t["clients"]["0"].append(620), "not there"),
        (lambda t: t.pop("corpus_sha256"), "no split of this version"),
        (lambda t: t["clients"].pop("3"), "no split of this version"),
        (lambda t: t.update(transfer=["a"]), "no split of this version"),
        (lambda t: give_all_away(t, "3", "0"), "leaves a client or a part without rows"),
        (lambda t: (t["validation"].extend(t["test"]), t.update(test=[])), "without rows"),
    ],
)
def test_a_saved_split_that_was_changed_is_refused(corpus, saved, damage, message):
    path, _ = saved
    table = json.loads(path.read_text())
    damage(table)
    path.write_text(json.dumps(table))
    with pytest.raises(DataError, match=message) as caught:
        again(corpus, path)
    assert "\n" not in str(caught.value)


def test_a_split_that_is_not_there_or_not_json(corpus, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read; give"):
        again(corpus, tmp_path / "none.json")
    (tmp_path / "split.json").write_text("{")
    with pytest.raises(DataError, match="no split of this version"):
        again(corpus, tmp_path / "split.json")


# --- Flower's own partitioners


@pytest.fixture(scope="module")
def flower():
    """Rows by client, as a partitioner of flwr-datasets deals them."""
    pytest.importorskip("flwr_datasets", reason="flwr-datasets, the oracle, is not installed")
    import datasets

    def dealt(partitioner, labels):
        rows = {"row": np.arange(len(labels)), "label": labels, "group": np.arange(len(labels)) % 4}
        partitioner.dataset = datasets.Dataset.from_dict(rows)
        parts = range(partitioner.num_partitions)
        return [np.sort(partitioner.load_partition(part)["row"]) for part in parts]

    return dealt


@pytest.mark.filterwarnings("ignore:Specifying null_placement:FutureWarning")
def test_flower_deals_shards_alike(flower):
    from flwr_datasets.partitioner import ShardPartitioner

    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 400))
    theirs, ours = [], []
    for seed in range(16):
        settings = {"partition_by": "label", "num_shards_per_partition": 2, "shard_size": 100}
        shards = ShardPartitioner(num_partitions=10, seed=seed, **settings)
        for found, rows in (
            (theirs, flower(shards, labels)),
            (ours, deal(Pathological(), 10, labels, labels, seed)),
        ):
            counts = np.array([np.bincount(labels[own], minlength=5) for own in rows])
            assert set(np.unique(counts)) <= {0, 100, 200}
            assert np.all(counts.sum(axis=1) == 200)
            found.append((counts == 200).any(axis=1).mean())
    assert abs(np.mean(ours) - np.mean(theirs)) < 0.15  # 3 / 19 for both


def test_flower_deals_sizes_by_a_law_alike(flower):
    from flwr_datasets.partitioner import IdToSizeFncPartitioner

    labels = np.zeros(3000, dtype=np.int64)
    theirs = IdToSizeFncPartitioner(12, lambda rank: rank**-1.5)
    sizes = sorted(map(len, flower(theirs, labels)))
    ours = sorted(
        map(len, deal(Quantity(law="power_law", spread=1.5, min_size=1), 12, labels, labels))
    )
    # It rounds down and gives the remainder to one client, we to the largest remainders.
    assert np.abs(np.subtract(sizes, ours)).max() <= 12
    assert sum(sizes) == sum(ours)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_flower_deals_dirichlet_alike(flower, alpha):
    from flwr_datasets.partitioner import DirichletPartitioner

    labels = np.arange(2000) % 5

    def spread(shards):
        return np.std([np.bincount(labels[rows], minlength=5) for rows in shards], axis=0).mean()

    theirs = [
        spread(
            flower(
                DirichletPartitioner(
                    6, "label", alpha, min_partition_size=0, self_balancing=False, seed=seed
                ),
                labels,
            )
        )
        for seed in range(5)
    ]
    ours = [
        spread(deal(Dirichlet(alpha=alpha, min_size=1), 6, labels, labels, seed))
        for seed in range(5)
    ]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.25)


def test_flower_deals_alike_what_is_alike(flower):
    """Equal shares of one distribution: sizes to the row, labels as far as chance has it."""
    from flwr_datasets.partitioner import IidPartitioner

    labels = np.random.default_rng(0).integers(0, 5, 1003)
    theirs = flower(IidPartitioner(8), labels)
    assert sorted(map(len, theirs)) == sorted(map(len, deal(Iid(), 8, labels, labels)))
    # Flower leaves the order as it is, and here that is chance, too. For shares drawn without
    # regard to labels, a table of C - 1 by K - 1 degrees of freedom has that mean chi-square.
    tables = [_by_label(deal(Iid(), 8, labels, labels, seed)) for seed in range(60)]
    found = [_chi_square(table(labels)) for table in tables]
    assert np.mean(found) == pytest.approx(28, abs=4 * np.sqrt(2 * 28 / 60))
    assert _chi_square(_by_label(theirs)(labels)) < 28 + 4 * np.sqrt(2 * 28)


def _by_label(shards):
    return lambda labels: np.array([np.bincount(labels[rows], minlength=5) for rows in shards])


def _chi_square(counts):
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return ((counts - expected) ** 2 / expected).sum()


SIZES = [400, 250, 200, 150, 120, 80]


@pytest.mark.parametrize("alpha", [0.1, 1.0, 100.0])
def test_flower_draws_label_shares_of_given_sizes_alike(flower, alpha):
    """Where no label runs out, clients' shares are Dir(alpha) with both, as many rows as given.

    Theirs are drawn row by row; (n s - 1) / (n - 1) frees the sum of squared shares s of that.
    """
    from flwr_datasets.partitioner import InnerDirichletPartitioner

    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), sum(SIZES)))
    theirs, ours = [], []
    for seed in range(24):
        partitioner = InnerDirichletPartitioner(SIZES, "label", alpha, seed=seed)
        with pytest.warns(UserWarning, match="does not sum to the whole"):
            other = flower(partitioner, labels)
        mine = _skewed(np.array(SIZES), labels, alpha, np.random.default_rng(seed))
        assert [len(rows) for rows in other] == [len(rows) for rows in mine] == SIZES
        size = np.array(SIZES)
        theirs.append(((size * _squares(other, labels) - 1) / (size - 1)).mean())
        ours.append(_squares(mine, labels).mean())
    known = (alpha + 1) / (5 * alpha + 1)
    for found, error in ((theirs, np.std(theirs)), (ours, np.std(ours))):
        assert np.mean(found) == pytest.approx(known, abs=4 * error / np.sqrt(24) + 1e-3)
    between = np.hypot(np.std(theirs), np.std(ours)) / np.sqrt(24)
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=4 * between + 1e-3)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_flower_deals_all_rows_by_sizes_and_label_shares_alike(flower, alpha):
    """Theirs take turns row by row, ours come one after the other: so much may lie between."""
    from flwr_datasets.partitioner import InnerDirichletPartitioner

    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(5), 120))
    partition = Quantity(law="power_law", spread=0.7, min_size=1, alpha=alpha)
    theirs, ours = [], []
    for seed in range(12):
        mine = deal(partition, 6, labels, labels, seed)
        sizes = [len(rows) for rows in mine]
        other = flower(InnerDirichletPartitioner(sizes, "label", alpha, seed=seed), labels)
        assert [len(rows) for rows in other] == sizes
        assert np.array_equal(np.sort(np.concatenate(other)), np.sort(np.concatenate(mine)))
        theirs.append(_unlike(other, labels))
        ours.append(_unlike(mine, labels))
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.25)


def _unlike(shards, labels):
    """Mean total variation distance of the clients' labels to those of all."""
    counts = _by_label(shards)(labels)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return np.abs(shares - counts.sum(axis=0) / counts.sum()).sum(axis=1).mean() / 2


def _squares(shards, labels):
    """Of every client, the sum of its squared label shares."""
    counts = _by_label(shards)(labels)
    return ((counts / counts.sum(axis=1, keepdims=True)) ** 2).sum(axis=1)


def test_flower_deals_natural_groups_alike(flower):
    from flwr_datasets.partitioner import NaturalIdPartitioner

    labels = np.arange(400) % 5
    theirs = flower(NaturalIdPartitioner("group"), labels)
    assert all(map(np.array_equal, theirs, deal(Natural(), 4, labels, np.arange(400) % 4)))


@given(
    alpha=st.sampled_from([1e-6, 0.05, 0.5, 1e6]),
    clients=st.integers(1, 12),
    seed=st.integers(0, 2**16),
    law=st.sampled_from(["log_normal", "power_law"]),
)
@settings(deadline=None, max_examples=40)
def test_sizes_by_a_law_and_labels_by_dirichlet_together(alpha, clients, seed, law):
    """Sizes are to the row those without label skew, and every row has one owner."""
    labels = np.random.default_rng(seed).integers(0, 4, 240)
    groups = np.zeros(240, np.int64)
    skewed, plain = (
        Quantity(law=law, spread=1.5, min_size=3, alpha=given_).split(
            labels, groups, clients, np.random.default_rng(seed)
        )
        for given_ in (alpha, None)
    )
    assert [len(rows) for rows in skewed] == [len(rows) for rows in plain]
    assert np.array_equal(np.sort(np.concatenate(skewed)), np.arange(240))
    assert all(np.array_equal(rows, np.unique(rows)) for rows in skewed)


def test_alpha_beside_a_law_is_the_strength_of_the_label_skew():
    labels = np.tile(np.arange(5), 400)

    def unlike(alpha):
        parts = Quantity(spread=0.5, alpha=alpha).split(
            labels, np.zeros(2000, np.int64), 10, np.random.default_rng(3)
        )
        shares = [np.bincount(labels[rows], minlength=5) / len(rows) for rows in parts]
        return np.mean([np.abs(share - 0.2).sum() / 2 for share in shares])

    assert unlike(1e6) < 0.02 < 0.15 < unlike(1.0) < unlike(0.05)
    assert unlike(None) < 0.1
