import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import beta, kstest

from common.failures import ConfigError
from simulations.partitions.dirichlet import Dirichlet, proportions, raise_to
from simulations.partitions.iid import Iid
from simulations.partitions.natural import Natural

GROUPS = np.repeat([0, 1, 2, 3], [90, 100, 110, 120])
LABELS = np.arange(420) % 5


def deal(partition, num_clients, labels=LABELS, groups=GROUPS, seed=0):
    return partition.split(labels, groups, num_clients, np.random.default_rng(seed))


def class_shares(shards, labels=LABELS):
    return np.array([np.bincount(labels[rows], minlength=5) / len(rows) for rows in shards])


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
    with pytest.raises(ValidationError):
        Dirichlet(**settings)
