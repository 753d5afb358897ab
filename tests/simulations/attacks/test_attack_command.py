"""``fedknot attack`` from the outside: files, exit codes, a finished run, the page."""

import json
import sys

import numpy as np
import pytest

from common.failures import ConfigError, DataError, FolderError
from common.files import read_json, read_lines
from simulations import cli
from simulations.attacks import _finished, _game
from simulations.attacks._page import headlines, lines, page
from simulations.attacks._session import Asked, run
from simulations.events import silent
from simulations.runner import execute
from tests.simulations.attacks.scenes import SMALL
from tests.worlds import TINY, tiny_with

OPEN = (
    "clients.vetting = { max_probes = 1.0, max_copies = 1.0, max_alike = 1.0, max_family = 1.0,"
    " max_overlap = 1.0 }"
)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(_game.SIZES, "quick", SMALL)


def attacked(folder, *overrides, seed=None):
    return run(Asked("synthetic", "quick", (*TINY, *overrides), seed, folder), silent)


def finished(experiment, home):
    execute(experiment, "synthetic", out=home, backend="inline", address=None, progress=silent)


def called(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["fedknot", "attack", *map(str, words)])
    code = cli._call()
    return code, capsys.readouterr()


def test_the_same_call_gives_the_same_figures_and_files(tmp_path):
    first, folder = attacked(tmp_path / "a")
    second, _ = attacked(tmp_path / "b")
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    assert read_json(folder / "attack.json") == first
    assert (folder / "attack.html").read_text("utf-8") == page(first)
    other, _ = attacked(tmp_path / "c", seed=8)
    assert other["findings"] != first["findings"]


def test_what_is_told(tmp_path):
    made, folder = attacked(tmp_path)
    played = {row["attack"] for row in made["findings"]}
    assert played | set(made["not_played"]) == set(_kinds())
    assert set(made["not_played"]) == {"inversion"}
    assert [d["name"] for d in made["defences"]][:3] == ["float32", "8 bits", "hard label"]
    best = made["strongest"]["8 bits"]["auc"]
    rows = [r for r in made["findings"] if r["defence"] == "8 bits" and "auc" in r["figures"]]
    assert best["value"] == max(r["figures"]["auc"] for r in rows if r["place"] != "student")
    text = "\n".join(lines(made, folder))
    assert "strongest attack on" in text
    assert all(sentence in text for _, sentence in headlines(made))
    assert "http" not in page(made).replace("http://www.w3.org", "")  # opens from disk alone


def _kinds():
    from common.configure import kinds
    from simulations.attacks import Attack

    return kinds(Attack)


def test_a_bag_of_words_betrays_its_words_to_probes_and_vetting_refuses_them(tmp_path):
    made, _ = attacked(tmp_path)
    (found,) = [row["figures"] for row in made["findings"] if row["attack"] == "token_probe"]
    assert found["float32"] == 1.0
    assert found["refused"]
    assert found["passes_unvetted"]
    assert made["faults"] == []


def test_clients_that_vet_nothing_fail_the_gate_with_seven(tmp_path, monkeypatch, capsys):
    words = ["synthetic", "--out", tmp_path, "--json"]
    for override in (*TINY, OPEN):
        words += ["--set", override]
    code, said = called(monkeypatch, capsys, *words)
    assert code == 7
    assert "clients.vetting" in said.err
    assert "clients.vetting" in json.loads(said.out)["faults"][0]
    assert "A check failed" in (tmp_path / "attack.html").read_text("utf-8")


def test_refusals(tmp_path):
    (tmp_path / "other").write_text("mine")
    with pytest.raises(FolderError, match="not empty"):
        attacked(tmp_path)
    with pytest.raises(FolderError, match="not a run folder"):
        run(Asked(str(tmp_path), "quick"), silent)
    with pytest.raises(ConfigError, match="unknown experiment"):
        run(Asked("nothing", "quick", out=tmp_path / "new"), silent)


def test_a_finished_run_is_attacked_through_its_own_releases(tmp_path):
    experiment = tiny_with("data.partition = { kind = 'dirichlet', alpha = 0.5 }")
    home = tmp_path / "run"
    finished(experiment, home)
    made, folder = run(Asked(str(home), "quick"), silent)
    assert folder == home
    assert made["run"] == "run"
    found = {row["attack"]: row["figures"] for row in made["findings"]}
    assert set(found) == {"adaptive", "extraction", "label_distribution"}
    assert found["adaptive"]["targets"] == 4
    counts = [
        np.bincount([row["label"] for row in read_lines(path)], minlength=3)
        for path in sorted(home.glob("clients/*/shard.jsonl"))
    ]
    shares = np.stack([c / c.sum() for c in counts])
    blind = np.sum(counts, axis=0) / np.sum(counts)
    expected = np.abs(shares - blind).sum(axis=1).mean() / 2
    assert found["label_distribution"]["tv_blind"] == pytest.approx(expected)
    held = read_json(home / "split.json")
    for client, rows in made["game"]["candidate_rows"].items():
        half = len(rows) // 2
        assert set(rows[:half]) <= set(held["clients"][str(client)])
        assert set(rows[half:]) <= set(held["test"])
    with pytest.raises(ConfigError, match="leave out --set"):
        run(Asked(str(home), "quick", seed=3), silent)
    again, _ = run(Asked(str(home), "quick", out=tmp_path / "elsewhere"), silent)
    assert again["findings"] == made["findings"]


def test_a_secure_sum_has_no_release_of_one(tmp_path):
    experiment = tiny_with(
        "wire.secure_sum = true; k_min = 2; server.weighting = 'uniform'",
        "server.aggregator = 'mean'",
    )
    home = tmp_path / "run"
    finished(experiment, home)
    with pytest.raises(DataError, match="secure sum"):
        _finished.attack_run(home, "quick", silent)
