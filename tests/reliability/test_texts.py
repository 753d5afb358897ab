"""R18, R19: whatever texts and labels a client holds, its rows are distributions."""

import json

import numpy as np

from common.files import read_json, read_lines, write_lines
from common.quantise import to_probs
from common.records import decode
from common.terms import Terms
from simulations import load
from simulations.events import silent
from simulations.loop import federate
from tests.reliability.commands import INLINE, SMALL, summary_of
from tests.reliability.datasets.odd_texts import ODDITIES
from tests.worlds import tallies

ANYTHING = (
    "clients.vetting = { max_probes = 1.0, max_copies = 1.0, max_alike = 1.0, max_family = 1.0,"
    " max_overlap = 1.0 }"
)
LONGER = ("--set", "clients.teacher.min_steps = 200")


def odd(**fields):
    listed = ", ".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
    return f"data.dataset = {{ kind = 'odd_texts', {listed} }}"


def rows_of(folder, server_round=1):
    """Predictions (N, C) of every client that answered, as they crossed."""
    terms = Terms.read(folder / "terms.json")
    releases = sorted((folder / "releases" / str(server_round)).glob("*.bin"))
    made = {
        int(p.stem): decode(p.read_bytes(), terms.layout, server_round, int(p.stem))
        for p in releases
    }
    return {client: to_probs(record.codes, terms.bits) for client, record in made.items()}


def are_distributions(probs, rows, classes):
    assert probs.shape == (rows, classes)
    assert np.isfinite(probs).all()
    assert (probs >= 0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)


def test_r18_texts_of_any_kind(call, odd_texts, tmp_path):
    """Every other text of every party is odd; no row is dropped, and none changes its place."""
    folder, where = tmp_path / "run", ("--set", odd(odd=True, size=416), "--set", ANYTHING)
    done = call("run", *SMALL, *where, *INLINE, "--out", folder)
    assert (done.code, done.err) == (0, "")
    shared = [row["text"] for row in read_lines(folder / "transfer.jsonl")]
    held = [r["text"] for k in range(4) for r in read_lines(folder / f"clients/{k}/shard.jsonl")]
    assert set(ODDITIES.values()) <= set(shared)
    assert set(ODDITIES.values()) <= set(held)
    rows = rows_of(folder)
    assert sorted(rows) == [0, 1, 2, 3]
    for probs in rows.values():
        are_distributions(probs, len(shared), 3)
        for text in ODDITIES.values():
            same = probs[[text == other for other in shared]]
            assert (same == same[0]).all()
    are_distributions(load(folder).student(list(ODDITIES.values())), len(ODDITIES), 3)
    assert call("inspect", folder).code == 0
    assert call("report", folder).code == 0


def test_r18_clients_refuse_a_set_of_copies(call, odd_texts, tmp_path):
    """By default many duplicates are taken for probes, and the reason stays with the client."""
    words = ("--set", odd(shards="copies"), *INLINE, "--out", tmp_path / "run")
    done = call("run", *SMALL, *words)
    assert done.code == 3
    assert done.is_one_line("refused")
    log = (tmp_path / "run" / "clients" / "0" / "log.txt").read_text()
    assert "copies" in log


def test_r18_a_hundred_thousand_copies_are_borne_with_if_one_says_so(provisioned):
    """What clients make of their own copies is their matter: no row is dropped."""
    shard = provisioned / "clients" / "1" / "shard.jsonl"
    write_lines(shard, [{"text": "again", "label": n % 2} for n in range(100_000)])
    federate(provisioned, silent)
    assert tallies(provisioned)[1] == ("answered", "accepted")
    are_distributions(rows_of(provisioned)[1], Terms.read(provisioned / "terms.json").rows, 3)


def test_r19_one_label_the_same_text_and_a_label_never_seen(call, odd_texts, tmp_path):
    words = ("--set", odd(shards="edges", size=240), "--set", ANYTHING, *INLINE, *LONGER)
    done = call("run", *SMALL, *words, "--out", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    terms, rows = Terms.read(tmp_path / "run" / "terms.json"), rows_of(tmp_path / "run")
    assert terms.labels == ("grade 0", "grade 1", "grade 2")
    for probs in rows.values():
        are_distributions(probs, terms.rows, 3)
    assert (rows[0].argmax(axis=1) == 0).all()
    assert summary_of(tmp_path / "run")["clients"]["answered"] == 4


def test_r19_no_example_one_example_and_all_of_one_class(provisioned):
    """Stores are edited before anybody acts; the client with nothing says "I do not know"."""
    shards = [provisioned / "clients" / str(k) / "shard.jsonl" for k in range(4)]
    held = read_lines(shards[3])
    write_lines(shards[0], [])
    write_lines(shards[1], held[:1])
    write_lines(shards[2], [row | {"label": 2} for row in held])
    federate(provisioned, silent)
    assert set(tallies(provisioned).values()) == {("answered", "accepted")}
    rows, terms = rows_of(provisioned), Terms.read(provisioned / "terms.json")
    for probs in rows.values():
        are_distributions(probs, terms.rows, 3)
    assert np.abs(rows[0] - 1 / 3).max() < 0.01
    assert read_json(provisioned / "checkpoint" / "server.json")["clients"]["answered"] == 4
