"""``fedknot attack`` from the outside: files, exit codes, a finished run, the page."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from markupsafe import escape

from clients.store import Store
from common.failures import ConfigError, FolderError
from common.files import read_json, read_lines
from common.records import decode
from server.admission import predictions
from server.archive import open_student
from server.students import fingerprint
from simulations import cli
from simulations.attacks import _game
from simulations.attacks._heard import Speaker, kept_sum, summed
from simulations.attacks._page import headlines, lines, page
from simulations.attacks._release import Defence, quantised
from simulations.attacks._school import School
from simulations.attacks._session import Asked, run
from simulations.attacks._stores import choose, open_run
from simulations.attacks._taken import take
from simulations.events import silent
from simulations.finished import one_thread
from simulations.runner import execute
from tests.simulations.attacks.scenes import SMALL
from tests.worlds import TINY, tiny_with

OPEN = (
    "clients.vetting = { max_probes = 1.0, max_copies = 1.0, max_alike = 1.0, max_family = 1.0,"
    " max_overlap = 1.0 }"
)
SUMS = (
    "wire.secure_sum = true; k_min = 2; server.weighting = 'uniform'",
    "server.aggregator = 'mean'",
)
LEARNT = (
    "data.dataset = { kind = 'synthetic', size = 400, num_labels = 3, separation = 0.1 }",
    "clients.teacher = 'frozen_linear'",
    "clients.encoder = { kind = 'hashing', dimensions = 128 }",
)
NOISELESS = (
    "clients.mechanism = { kind = 'dp_gd', epsilon_target = 1e8, clip = 100.0, steps = 200,"
    " learning_rate = 1.0, delta = 1e-5 }"
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
    kinds_of = {"adaptive", "label_only", "lira", "naive", "rmia", "rmia_disjoint"}
    [by] = [line for line in text.splitlines() if line.startswith("worst hit, by ")]
    assert by.split()[3].rstrip(":") in kinds_of
    hit = next(r for r in rows if r["attack"] == best["attack"])["figures"]["worst"]
    numbers = [made["game"]["candidate_rows"][place] for place in hit["candidates"]]
    assert by.endswith(f"(rows {', '.join(map(str, numbers))})")
    shown = page(made)
    assert by.split(" apart ")[1] in shown
    others = [row for row in made["findings"] if "auc" not in row["figures"]]
    assert others
    assert all(escape(row["sentence"]) in shown for row in others)
    assert "tv_blind" not in shown
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
    found = {
        row["attack"]: row["figures"] for row in made["findings"] if row["defence"] == "8 bits"
    }
    ranked = [row for row in made["findings"] if "auc" in row["figures"]]
    assert {row["place"] for row in ranked} == {"disjoint", "student"}
    assert {"float32", "8 bits"} == {row["defence"] for row in ranked}
    played = {row["attack"] for row in made["findings"]}
    assert played | set(made["not_played"]) == set(_kinds())
    assert not played & set(made["not_played"])
    assert set(made["not_played"].values()) == {
        "no candidate is among the texts that this run's clients were asked about",
        "it draws pictures, and these are texts",
        "this run promises nothing that could be refuted",
    }
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


def test_the_students_accuracy_is_that_of_the_run_and_stands_beside_the_unprotected_one(tmp_path):
    home = tmp_path / "run"
    finished(tiny_with(), home)
    made, _ = run(Asked(str(home), "quick"), silent)
    students = {r["defence"]: r["figures"] for r in made["findings"] if r["attack"] == "student"}
    accuracy = read_json(home / "summary.json")["student"]["accuracy"]
    assert students["8 bits"]["accuracy"] == pytest.approx(accuracy)
    assert made["without_protection"] == students["float32"]["accuracy"]


def test_what_the_server_would_learn_from_the_same_answers_is_its_own_student(tmp_path):
    """The school of the attack is the server's: from the releases it makes the same bits."""
    home = tmp_path / "run"
    finished(tiny_with(), home)
    taken = _taken(home)
    heard = {
        k: predictions(decode(taken.run.release(k).read_bytes(), taken.run.terms.layout, 1, k), 8)
        for k in taken.scenes
    }
    with one_thread():
        made = School(taken.run).student(heard)
    assert fingerprint(made) == fingerprint(open_student(home))


def test_of_a_secure_sum_the_sum_is_attacked_and_nothing_else_of_the_release(tmp_path):
    home = tmp_path / "run"
    finished(tiny_with(*SUMS), home)
    made, _ = run(Asked(str(home), "quick"), silent)
    rows = [row for row in made["findings"] if row["defence"] == "secure sum"]
    assert {row["attack"] for row in rows} == {"adaptive", "label_only", "rmia_disjoint", "student"}
    assert [d["name"] for d in made["defences"] if d["own"]] == ["secure sum"]
    singles = {row["defence"] for row in made["findings"] if row["attack"] == "extraction"}
    assert singles == {"float32"}


