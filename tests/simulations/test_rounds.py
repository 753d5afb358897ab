"""Several rounds with a feedback: both back ends, any interruption, and what clients get of it."""

import json
import random
from itertools import chain
from pathlib import Path

import pytest
from flwr.app import Message

from common.audit import AuditLog, verified
from common.failures import CheckFailed, ConfigError, TooFewClients
from common.files import read_lines
from common.records import SERVER, decode
from common.terms import Terms
from common.wire import ENCODE, PREDICT, REFINE, pack_status, unpack_asked
from server.app import serve
from server.checkpoint import CONSENSUS, MANIFEST
from simulations.events import silent
from simulations.experiment_file import read
from simulations.folder import create, summary_of
from simulations.inspection import inspect
from simulations.loop import federate
from simulations.provision import provision
from simulations.reporting.report import build_report
from simulations.runner import execute
from simulations.verification import verify
from tests.local_grid import LocalGrid, failed
from tests.simulations.kills import Death, killed_at
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with

FEEDBACK = (
    "num_rounds = 3",
    "server.feedback = 'consensus'",
    "clients.refinement = { kind = 'digest_revisit', digest_epochs = 4 }",
)
SHARE = "server.cohort = { kind = 'random_share', share = 0.5 }"
HASTE = "server.timeouts = { encode = 0.2, teachers = 0.2, refine = 0.2, predict = 0.2 }"


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("server.patience._POLL_SECONDS", 0.001)
    monkeypatch.setattr("server.nodes._CONNECT_SECONDS", 0.5)


@pytest.fixture
def world(tmp_path):
    """Runs the tiny experiment with a feedback, on so many nodes or by the loop."""
    count = iter(range(100))

    def made(*overrides, nodes=None, before=lambda folder: None, **grid):
        folder = stocked(tiny_with(*FEEDBACK, HASTE, *overrides), tmp_path / str(next(count)))
        before(folder)
        if nodes is None:
            federate(folder, silent)
            return folder
        local = LocalGrid(nodes, **grid)
        serve(local, folder, silent)
        return folder, local

    return made


def lines(folder):
    kept = ("round", "asked", "refined", "answered", "loss")
    return [[line.get(key) for key in kept] for line in read_lines(folder / "rounds.jsonl")]


def log(folder):
    rows = verified(folder / "audit" / "server.jsonl")
    return [
        [e[k] for k in ("direction", "client", "round", "schema", "sha256", "verdict")]
        for e in rows
    ]


@pytest.mark.parametrize(
    ("kind", "cohort", "nodes"),
    [("consensus", "server.cohort = 'everyone'", (1, 3)), ("student", SHARE, (3,))],
)
def test_the_same_bits_on_both_back_ends(world, kind, cohort, nodes):
    settings = (f"server.feedback = '{kind}'", cohort, "wire.bits_down = 4")
    expected = world(*settings)
    for count in nodes:
        folder, _ = world(*settings, nodes=count, backwards=count == 3)
        assert hashes(folder) == hashes(expected)
        assert lines(folder) == lines(expected)
        assert sorted(log(folder)) == sorted(log(expected))
        assert tallies(folder) == tallies(expected)
        same = ("clients", "bytes_up", "bytes_down", "messages", "rejected")
        assert {k: outcome(folder)[k] for k in same} == {k: outcome(expected)[k] for k in same}


def test_both_sides_log_what_went_down_and_it_is_counted(world):
    folder = world()
    terms = Terms.read(folder / "terms.json")
    told = [entry for entry in log(folder) if entry[3] == 4]
    assert [entry[:4] for entry in told] == [
        ["down", client, number, 4] for number in (2, 3) for client in range(4)
    ]
    assert len({entry[4] for entry in told}) == 2  # the same for everybody
    heard = [
        ["down", e["client"], e["round"], 4, e["sha256"], "accepted"]
        for client in range(4)
        for e in verified(folder / "audit" / f"client-{client}.jsonl")
        if e["schema"] == 4
    ]
    assert sorted(heard) == sorted(told)
    assert outcome(folder)["bytes_down"] == 4 * (3 * 44 + 2 * terms.layout_down.length)
    assert [line[1:4] for line in lines(folder)] == [[4, None, 4], [4, 4, 4], [4, 4, 4]]
    found = inspect(folder, None, None)
    assert found["sides_agree"]
    assert len(found["consensus"]) == 8
    path = folder / "audit" / "client-2.jsonl"
    AuditLog(path).append("down", 2, 3, b"what no server said", schema=4)
    with pytest.raises(CheckFailed, match="no server logged"):
        inspect(folder, None, None)


