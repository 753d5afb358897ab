import hashlib
import itertools
import math
import shutil

import numpy as np
import pytest

from clients.client import Client
from clients.store import Store
from common.audit import verified
from common.configure import load
from common.encoders.hashing import Hashing
from common.failures import ConfigError, TooFewClients
from common.files import read_lines
from common.labels import LabelGeometry
from common.metrics import evaluate
from common.reasons import Reason
from server.archive import open_student
from server.config import ServerConfig
from server.distil import predict
from server.plan import ServerPlan, open_coordinator
from server.students import fingerprint
from simulations.events import silent
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with


@pytest.fixture(scope="module")
def answers(tiny, tmp_path_factory):
    """What the four clients of ``tiny`` answer; the same whatever folder they live in."""
    folder = stocked(tiny, tmp_path_factory.mktemp("answers") / "run")
    return released(folder, 1)


def released(folder, server_round):
    made = {}
    for path in sorted((folder / "clients").iterdir()):
        client = Client(Store(path))
        client.encode()
        client.train()
        question = open_coordinator(folder, silent)[0].ask(server_round)
        made[client.id] = client.answer(question).payload
    return made


class Server:
    """A coordinator in a fresh run folder, one round long."""

    def __init__(self, folder):
        self.folder = folder
        self.coordinator, self.terms = open_coordinator(folder, silent)
        self.question = self.coordinator.ask(1)
        self.coordinator.sent(self.question, self.coordinator.clients)

    def admit(self, messages):
        return [self.coordinator.admit(self.question, *message) for message in messages]

    def learn(self):
        self.coordinator.learn(self.question)
        self.coordinator.finish({"isolated": False})
        return hashes(self.folder)


@pytest.fixture
def server(provisioned):
    return Server(provisioned)


@pytest.fixture
def fresh(tiny, tmp_path):
    """Makes servers, each in a fresh folder of the same experiment."""
    names = itertools.count()
    return lambda: Server(stocked(tiny, tmp_path / f"fresh {next(names)}"))


def test_a_round_leaves_everything_behind(server, answers):
    assert server.admit(answers.items()) == [Reason.accepted] * 4
    server.learn()
    made = outcome(server.folder)
    size = server.terms.layout.length
    assert made["clients"] == {"asked": 4, "answered": 4, "lost": 0, "quarantined": 0}
    assert made["bytes_up"] == 4 * size == sum(map(len, answers.values()))
    assert made["bytes_down"] == 4 * len(server.question.payload) == 4 * 44
    assert (made["messages"], made["rejected"]) == (4, 0)
    for client, payload in answers.items():
        assert (server.folder / "releases" / "1" / f"{client}.bin").read_bytes() == payload
    log = verified(server.folder / "audit" / "server.jsonl")
    assert [(e["direction"], e["client"]) for e in log] == [
        *(("down", c) for c in range(4)),
        *(("up", c) for c in range(4)),
    ]
    assert tallies(server.folder) == dict.fromkeys(range(4), ("answered", "accepted"))


def test_the_hash_of_the_predictions_is_over_payloads_by_round_and_client(server, answers):
    server.admit(reversed(list(answers.items())))
    every_byte = b"".join(answers[client] for client in range(4))
    assert server.learn()[1] == hashlib.sha256(every_byte).hexdigest()


def test_the_order_of_arrival_does_not_matter(fresh, answers):
    made = set()
    for order in ((0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)):
        server = fresh()
        server.admit((client, answers[client]) for client in order)
        made.add(server.learn())
    assert len(made) == 1


@pytest.mark.parametrize("bad", [b"", b"\0" * 179, "replay", "duplicate", "late"])
def test_who_answers_badly_might_as_well_not_be_there(fresh, answers, bad):
    without = fresh()
    without.admit((client, answers[client]) for client in (0, 1, 3))
    expected = without.learn()
    server = fresh()
    messages = [(client, answers[client]) for client in (0, 1, 3)]
    extra = {
        "replay": (2, answers[1]),
        "duplicate": (1, answers[1]),
        "late": (1, b"another answer"),
    }.get(bad, (2, bad))
    verdicts = server.admit([*messages[:2], extra, messages[2]])
    assert verdicts[2] is not Reason.accepted
    assert server.learn() == expected
    assert outcome(server.folder)["rejected"] == 1
    log = verified(server.folder / "audit" / "server.jsonl")
    assert [e["verdict"] for e in log[4:]] == [v.name for v in verdicts]
    blamed = {"duplicate": ("answered", "accepted"), "late": ("answered", "accepted")}
    if bad in blamed:
        assert tallies(server.folder)[1] == blamed[bad]
        assert tallies(server.folder)[2] == ("lost", "timeout")
    else:
        assert tallies(server.folder)[2] == ("quarantined", verdicts[2].name)


def test_a_stranger_is_logged_and_nothing_else(server, answers):
    assert server.admit([(4, answers[0]), (-1, b"")]) == [Reason.wrong_client] * 2
    server.admit(answers.items())
    server.learn()
    log = verified(server.folder / "audit" / "server.jsonl")
    assert [(e["client"], e["verdict"]) for e in log[4:6]] == [
        (4, "wrong_client"),
        (-1, "wrong_client"),
    ]
    assert outcome(server.folder)["rejected"] == 2
    assert set(tallies(server.folder)) == {0, 1, 2, 3}
    assert {p.name for p in (server.folder / "releases" / "1").iterdir()} == {
        f"{c}.bin" for c in range(4)
    }


