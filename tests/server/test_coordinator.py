import hashlib
import shutil

import pytest

from common.audit import verified
from common.configure import load
from common.failures import ConfigError, TooFewClients
from common.reasons import Reason
from server.archive import open_student
from server.config import ServerConfig
from server.plan import ServerPlan, open_coordinator
from server.students import fingerprint
from simulations.events import silent
from tests.one_round import Server, released
from tests.worlds import outcome, stocked, tallies, tiny_with


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


def test_another_answer_makes_another_student(fresh, answers):
    one, other = fresh(), fresh()
    one.admit(answers.items())
    other.admit((client, answers[client]) for client in range(3))
    assert one.learn() != other.learn()


def test_just_enough_clients_are_enough(tmp_path):
    server = Server(stocked(tiny_with("k_min = 3"), tmp_path / "run"))
    good = released(server.folder, 1)
    server.admit((client, good[client]) for client in (0, 1, 3))
    server.learn()
    assert outcome(server.folder)["clients"]["answered"] == 3


def test_nobody_at_all_is_too_few(server):
    with pytest.raises(TooFewClients, match="only 0 of 4"):
        server.learn()


def test_the_student_on_disk_is_the_one_that_was_trained(server, answers):
    untrained = fingerprint(server.coordinator.learner.student)
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