def test_what_goes_down_is_the_mean_of_what_came_up(world):
    """From the releases alone: with uniform weights and keep_all, up to two roundings."""
    folder = world("server.weighting = 'uniform'", "num_rounds = 2", "wire.bits_down = 16")
    terms = Terms.read(folder / "terms.json")
    records = [
        decode((folder / "releases" / "1" / f"{k}.bin").read_bytes(), terms.layout, 1, k)
        for k in range(4)
    ]
    mean = sum(record.codes.astype(float) / 255 for record in records) / 4
    payload = (folder / "checkpoint" / "1" / CONSENSUS).read_bytes()
    down = decode(payload, terms.layout_down, 2, SERVER)
    assert abs(down.codes / 65535 - mean).max() < 2e-5


def test_new_rounds_say_new_things_only_with_a_feedback(world, tmp_path):
    def bodies(folder):
        return {(folder / "releases" / str(r) / "0.bin").read_bytes()[56:] for r in (1, 2, 3)}

    assert len(bodies(world())) == 3
    silent_one = stocked(tiny_with("num_rounds = 3"), tmp_path / "silent")
    federate(silent_one, silent)
    assert len(bodies(silent_one)) == 1
    assert not list(silent_one.glob(f"checkpoint/*/{CONSENSUS}"))
    assert not list(silent_one.glob("clients/*/teacher-*"))
    assert "refine" not in outcome(silent_one)["seconds"]


def test_only_the_cohort_is_asked_and_trains_when_its_turn_comes(world):
    folder, grid = world("server.cohort = { kind = 'round_robin', share = 0.5 }", nodes=2)
    asked = {
        kind: [
            sorted(unpack_asked(m.content)[2]) for m in grid.sent if m.metadata.message_type == kind
        ]
        for kind in (ENCODE, REFINE, PREDICT)
    }
    assert sorted(asked[ENCODE]) == [[0], [1], [2], [3]]  # each once, on one of two nodes
    assert sorted(asked[REFINE][:2]) == [[2], [3]]
    assert [sorted(chain(*asked[PREDICT][n : n + 2])) for n in (0, 2, 4)] == [
        [0, 1],
        [2, 3],
        [0, 1],
    ]
    assert [line[1:4] for line in lines(folder)] == [[2, None, 2], [2, 2, 2], [2, 2, 2]]
    found = {k: [p.name for p in folder.glob(f"clients/{k}/teacher*")] for k in range(4)}
    assert {k: sorted(names) for k, names in found.items()} == {
        0: ["teacher-3.safetensors", "teacher.safetensors"],
        1: ["teacher-3.safetensors", "teacher.safetensors"],
        2: ["teacher-2.safetensors", "teacher.safetensors"],
        3: ["teacher-2.safetensors", "teacher.safetensors"],
    }


def test_who_was_never_asked_is_neither_lost_nor_late(world):
    folder = world("server.cohort = { kind = 'round_robin', share = 0.25 }", "num_rounds = 2")
    assert tallies(folder) == {
        0: ("answered", "accepted"),
        1: ("answered", "accepted"),
        2: ("not_asked", ""),
        3: ("not_asked", ""),
    }
    assert outcome(folder)["clients"] == {"asked": 2, "answered": 2, "lost": 0, "quarantined": 0}
    assert not (folder / "clients" / "3" / "teacher.safetensors").exists()


def test_too_few_of_a_cohort_are_too_few(world):
    with pytest.raises(TooFewClients, match=r"only 1 of 2 clients answered, k_min is 2 .*error"):
        world(
            "server.cohort = { kind = 'round_robin', share = 0.5 }; k_min = 2",
            before=lambda folder: (folder / "clients/1/shard.jsonl").write_text("{}\n"),
        )


def refining(act):
    """What a client's node replies where it should refine in the second round."""

    def tamper(message, reply):
        question, _, clients = unpack_asked(message.content)
        hit = message.metadata.message_type == REFINE and question.round == 2
        return act(message, reply, clients) if hit else reply

    return tamper