def test_another_answer_makes_another_student(fresh, answers):
    one, other = fresh(), fresh()
    one.admit(answers.items())
    other.admit((client, answers[client]) for client in range(3))
    assert one.learn() != other.learn()


def test_too_few_clients_end_the_run_with_their_reasons(tmp_path, answers):
    server = Server(stocked(tiny_with("k_min = 3"), tmp_path / "run"))
    good = released(server.folder, 1)
    assert server.admit([(0, good[0]), (1, good[1]), (2, b"bad")])[2] is Reason.wrong_length
    server.coordinator.exclude(3, Reason.crashed)
    with pytest.raises(TooFewClients) as failure:
        server.learn()
    line = str(failure.value)
    assert failure.value.exit_code == 3
    assert "\n" not in line
    assert "only 2 of 4 clients" in line
    assert "k_min is 3" in line
    assert "crashed, wrong_length" in line
    assert "accepted" not in line
    assert tallies(server.folder) == {
        0: ("answered", "accepted"),
        1: ("answered", "accepted"),
        2: ("quarantined", "wrong_length"),
        3: ("lost", "crashed"),
    }
    assert not (server.folder / "student").exists()
    assert not (server.folder / "checkpoint" / "server.json").exists()


def test_just_enough_clients_are_enough(tmp_path):
    server = Server(stocked(tiny_with("k_min = 3"), tmp_path / "run"))
    good = released(server.folder, 1)
    server.admit((client, good[client]) for client in (0, 1, 3))
    server.learn()
    assert outcome(server.folder)["clients"]["answered"] == 3


def test_nobody_at_all_is_too_few(server):
    with pytest.raises(TooFewClients, match="only 0 of 4"):
        server.learn()


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.timeout, "lost"),
        (Reason.crashed, "lost"),
        (Reason.client_error, "lost"),
        (Reason.refused, "lost"),
        (Reason.wrong_field, "quarantined"),
    ],
)
def test_lost_or_quarantined(server, answers, reason, status):
    server.coordinator.exclude(3, reason)
    server.admit((client, answers[client]) for client in range(3))
    server.learn()
    assert tallies(server.folder)[3] == (status, reason.name)
    assert outcome(server.folder)["clients"][status] == 1
    assert outcome(server.folder)["rejected"] == (status == "quarantined")


def test_a_good_answer_stands_whatever_comes_after(server, answers):
    server.admit(answers.items())
    server.coordinator.exclude(0, Reason.crashed)
    server.learn()
    assert tallies(server.folder)[0] == ("answered", "accepted")


def test_rounds_say_how_the_student_does_on_validation(server, answers):
    server.admit((client, answers[client]) for client in (0, 2))
    server.learn()
    (line,) = read_lines(server.folder / "rounds.jsonl")
    assert (line["round"], line["asked"], line["answered"]) == (1, 4, 2)
    assert line["bytes_up"] == 2 * len(answers[0])
    assert math.isfinite(line["loss"])
    assert line["seconds"] >= 0
    rows = read_lines(server.folder / "validation.jsonl")
    features = Hashing(dimensions=16).encode([row["text"] for row in rows])
    probs = predict(open_student(server.folder), features)
    labels = np.array([row["label"] for row in rows])
    geometry = LabelGeometry.ordinal(server.terms.labels)
    expected = evaluate(probs, labels, geometry, validation=None)
    assert line["student"]["accuracy"] == pytest.approx(expected["accuracy"], abs=1e-6)
    assert line["student"]["nll"] == pytest.approx(expected["nll"], abs=1e-6)


def test_the_student_on_disk_is_the_one_that_was_trained(server, answers):
    untrained = fingerprint(server.coordinator.student)
    server.admit(answers.items())
    student, _ = server.learn()
    assert fingerprint(open_student(server.folder)) == student != untrained


def test_the_server_gets_a_seed_of_its_own_and_no_path_to_private_data(tiny, server):
    plan = ServerPlan.read(server.folder)
    assert plan.seed != tiny.seed
    assert load(ServerConfig, plan.config, "server") == tiny.server
    text = (server.folder / "checkpoint" / "plan.json").read_text()
    assert "synthetic" not in text
    assert "clients" not in text
    assert str(server.folder) not in text


def test_the_server_does_not_need_the_stores_nor_the_split(fresh, answers):
    kept, server = fresh(), fresh()
    shutil.rmtree(server.folder / "clients")
    (server.folder / "split.json").unlink()
    for one in (kept, server):
        one.admit(answers.items())
    assert kept.learn() == server.learn()


def test_a_loss_that_cannot_serve_these_labels_is_refused_at_once(provisioned):
    terms = (provisioned / "terms.json").read_text()
    plan = ServerPlan.read(provisioned)
    assert plan.config["loss"]["kind"] == "transport"
    broken = ServerPlan(plan.config | {"loss": {"kind": "klx"}}, plan.seed)
    broken.save(provisioned)
    with pytest.raises(ConfigError, match="did you mean 'kl'"):
        open_coordinator(provisioned, silent)
    assert (provisioned / "terms.json").read_text() == terms
