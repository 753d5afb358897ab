"""What grows with the number of clients: figures by hand, and tiny runs that are really watched."""

import json
import math

import pytest

from common.failures import ConfigError, Failure
from simulations import cli
from simulations.benches import apart, scale
from simulations.benches._gauge import Sample
from simulations.benches._promises import verdicts
from simulations.benches._scale_world import overrides
from simulations.events import silent
from simulations.experiment_file import read
from simulations.provision import divide
from tests.simulations.watched_commands import FEDKNOT, python


def run_of(clients, **figures):
    return {"clients": clients} | dict.fromkeys(scale.FIGURES) | figures


def sample(done, cpu, kind="serve"):
    return Sample(done, kind, 1, 1e5, None, None, cpu)


@pytest.mark.parametrize("work", ["trivial", "real", "side_by_side"])
def test_only_the_number_of_clients_differs(work):
    """Shared, validation and test rows and rows per client are the same for every K."""
    found = set()
    for clients in (1, 7, 130):
        _, parts = divide(read("synthetic", [overrides(work, clients, 2)]))
        (each,) = {len(rows) for rows in parts.clients}
        found.add((len(parts.transfer), len(parts.validation), len(parts.test), each))
    assert len(found) == 1


def test_cpu_is_that_of_whole_rounds_of_the_server():
    seen = [
        sample(0, 9.0),
        sample(1, 10.0),
        sample(1, 10.4),
        sample(3, 11.0, "worker"),
        sample(3, 12.0),
        sample(5, 14.0),
        sample(5, 99.0),
    ]
    assert scale.cpu_per_round(seen) == pytest.approx((14.0 - 10.0) / (5 - 1))


def test_cpu_of_one_process_that_is_all():
    seen = [sample(1, 2.0, "driver"), sample(2, 3.0, "driver")]
    assert scale.cpu_per_round(seen) == pytest.approx(1.0)


def test_cpu_of_too_few_rounds_is_not_told():
    assert scale.cpu_per_round([sample(0, 1.0), sample(2, 3.0)]) is None


def test_growth_of_what_is_known_by_hand():
    """3 + 2 K seconds; a memory that stays; a figure that nobody has."""
    runs = [run_of(k, round_seconds=3 + 2.0 * k, driver_peak_mb=300.0) for k in (10, 100, 1000)]
    grown = scale.growth(runs)
    assert grown["round_seconds"]["per_client"] == pytest.approx(2.0)
    assert grown["round_seconds"]["exponent"] == pytest.approx(math.log10(2003 / 203))
    assert grown["driver_peak_mb"] == {"per_client": 0.0, "exponent": 0.0}
    assert grown["driver_cpu_seconds"] == {"per_client": None, "exponent": None}


def test_floors_are_those_of_1000_clients():
    few = run_of(100, round_seconds=0.1, driver_peak_mb=300.0)
    many = run_of(1000, round_seconds=0.7, driver_cpu_seconds=0.2, driver_peak_mb=345.0)
    found = {floor["what"]: floor for floor in scale.floors([few, many], "trivial")}
    assert [floor["holds"] for floor in found.values()] == [False, True, True]
    assert found["driver memory per client [kB]"]["found"] == pytest.approx(50.0)
    assert {floor["holds"] for floor in scale.floors([few], "trivial")} == {None}
    alone = scale.floors([many], "trivial")  # there is no increment of one run
    assert [floor["found"] for floor in alone] == [0.7, 0.2, None]
    assert [
        line.rpartition(": ")[2] for line in verdicts(scale.floors([few, many], "trivial"))
    ] == [
        "MISSED",
        "met",
        "met",
    ]
    assert all("not measured" in line for line in verdicts(scale.floors([few], "trivial")))


def test_apart_is_one_by_one_over_side_by_side():
    """By hand: 160 over 80 seconds in all, of these 90 over 10 of training."""
    times = {"real": (160.0, 90.0), "side_by_side": (80.0, 10.0)}

    def told(work, clients):
        total, teachers = times[work]
        runs = [run_of(k, total_seconds=total, teachers_seconds=teachers) for k in clients]
        plan = {"work": work, "backend": "inline", "rounds": 2, "clients": clients}
        return {"plan": plan, "runs": runs, "growth": scale.growth(runs), "floors": []}

    made = apart.apart({work: told(work, [10, 1000]) for work in apart.WORLDS})
    fewer = apart.apart({work: told(work, [10]) for work in apart.WORLDS})
    assert [(q["total_seconds"], q["teachers_seconds"]) for q in made["quotients"]] == [(2, 9)] * 2
    assert [floor["holds"] for floor in made["floors"]] == [False, True]
    assert [floor["holds"] for floor in fewer["floors"]] == [None, None]
    shown = apart.lines(made)
    assert shown[-2].endswith("at least 8, found 2: MISSED")
    assert shown[-1].endswith("at least 8, found 9: met")


@pytest.mark.parametrize("text", ["", "10;20", "ten"])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(ConfigError, match="10,100,1000"):
        scale.counts(text)


@pytest.mark.parametrize("clients", [[], [0, 2], [4, 4], [5, 2]])
def test_counts_ascend(clients):
    with pytest.raises(ConfigError, match="ascend"):
        scale.scale_bench(clients, "inline", silent)


def test_one_round_is_too_few():
    with pytest.raises(ConfigError, match="rounds"):
        scale.scale_bench([2], "inline", silent, rounds=1)


@pytest.mark.timeout(600)
def test_runs_are_watched(monkeypatch, capsys):
    """By the command, inline: what server and clients cost is one process's."""
    monkeypatch.setattr(scale, "COMMAND", FEDKNOT)
    monkeypatch.setattr(scale, "SAMPLE_SECONDS", 0.05)
    words = ["bench", "scale", "--clients", "2,6", "--rounds", "6", "--backend", "inline"]
    assert cli.app([*words, "--json"], standalone_mode=False) in (None, 0)
    made = json.loads(capsys.readouterr().out)
    assert [run["clients"] for run in made["runs"]] == [2, 6]
    for run in made["runs"]:
        assert run.keys() == {"clients", *scale.FIGURES}
        assert 0 < run["start_seconds"] < run["total_seconds"]
        assert 0 < run["round_seconds"] < run["total_seconds"]
        assert 50 < run["driver_peak_mb"] == run["worker_peak_mb"]
        assert run["workers_peak_mb"] is None
    assert made["growth"].keys() == scale.FIGURES.keys()
    assert {floor["found"] for floor in made["floors"]} == {None}
    shown = scale.lines(made)
    assert any(line.startswith("driver [MB]") for line in shown)


def test_a_run_that_fails_is_reported():
    broken = python("print('fedknot: no luck'); raise SystemExit(4)")
    with pytest.raises(Failure, match="no luck"):
        scale.scale_bench([2], "inline", silent, every=0.05, command=broken)