def test_who_fails_over_it_is_left_out_of_that_round_only(world):
    def fail(message, reply, clients):
        codes = {c: 12 if c == 1 else 0 for c in clients}
        return Message(pack_status(codes), reply_to=message)

    folder, grid = world(nodes=2, tamper=refining(fail))
    assert [line[1:4] for line in lines(folder)] == [[4, None, 4], [4, 3, 3], [4, 4, 4]]
    sent = [unpack_asked(m.content) for m in grid.sent if m.metadata.message_type == PREDICT]
    asked = [sorted(chain(*(who for q, _, who in sent if q.round == r))) for r in (1, 2, 3)]
    assert asked == [[0, 1, 2, 3], [0, 2, 3], [0, 1, 2, 3]]
    assert tallies(folder)[1] == ("answered", "accepted")
    assert outcome(folder)["clients"]["lost"] == 1


@pytest.mark.parametrize("code", [13, 5])
def test_who_does_not_take_it_is_asked_all_the_same(world, code):
    def refuse(message, reply, clients):
        codes = {c: code if c == 1 else 0 for c in clients}
        return Message(pack_status(codes), reply_to=message)

    folder, _ = world(nodes=2, tamper=refining(refuse))
    assert [line[1:4] for line in lines(folder)] == [[4, None, 4], [4, 3, 4], [4, 4, 4]]


def test_a_node_that_is_silent_over_it_is_asked_all_the_same(world):
    folder, _ = world(nodes=2, tamper=refining(lambda message, reply, clients: None))
    assert [line[1:4] for line in lines(folder)] == [[4, None, 4], [4, 0, 4], [4, 4, 4]]


def test_who_breaks_its_node_over_it_is_asked_no_more(world):
    def tamper(message, reply):
        guilty = message.metadata.message_type == REFINE and 1 in unpack_asked(message.content)[2]
        return failed(message) if guilty else reply

    folder, grid = world(nodes=2, tamper=tamper)
    assert [line[1:4] for line in lines(folder)] == [[4, None, 4], [4, 3, 3], [4, 3, 3]]
    assert tallies(folder)[1] == ("quarantined", "crashed")
    told = [m for m in grid.sent if m.metadata.message_type == REFINE]
    assert sum(1 in unpack_asked(m.content)[2] for m in told) == 2  # with others, then alone


def content(folder):
    """All that must be the same, however often the run was cut short."""
    rows = [row.rsplit(",", 1)[0] for row in (folder / "clients.csv").read_text().splitlines()]
    teachers = {
        str(p.relative_to(folder)): p.read_bytes() for p in folder.glob("clients/*/teacher*.s*")
    }
    last = (folder / "checkpoint" / "3" / CONSENSUS).read_bytes()
    return hashes(folder), lines(folder), log(folder), rows, teachers, last


def work(experiment, folder):
    provision(experiment, folder, silent)
    federate(folder, silent)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    experiment = tiny_with(*FEEDBACK, SHARE, "k_min = 2")
    for _ in range(2):  # once more, with features in the cache as they will be from now on
        folder = create(tmp_path_factory.mktemp("whole") / "run", "x", experiment.seed)
        with killed_at(None) as moments:
            work(experiment, folder)
    return experiment, content(folder), list(moments)


def cut_short(experiment, folder, *moments):
    create(folder, "x", experiment.seed)
    for moment in moments:
        with pytest.raises(Death), killed_at(moment):
            work(experiment, folder)
    with killed_at(None):
        work(experiment, folder)
    return content(folder)


def near(moments, names):
    return [n for n, (_, _, words) in enumerate(moments) if any(w in str(words) for w in names)]


def test_killed_around_a_refinement_or_a_commit_and_gone_on_with(undisturbed, tmp_path):
    experiment, expected, moments = undisturbed
    chosen = near(moments, ("teacher-2", "teacher-3", CONSENSUS))
    assert len(chosen) > 10
    for moment in chosen[::5]:
        assert cut_short(experiment, tmp_path / str(moment), moment) == expected, moment


@pytest.mark.slow
@pytest.mark.parametrize("share", range(5))
def test_killed_at_any_moment_and_gone_on_with(undisturbed, tmp_path, share):
    experiment, expected, moments = undisturbed
    for moment in range(share, len(moments), 10):
        assert cut_short(experiment, tmp_path / str(moment), moment) == expected, moments[moment]


