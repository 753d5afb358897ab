"""``fedknot poison`` from end to end, on a small synthetic world."""

import csv
import json
import sys

import numpy as np
import pytest
from scipy import stats

from common.configure import find, kind_of, kinds
from common.failures import ConfigError
from common.files import read_json, read_lines
from server.aggregators import Aggregator
from simulations import cli
from simulations.events import silent
from simulations.poisoning.asked import Asked, Call, plan, read_poisons, read_shares
from simulations.poisoning.files import lines
from simulations.poisoning.matrix import poison
from simulations.poisoning.report import build_poison_report
from simulations.poisons.lma import Lma
from simulations.poisons.sybil import Sybil
from tests.worlds import TINY, tiny_with

LISTS = {
    "poisons": "lma, { kind = 'sybil', clones = 2 }",
    "aggregators": "keep_all, median",
    "weightings": "knot, uniform",
    "shares": "0,0.25,0.5",
}


def call(seeds=(0, 1), **lists):
    return Call(tiny_with(), "synthetic", Asked(**(LISTS | lists)), seeds, "inline")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return poison(call(), tmp_path_factory.mktemp("poison") / "out", silent)


@pytest.fixture(scope="module")
def made(finished):
    return read_json(finished / "poison.json")


def cell(made, arm, poison, attackers):
    keys = (arm, poison, attackers)
    return next(c for c in made["cells"] if (c["arm"], c["poison"], c["attackers"]) == keys)


def test_every_rule_meets_every_lie(made):
    assert made["counts"] == [0, 1, 2]
    assert made["poisons"] == ["lma", "sybil(clones=2)"]
    assert len(made["arms"]) == 4
    assert len(made["cells"]) == 4 * (1 + 2 * 2)
    assert not any(c["refused"] for c in made["cells"])


def test_intervals_are_those_of_the_seeds(made):
    found = cell(made, "knot + transport, keep_all", "lma", 1)
    values = [row["raw"]["accuracy"] for row in found["per_seed"].values()]
    low, high = stats.t.interval(0.95, 1, np.mean(values), stats.sem(values))
    told = found["raw"]["accuracy"]
    assert told["mean"] == pytest.approx(np.mean(values))
    assert (told["low"], told["high"]) == pytest.approx((low, high))


def test_changes_are_differences_within_a_seed(made):
    arm = "uniform + transport, median"
    honest, under = cell(made, arm, None, 0), cell(made, arm, "lma", 2)
    gaps = [
        under["per_seed"][seed]["raw"]["w1"] - honest["per_seed"][seed]["raw"]["w1"]
        for seed in ("0", "1")
    ]
    assert under["change"]["raw"]["w1"]["mean"] == pytest.approx(np.mean(gaps))


def test_weight_is_the_share_of_names_where_all_weigh_the_same(made):
    arm = "uniform + transport, median"
    assert cell(made, arm, None, 0)["weight"] is None
    assert cell(made, arm, "lma", 1)["weight"] == pytest.approx(1 / 4)
    assert cell(made, arm, "sybil(clones=2)", 1)["weight"] == pytest.approx(2 / 5)
    assert cell(made, "knot + transport, keep_all", "lma", 1)["weight"] > 1 / 4


def test_one_line_per_student_and_metric(finished, made):
    with (finished / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    accuracy = [row for row in rows if row["metric"] == "accuracy"]
    assert len(accuracy) == 2 * len(made["cells"])
    assert {row["poison"] for row in accuracy} == {"nobody", "lma", "sybil(clones=2)"}


def test_the_report_is_a_pure_function_of_the_figures(finished, made):
    page = (finished / "report.html").read_text("utf-8")
    assert page == build_poison_report(made)
    assert page.count("<svg") == 3 * len(made["poisons"])
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_person_sees_the_price_with_nobody_lying(made, finished):
    said = lines(made, finished)
    assert "nobody" in "\n".join(said)
    assert sum("uniform + transport, median" in line for line in said) == 3 * 2


def test_what_is_done_is_not_done_again(finished):
    before = read_lines(finished / "lies.jsonl")
    poison(call(), finished, silent)
    assert read_lines(finished / "lies.jsonl") == before


def test_the_command(monkeypatch, capsys, tmp_path):
    words = [word for override in TINY for word in ("--set", override)]
    words += ["--poisons", "copy", "--aggregators", "mean", "--weightings", "uniform"]
    words += ["--shares", "0.25", "--seeds", "4", "--out", str(tmp_path / "out"), "--json"]
    monkeypatch.setattr(sys, "argv", ["fedknot", "poison", "synthetic", *words])
    assert cli._call() == 0
    told = json.loads(capsys.readouterr().out)
    assert [c["attackers"] for c in told["cells"]] == [0, 1]


def test_lists_as_they_are_typed():
    assert read_poisons("lma, { kind = 'sybil', clones = 2, lie = 'lma' }, lma") == (
        Lma(),
        Sybil(2, Lma()),
    )
    assert read_shares("0.1,0.12,0.3,0.99", 10) == (0, 1, 3, 9)
    assert read_shares("0.05", 10) == (0, 1)
    for wrong in ("1", "-0.1", "", "x", "nan"):
        with pytest.raises(ConfigError, match="--shares"):
            read_shares(wrong, 10)
    for wrong in ("", "lie", "{ kind = 'lma', x = 1 }"):
        with pytest.raises(ConfigError, match="--poisons"):
            read_poisons(wrong)


def test_defaults_hold_the_own_rule_and_robust_ones():
    made = plan(Call(tiny_with(), "synthetic", Asked(), (0,), "inline"))
    server = made.base.server
    assert {arm.loss for arm in made.arms} == {server.loss}
    assert made.arms[0].aggregator == server.aggregator
    tried = {kind_of(arm.aggregator) for arm in made.arms}
    robust = {kind for kind in kinds(Aggregator) if find(Aggregator, kind).robust}
    assert tried == {kind_of(server.aggregator), "mean"} | robust
    assert len(made.arms) == 2 * len(tried)


def test_all_aggregators_are_every_kind():
    made = plan(Call(tiny_with(), "synthetic", Asked(aggregators="all"), (0,), "inline"))
    assert {kind_of(arm.aggregator) for arm in made.arms} == set(kinds(Aggregator))


def test_single_answers_are_needed():
    hidden = tiny_with(
        "wire.secure_sum = true",
        "k_min = 3",
        "server.aggregator = 'mean'",
        "server.weighting = 'uniform'",
    )
    with pytest.raises(ConfigError, match="secure sum"):
        plan(Call(hidden, "synthetic", Asked(), (0,), "inline"))
