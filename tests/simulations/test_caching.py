"""Rounds that ask about a part of the texts: the same bits everywhere, and fewer bytes."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from common.failures import ConfigError, DataError
from common.files import read_lines
from common.quantise import to_codes
from common.reasons import Reason
from common.records import SERVER, Record, decode, encode
from common.terms import Terms
from server.app import serve
from server.checkpoint import CACHE, CONSENSUS
from server.plan import open_coordinator
from simulations.attacks._finished import attack_run
from simulations.comparing.choices import Asked, choose
from simulations.comparing.comparison import base_of
from simulations.diagnostics import diagnose
from simulations.events import silent
from simulations.experiment_file import read
from simulations.folder import create, summary_of
from simulations.inspection import inspect, table
from simulations.loop import federate
from simulations.preview import preview
from simulations.preview import table as plan_table
from simulations.runner import execute
from simulations.verification import verify
from simulations.what_crossed import crossed
from tests.local_grid import LocalGrid
from tests.simulations.kills import killed_at
from tests.simulations.test_rounds import content, cut_short, lines, log, near, work
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with

BACK = (
    "num_rounds = 4",
    "server.weighting = 'uniform'; server.aggregator = { kind = 'power_mean', power = 2.0 }",
    "server.feedback = 'consensus'",
    "clients.refinement = { kind = 'digest_revisit', digest_epochs = 4 }",
)
SILENT = ("num_rounds = 3", "server.aggregator = 'mean'", "server.weighting = 'uniform'")
CACHE_OF = "server.cache = {{ kind = 'soft_labels', share = {}, duration = {} }}".format
HALF = CACHE_OF(0.5, 1)
HASTE = "server.timeouts = { encode = 0.2, teachers = 0.2, refine = 0.2, predict = 0.2 }"
SHARE = "server.cohort = { kind = 'random_share', share = 0.5 }"


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("server.patience._POLL_SECONDS", 0.001)
    monkeypatch.setattr("server.nodes._CONNECT_SECONDS", 0.5)


def ran(home, *overrides):
    folder = stocked(tiny_with(*overrides), home)
    federate(folder, silent)
    return folder


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("half") / "run", *BACK, HALF)


@pytest.mark.parametrize("world", [BACK, SILENT])
@pytest.mark.parametrize("kind", ["consensus", "student"])
def test_a_cache_that_keeps_nothing_and_draws_all_changes_nothing(tmp_path, world, kind):
    more = (f"server.feedback = '{kind}'",) if world is BACK else ()
    plain = ran(tmp_path / "plain", *world, *more)
    cached = ran(tmp_path / "cached", *world, *more, CACHE_OF(1.0, 0))
    assert hashes(cached)[0] == hashes(plain)[0]
    assert lines(cached) == lines(plain)
    for key in ("bytes_up", "bytes_down"):
        assert outcome(cached)[key] == outcome(plain)[key]
    for path in plain.glob("releases/*/*.bin"):
        assert (cached / path.relative_to(plain)).read_bytes()[56:] == path.read_bytes()[56:]


def released(folder, number):
    """The mean of all answers of a round, squared and scaled, by text."""
    terms = Terms.read(folder / "terms.json")
    layout, asked = terms.layout_of(number), terms.asked(number).tolist()
    paths = sorted((folder / "releases" / str(number)).glob("*.bin"))
    records = [decode(p.read_bytes(), layout, number, int(p.stem)) for p in paths]
    mean = sum(record.codes.astype(float) for record in records) / len(records)
    powers = mean**2
    return dict(zip(asked, powers / powers.sum(axis=1, keepdims=True), strict=True))


def test_from_the_releases_alone_comes_what_is_kept_and_what_is_said_back(half):
    terms, cache = Terms.read(half / "terms.json"), {}
    for number in (1, 2, 3, 4):
        new = released(half, number)
        cache |= new
        home = half / "checkpoint" / str(number)
        if not home.exists():  # only two are kept
            continue
        kept = load_file(home / CACHE)
        known = np.flatnonzero(kept["weights"])
        assert known.tolist() == sorted(cache)
        for row, probs in cache.items():
            np.testing.assert_allclose(kept["probs"][row], probs, atol=1e-6)
        layout = terms.layout_down_of(number + 1)
        said = decode((home / CONSENSUS).read_bytes(), layout, number + 1, SERVER)
        np.testing.assert_allclose(said.codes / 255, list(new.values()), atol=1.01 / 255)


def test_bytes_go_down_as_reckoned(half, tmp_path):
    terms, plain = Terms.read(half / "terms.json"), ran(tmp_path / "plain", *BACK)
    sizes = [len(terms.asked(number)) for number in (1, 2, 3, 4)]
    assert sizes[0] == terms.rows // 2
    assert all(0 < size < sizes[0] for size in sizes[1:])
    up = [4 * (56 + 3 * size) for size in sizes]
    assert [line["bytes_up"] for line in read_lines(half / "rounds.jsonl")] == up
    assert outcome(half)["bytes_up"] == sum(up)
    down = 4 * sum(44 for _ in sizes) + 4 * sum(56 + 3 * size for size in sizes[:-1])
    assert outcome(half)["bytes_down"] == down
    assert outcome(plain)["bytes_up"] == 4 * 4 * (56 + 3 * terms.rows) > 1.7 * sum(up)
    assert preview(tiny_with(*BACK, HALF))["bytes_up"] == sum(up)
    assert preview(tiny_with(*BACK))["bytes_up"] == outcome(plain)["bytes_up"]


def test_a_plan_tells_the_most_and_the_sum():
    plan = preview(tiny_with(*BACK, HALF))
    most, total = plan["bytes_up_per_client_and_round"], plan["bytes_up_per_client"]
    assert f"sends {most:,} bytes a round at most, {total:,} bytes in all" in plan_table(plan)[1]
    assert plan["rounds"][0]["up"] == most > total / 4


@pytest.mark.parametrize(("more", "nodes"), [((), 1), ((SHARE,), 3)])
def test_the_same_bits_on_both_back_ends(tmp_path, more, nodes):
    expected = ran(tmp_path / "inline", *BACK, HALF, HASTE, *more)
    folder = stocked(tiny_with(*BACK, HALF, HASTE, *more), tmp_path / "grid")
    serve(LocalGrid(nodes, backwards=nodes == 3), folder, silent)
    assert hashes(folder) == hashes(expected)
    assert lines(folder) == lines(expected)
    assert sorted(log(folder)) == sorted(log(expected))
    assert tallies(folder) == tallies(expected)


def test_a_question_says_nothing_new(half):
    """The same 44 bytes as ever, of which the round alone differs: no text is named."""
    asked = [e for e in read_lines(half / "audit" / "server.jsonl") if e["schema"] == 1]
    assert {e["bytes"] for e in asked if e["direction"] == "down"} == {44}
    fields = {e["schema"] for e in read_lines(half / "audit" / "server.jsonl")}
    assert fields == {1, 4}


ROWS = {
    "all texts": lambda terms: np.arange(terms.rows),
    "all that was drawn": lambda terms: terms.asking.drawn(2),
    "one text more": lambda terms: np.arange(len(terms.asked(2)) + 1),
    "one text less": lambda terms: np.arange(len(terms.asked(2)) - 1),
    "no text": lambda terms: np.arange(0),
}


@pytest.mark.parametrize("what", ROWS)
def test_an_answer_about_other_texts_than_asked_is_refused_by_name(half, tmp_path, what):
    folder = stocked(tiny_with(*BACK, HALF), tmp_path / "run")
    coordinator, terms = open_coordinator(folder, silent)
    question = coordinator.ask(2)
    coordinator.books.sent(question, coordinator.cohort)
    rows = ROWS[what](terms)
    probs = np.random.default_rng(0).dirichlet(np.ones(3), len(rows)) if len(rows) else None
    codes = np.zeros((0, 3), np.uint16) if probs is None else to_codes(probs, 8)
    layout = replace(terms.layout, rows=len(rows))
    verdict = coordinator.admit(question, 1, encode(Record(2, 1, codes), layout))
    longer = len(rows) > len(terms.asked(2))
    assert verdict is (Reason.too_large if longer else Reason.wrong_length)
    # Nor may the header say of the right bytes that they are about all.
    right = terms.layout_of(2)
    good = encode(Record(2, 2, to_codes(np.ones((right.rows, 3)), 8)), right)
    lied = good[:16] + terms.rows.to_bytes(4, "little") + good[20:]
    assert coordinator.admit(question, 2, lied) is Reason.not_canonical
    assert coordinator.admit(question, 2, good) is Reason.accepted


def test_where_all_is_known_an_empty_answer_says_who_is_there(tmp_path):
    folder = ran(tmp_path / "run", *BACK, CACHE_OF(1.0, 50), "server.weighting = 'knot'")
    told = read_lines(folder / "rounds.jsonl")
    assert [line["answered"] for line in told] == [4] * 4
    assert [line["bytes_up"] for line in told[1:]] == [4 * (56 + 3)] * 3  # header and bias
    found = inspect(folder, None, None)
    assert [row["mean_entropy"] is None for row in found["messages"]] == [False] * 4 + [True] * 12
    assert json.dumps(found, allow_nan=False)
    losses = [line["loss"] for line in told]
    assert len(set(losses)) == 4  # the student learns on from what was kept


def test_who_is_absent_now_and_then_does_no_harm(tmp_path):
    gone = "clients.availability = { kind = 'random_dropout', rate = 0.4 }"
    one = ran(tmp_path / "one", *BACK, HALF, gone, "num_rounds = 6")
    two = ran(tmp_path / "two", *BACK, HALF, gone, "num_rounds = 6")
    assert hashes(one) == hashes(two)
    answered = [line["answered"] for line in read_lines(one / "rounds.jsonl")]
    assert min(answered) < 4
    assert {why for why, _ in tallies(one).values()} <= {"answered", "lost"}
    assert inspect(one, None, None)["sides_agree"]


def test_both_sides_agree_and_every_byte_is_accounted_for(half):
    found = inspect(half, None, None)
    assert found["sides_agree"]
    terms = Terms.read(half / "terms.json")
    assert f"up to {terms.rows // 2} of {terms.rows} x 3" in "\n".join(table(found))
    told = crossed(half, False)
    assert sum(row["bytes"] for row in told["fields"]) == told["up"]["bytes"]
    predictions = next(row for row in told["fields"] if row["field"] == "predictions")
    assert predictions["messages"] == 16
    assert predictions["shape"] == f"{terms.rows // 2} x 3"
    assert predictions["bytes_per_message"] == 3 * (terms.rows // 2)


def test_pictures_are_about_texts_that_were_asked_about(half):
    terms = Terms.read(half / "terms.json")
    coordinator, _ = open_coordinator(half, silent)
    made = diagnose(half, terms, tiny_with(*BACK, HALF).server, coordinator.learner.student)
    texts = [line["text"] for line in read_lines(half / "transfer.jsonl")]
    assert made["disputes"]
    for dispute in made["disputes"]:
        assert dispute["row"] in terms.asked(4)
        assert texts[dispute["row"]].split()[0] == dispute["text"].split()[0]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    experiment = tiny_with(*BACK, HALF, SHARE, "num_rounds = 3")
    for _ in range(2):  # once more, with features in the cache as they will be from now on
        folder = create(tmp_path_factory.mktemp("whole") / "run", "x", experiment.seed)
        with killed_at(None) as moments:
            work(experiment, folder)
    return experiment, content(folder), list(moments)


def test_killed_around_what_is_kept_and_gone_on_with(undisturbed, tmp_path):
    experiment, expected, moments = undisturbed
    chosen = near(moments, (CACHE, "consensus/2.bin", "consensus/3.bin"))
    assert len(chosen) > 10
    for moment in chosen[::7]:
        assert cut_short(experiment, tmp_path / str(moment), moment) == expected, moment


def test_killed_again_and_again(undisturbed, tmp_path):
    experiment, expected, moments = undisturbed
    later = [random.Random(0).randrange(20) for _ in range(3)]
    assert cut_short(experiment, tmp_path / "run", len(moments) // 2, *later) == expected


@pytest.mark.slow
@pytest.mark.parametrize("share", range(5))
def test_killed_at_any_moment_and_gone_on_with(undisturbed, tmp_path, share):
    experiment, expected, moments = undisturbed
    for moment in range(share, len(moments), 10):
        assert cut_short(experiment, tmp_path / str(moment), moment) == expected, moments[moment]


def test_a_damaged_cache_is_found_and_the_round_before_used(tmp_path):
    folder = ran(tmp_path / "run", *BACK, HALF)
    path, expected = folder / "checkpoint" / "4" / CACHE, hashes(folder)
    good = path.read_bytes()
    for data in (good[:-1] + b"\1", b"", None):
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        federate(folder, silent)
        assert path.read_bytes() == good
        assert hashes(folder) == expected


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    home, made = tmp_path_factory.mktemp("complete") / "run", tiny_with(*BACK, HALF)
    return execute(made, "x", out=home, backend="inline", address=None, progress=silent)


def test_verify_agrees(complete):
    assert verify(complete, silent)["hashes"] == summary_of(complete)["hashes"]


def test_who_reads_what_clients_said_of_all_texts_is_told_that_there_is_none(complete):
    with pytest.raises(DataError, match=r"a part of the texts only; .*server.cache = 'none'"):
        attack_run(complete, "quick", silent)


def test_a_comparison_asks_about_all_texts_once():
    made = tiny_with(*BACK, HALF)
    base, notes = base_of(made, choose(Asked(None, None, None, None), made))
    assert (base.server.cache, base.num_rounds) == (None, 1)
    assert any("server.cache" in note for note in notes)


WRONG = {
    "num_rounds = 2": ("num_rounds = 1",),
    "wire.secure_sum = false": ("wire.secure_sum = true; k_min = 2",),
    "clients.subclasses = 'none'": ("clients.subclasses = { count = 2 }",),
    "server.aggregator = 'mean'": ("server.aggregator = 'keep_all'",),
    "server.weighting needs known labels": (
        "server.weighting = 'validation'; data.labelled_transfer = 20",
    ),
    "server.label_weight": ("server.label_weight = 0.5; data.labelled_transfer = 20",),
    "'exp_guard' compares": ("server.aggregator = 'exp_guard'",),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_is_refused_in_one_line(said):
    with pytest.raises(ConfigError) as failure:
        tiny_with(*SILENT, HALF, *WRONG[said])
    assert said in str(failure.value)
    assert "write" in str(failure.value)
    assert "server.cache" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_setting_out_of_range_is_refused():
    for wrong in (CACHE_OF(0.0, 1), CACHE_OF(1.1, 1), CACHE_OF(0.5, -1)):
        with pytest.raises(ConfigError, match=r"server\.cache"):
            tiny_with(*BACK, wrong)


def test_it_changes_the_run_id_only_where_it_is_given():
    plain = tiny_with(*BACK).run_id
    assert tiny_with(*BACK, "server.cache = 'none'").run_id == plain
    assert (
        len({plain, tiny_with(*BACK, HALF).run_id, tiny_with(*BACK, CACHE_OF(0.5, 2)).run_id}) == 3
    )


def test_the_shipped_experiment_has_one():
    made = read("scarlet")
    assert made.num_rounds > 1
    assert made.server.cache is not None
    assert read("scarlet", ["server.cache = 'none'"]).server.cache is None