def test_the_sum_that_is_attacked_is_the_one_that_the_server_kept(tmp_path):
    """What the clients' own teachers would have sent adds up to it, word for word."""
    home = tmp_path / "run"
    finished(tiny_with(*SUMS), home)
    taken = _taken(home)
    said = {}
    for client, scene in taken.scenes.items():
        store = taken.run.store(client)
        teacher = scene.game.recipe.restore(store.teacher(), 3)
        labels = store.shard()[1]
        how = Defence("as sent", "", quantised(8), 1 / 255)
        rng = np.random.default_rng(0)
        speaker = Speaker(taken.run, scene.game.recipe)
        said[client] = speaker.heard([teacher], [labels], how, len(labels), rng).of(0)
    np.testing.assert_array_equal(summed(taken.run, list(said.values())), kept_sum(taken.run))


def test_a_promise_that_the_teachers_do_not_keep_ends_with_seven(tmp_path, monkeypatch, capsys):
    """Positive control: the ledgers claim far more noise than was added."""
    home = tmp_path / "run"
    finished(tiny_with(*LEARNT, NOISELESS), home)
    code, _ = called(monkeypatch, capsys, home, "--quiet")
    assert code == 0
    for store in (Store(path) for path in sorted((home / "clients").iterdir())):
        [line] = store.spendings()
        entry = json.loads(line)
        store.keep_teacher(store.teacher(), spent=json.dumps(entry | {"noise_multiplier": 1e4}))
    code, said = called(monkeypatch, capsys, home, "--quiet")
    assert code == 7
    assert "more of the members than the guarantee of this run allows" in said.err


def test_answers_are_not_held_against_a_guarantee_that_covers_the_student_alone(tmp_path):
    """A trusted server hides clients from its student; what they answer shows them whole."""
    home = tmp_path / "run"
    hidden = (
        "server.weighting = 'uniform'; server.aggregator = 'mean'; server.hiding = 'noisy_mean'",
        "clients.teacher = { kind = 'frozen_linear', penalty = 1e-3 }",
    )
    finished(tiny_with(*LEARNT, *hidden), home)
    assert read_json(home / "summary.json")["privacy"]["unit"] == "client"
    made, _ = run(Asked(str(home), "quick"), silent)
    [found] = [
        row["figures"]
        for row in made["findings"]
        if row["attack"] == "adaptive" and row["defence"] == "8 bits"
    ]
    assert found["auc_interval"][0] > 0.65  # far beyond a coin
    assert made["faults"] == []
    assert not any("bound" in row["figures"] for row in made["findings"])
    assert [d["mu"] for d in made["defences"]] == [None, None]


def test_r27_an_audit_that_refutes_the_claim_ends_with_seven(tmp_path, monkeypatch, capsys):
    """Positive control: the experiment's noise is seeded, and its auditor knows the seed."""
    monkeypatch.setitem(_game.SIZES, "quick", replace(SMALL, audits=16))
    seeded = (
        "clients.mechanism = { kind = 'dp_gd', epsilon_target = 2.0, noise_seed = 7, "
        "learning_rate = 0.01, momentum = 0.0 }"
    )
    words = ["synthetic", "--out", tmp_path, "--quiet"]
    for override in (*TINY, *LEARNT, seeded):
        words += ["--set", override]
    code, said = called(monkeypatch, capsys, *words)
    assert code == 7
    assert "the noise is seeded, remove noise_seed" in said.err
    made = read_json(tmp_path / "attack.json")
    [found] = [row for row in made["findings"] if row["attack"] == "audit"]
    assert found["figures"]["epsilon_lower"] > found["figures"]["epsilon_claimed"]
    assert found["figures"]["replayed"]


def test_the_audit_of_a_run_is_of_its_own_mechanism(tmp_path):
    home = tmp_path / "run"
    wanted = "clients.mechanism = { kind = 'dp_gd', epsilon_target = 4.0, steps = 5 }"
    finished(tiny_with("clients.teacher = 'frozen_linear'", wanted), home)
    made, _ = run(Asked(str(home), "quick"), silent)
    [found] = [row for row in made["findings"] if row["attack"] == "audit"]
    assert found["defence"] == "dp_gd"
    assert found["figures"]["epsilon_claimed"] == pytest.approx(4.0, abs=1e-3)
    mu = read_json(home / "privacy.json")["guarantee"]["mu"]
    [own] = [d for d in made["defences"] if d["own"]]
    assert own["mu"] == pytest.approx(mu, abs=1e-6)
    assert "audit" not in made["not_played"]


def test_members_and_others_are_pairs_of_one_group_and_label(tmp_path):
    home = tmp_path / "run"
    finished(tiny_with(*LEARNT), home)
    opened = open_run(home, SMALL)
    picked = choose(opened, range(4))
    assert picked.alike
    for client, mine in picked.members.items():
        held, rows = opened.store(client).shard()[1], opened.parts.clients[client]
        others = picked.others[client]
        assert len(set(mine)) == len(set(others)) == len(mine)
        np.testing.assert_array_equal(held[mine], opened.corpus.labels[others])
        np.testing.assert_array_equal(
            opened.corpus.groups[rows[mine]], opened.corpus.groups[others]
        )
        assert set(others) <= set(opened.parts.test)


def test_data_that_was_corrupted_is_held_against_no_guarantee(tmp_path):
    home = tmp_path / "run"
    noise = "data.corruptions = [{ kind = 'label_noise', rate = 0.5, clients = [0] }]"
    finished(tiny_with(noise), home)
    assert not choose(open_run(home, SMALL), range(4)).alike


def _taken(home):
    with one_thread():
        return take(open_run(home, SMALL), silent)