def test_killed_again_and_again(undisturbed, tmp_path):
    experiment, expected, moments = undisturbed
    rng = random.Random(0)
    later = [rng.randrange(20) for _ in range(3)]
    assert cut_short(experiment, tmp_path / "run", len(moments) // 2, *later) == expected


def test_the_same_bytes_are_sent_again(undisturbed, tmp_path):
    """Killed between the release and the commit of round 2: nothing is said twice in two ways."""
    experiment, expected, moments = undisturbed
    commits = [n for n, (_, _, words) in enumerate(moments) if str(words[-1]).endswith(MANIFEST)]
    folder = tmp_path / "run"
    assert cut_short(experiment, folder, commits[2]) == expected
    for path in folder.glob("audit/client-*.jsonl"):
        sent = [e for e in verified(path) if e["direction"] == "up"]
        assert len({e["sha256"] for e in sent}) == len({e["round"] for e in sent})


def test_a_damaged_consensus_is_found_and_the_round_before_used(world):
    folder = world()
    path = folder / "checkpoint" / "3" / CONSENSUS
    good, expected = path.read_bytes(), hashes(folder)
    for data in (good[:-1] + b"\0", b"", None):
        path.unlink(missing_ok=True)
        if data is not None:
            path.write_bytes(data)
        federate(folder, silent)
        assert path.read_bytes() == good
        assert hashes(folder) == expected


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured") / "run"
    made = tiny_with(*FEEDBACK, "bounds = true")
    return execute(made, "x", out=folder, backend="inline", address=None, progress=silent)


def test_every_clients_own_model_is_measured_before_and_after(measured):
    summary = summary_of(measured)
    personal = summary["personal"]
    assert [row["client"] for row in personal] == [0, 1, 2, 3]
    assert [row["refined"] for row in personal] == [2] * 4
    assert [row["before"] for row in personal] == summary["bounds"]["teachers"]
    assert all(row["after"] != row["before"] for row in personal)
    assert sum(row["own"]["texts"] for row in personal) == 32
    assert {row["own"]["group"] for row in personal} == {"north", "east", "south", "west"} or all(
        row["own"]["group"] for row in personal
    )
    assert summary["seconds"]["refine"] > 0
    page = build_report(measured)
    assert "What the clients got out of it" in page
    before, after = (personal[0][when]["accuracy"] for when in ("before", "after"))
    assert f"{before:.3f} → {after:.3f}" in page
    assert "before every round but the first" in page


def test_a_run_without_feedback_has_nothing_of_it(tmp_path):
    made = tiny_with("num_rounds = 2", "bounds = true")
    folder = execute(
        made, "x", out=tmp_path / "run", backend="inline", address=None, progress=silent
    )
    assert "personal" not in summary_of(folder)
    assert "refine" not in summary_of(folder)["seconds"]
    assert "What the clients got out of it" not in build_report(folder)


def test_verify_agrees(measured):
    assert verify(measured, silent)["hashes"] == summary_of(measured)["hashes"]


WRONG = {
    "clients.refinement = 'digest_revisit'": ("server.feedback = 'student'",),
    "server.feedback = 'consensus'": ("clients.refinement = 'digest_revisit'",),
    "constant": (*FEEDBACK, "clients.teacher = { kind = 'constant' }"),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_cannot_be_is_refused_in_one_line(said):
    with pytest.raises(ConfigError) as failure:
        tiny_with(*WRONG[said])
    assert said in str(failure.value)
    assert "write" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_what_changes_nothing_changes_no_run_id():
    plain = tiny_with().run_id
    same = ("server.feedback = 'none'", "clients.refinement = 'none'", "server.cohort = 'everyone'")
    assert tiny_with(*same).run_id == plain
    others = [tiny_with(SHARE), tiny_with(*FEEDBACK), tiny_with(*FEEDBACK, "wire.bits_down = 4")]
    assert len({plain, *(made.run_id for made in others)}) == 4


@pytest.mark.parametrize("name", ["fedmd", "ds_fl", "cfd"])
def test_the_shipped_experiments_say_something_back(name):
    made = read(name)
    assert made.num_rounds > 1
    assert made.bits_down == (2 if name == "cfd" else 8)
    off = ["server.feedback = 'none'; clients.refinement = 'none'"]
    assert read(name, off).bits_down is None


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.filterwarnings("default")
def test_the_same_bits_on_ray(tmp_path):
    experiment = tiny_with(*FEEDBACK, SHARE)
    one, two = (
        execute(experiment, "x", out=tmp_path / b, backend=b, address=None, progress=silent)
        for b in ("inline", "ray")
    )
    assert summary_of(one)["hashes"] == summary_of(two)["hashes"]
    assert sorted(log(one)) == sorted(log(two))
    assert json.loads((Path(two) / "summary.json").read_text())["isolated"] is True
