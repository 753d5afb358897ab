import shutil
from pathlib import Path

import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.common.serde import message_to_proto

from clients.app import app
from clients.client import Client
from clients.store import Store
from clients.tasks import guarded
from common.audit import verified
from common.files import read_lines, write_lines
from common.messages import Question
from common.reasons import Reason
from common.sites import forget
from common.terms import Terms
from common.wire import (
    ENCODE,
    HELLO,
    PREDICT,
    TEACHER,
    pack_question,
    unpack_answers,
    unpack_hello,
    unpack_refusal,
    unpack_status,
)
from tests.local_grid import context, instruction

CANARY = "CANARY-4711 a private text"


class Site:
    """A run folder and one of its nodes, talked to as the server would."""

    def __init__(self, folder, partition=0, nodes=1, **config):
        self.folder, self.terms = folder, Terms.read(folder / "terms.json")
        self.context = context(partition, nodes, **config)
        self.replies = []

    def ask(self, kind, clients, site=None, **changes):
        fields = {"round": 1, "schema": 1, "binding": self.terms.binding} | changes
        question = Question(**fields)
        content = pack_question(question, site or self.terms.site, clients)
        reply = app(instruction(content, kind), self.context)
        self.replies.append(reply)
        assert not reply.has_error()
        return reply.content

    def status(self, kind, clients, **changes):
        return unpack_status(self.ask(kind, clients, **changes))

    def answers(self, clients, **changes):
        return unpack_answers(self.ask(PREDICT, clients, **changes), changes.get("round", 1))

    def refusals(self, clients, **changes):
        return unpack_refusal(self.ask(PREDICT, clients, **changes))

    def prepare(self, clients):
        self.status(ENCODE, clients)
        self.status(TEACHER, clients)


@pytest.fixture
def site(provisioned):
    return Site(provisioned)


def break_shard(folder, client):
    """A label that is a text: whoever reads it fails, and says what it read."""
    path = folder / "clients" / str(client) / "shard.jsonl"
    rows = read_lines(path)
    write_lines(path, [rows[0] | {"text": CANARY, "label": CANARY}, *rows[1:]])


def test_a_node_says_which_partition_it_is(provisioned):
    reply = Site(provisioned, partition=1, nodes=3).ask(HELLO, [])
    assert unpack_hello(reply) == 1


def test_all_tasks_of_a_run(site):
    everybody = [0, 1, 2, 3]
    good = dict.fromkeys(everybody, Reason.accepted)
    assert site.status(ENCODE, everybody) == good
    assert site.status(TEACHER, everybody) == good
    answers = site.answers(everybody)
    assert list(answers) == ["0", "1", "2", "3"]
    assert {len(payload) for payload in answers.values()} == {site.terms.layout.length}
    assert len(set(answers.values())) == 4
    assert site.answers(everybody) == answers
    for client in everybody:
        entries = verified(site.folder / "audit" / f"client-{client}.jsonl")
        assert [e["attempts"] for e in entries if e["direction"] == "up"] == [1, 2]


def test_what_several_clients_wrote_is_on_disk_before_the_reply(site, monkeypatch):
    """All their files by one call, after the last of them."""
    everybody, settled = [0, 1, 2, 3], []
    site.prepare(everybody)
    monkeypatch.setattr("clients.app.settled", lambda paths: settled.append(list(paths)))
    site.answers(everybody)
    homes = [(site.folder / "clients" / str(client)).resolve() for client in everybody]
    logs = [site.folder / "audit" / f"client-{client}.jsonl" for client in everybody]
    expected = [
        path
        for home, log in zip(homes, logs, strict=True)
        for path in (home / "releases" / "1.bin", home / "releases", log)
    ]
    assert [Path(path).resolve() for path in settled[0]] == [path.resolve() for path in expected]
    assert len(settled) == 1
    assert all(path.exists() for path in expected)


def test_nothing_is_left_in_what_flower_takes_back_to_the_server(site):
    site.prepare([0, 1])
    site.answers([0, 1])
    assert site.context.state == RecordDict()
    assert site.context.run_config == {}
    assert set(site.context.node_config) == {"partition-id", "num-partitions"}


@pytest.mark.parametrize("client", [1, 3, 5, -1])
def test_a_node_speaks_for_its_own_clients_only(provisioned, client):
    site = Site(provisioned, partition=0, nodes=2)
    for kind in (ENCODE, TEACHER):
        content = site.ask(kind, [0, client])["status"]
        assert dict(content) == {"0": 0, str(client): int(Reason.wrong_client)}
    assert list(site.answers([0, client])) == ["0"]
    assert not (provisioned / "clients" / "1" / "features.npy").exists()


def test_what_goes_wrong_stays_at_the_client(site, capfd):
    break_shard(site.folder, 1)
    site.prepare([0, 1, 2])
    assert list(site.answers([0, 1, 2])) == ["0", "2"]
    assert site.context.state == RecordDict()
    out, err = capfd.readouterr()
    crossed = b"".join(message_to_proto(reply).SerializeToString() for reply in site.replies)
    for place in (out.encode(), err.encode(), crossed, repr(site.replies).encode()):
        assert b"CANARY" not in place
        assert b"Traceback" not in place
    assert CANARY in (site.folder / "clients" / "1" / "log.txt").read_text()
    holding = [p for p in site.folder.rglob("*") if p.is_file() and b"CANARY" in p.read_bytes()]
    home = site.folder / "clients" / "1"
    assert sorted(holding) == [home / "log.txt", home / "shard.jsonl"]


def test_a_broken_shard_is_a_client_error_and_the_batch_goes_on(site):
    bad = {0: Reason.accepted, 1: Reason.client_error, 2: Reason.accepted}
    site.status(ENCODE, [0, 1, 2])
    break_shard(site.folder, 1)
    assert site.status(TEACHER, [0, 1, 2]) == bad
    (site.folder / "clients" / "1" / "features.npy").unlink()
    assert site.status(ENCODE, [0, 1, 2]) == bad


@pytest.mark.parametrize("broken", ["shard.jsonl", "client.json"])
def test_a_damaged_file_sinks_nobody_else(site, broken):
    (site.folder / "clients" / "1" / broken).write_bytes(b'{"text": "CANARY\xff')
    status = site.status(ENCODE, [0, 1, 2])
    assert status == {0: Reason.accepted, 1: Reason.client_error, 2: Reason.accepted}


def test_a_client_that_does_not_answer_is_named_only_where_nobody_answers(site):
    """A reply holds answers or codes, never both."""
    site.prepare([0, 1])
    assert set(site.ask(PREDICT, [0, 2])) == {"pred", "meta"}
    assert set(site.ask(PREDICT, [2])) == {"status"}
    assert site.refusals([0, 2]) == {}
    assert site.refusals([2, 40]) == {2: Reason.refused, 40: Reason.client_error}
    assert site.refusals([]) == {}


def test_a_client_that_is_not_there_sinks_nobody_else(site):
    """Its log is not there either."""
    shutil.rmtree(site.folder / "clients" / "1")
    expected = {0: Reason.accepted, 1: Reason.client_error, 40: Reason.client_error}
    assert site.status(ENCODE, [0, 1, 40]) == expected
    assert site.status(TEACHER, [0, 1, 40]) == expected
    assert list(site.answers([1, 0, 40])) == ["0"]
    assert not (site.folder / "clients" / "1").exists()


def test_any_exception_text_can_be_logged(provisioned):
    def fail(client):
        raise ValueError("\ud800 " + CANARY)

    folder = provisioned / "clients" / "0"
    assert guarded(folder, fail) is Reason.client_error
    assert guarded(folder, fail) is Reason.client_error
    assert (folder / "log.txt").read_text().count("\\ud800 " + CANARY) == 2


def test_an_interrupt_is_not_swallowed(provisioned):
    def interrupt(client):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(provisioned / "clients" / "0", interrupt)


@pytest.mark.parametrize(
    "changes", [{"schema": -1}, {"round": -1}, {"schema": 2**16}, {"round": 2**32}]
)
def test_a_question_that_is_none_is_refused_whole(site, changes):
    """Nobody is named by it, so that nobody has a code."""
    site.prepare([0])
    assert site.status(PREDICT, [0], **changes) == {}
    assert Store(site.folder / "clients" / "0").release(1) is None


@pytest.mark.parametrize("asked", [[0, 1], [0, 3, 5, 40]])
def test_a_failure_outside_any_clients_guard_crosses_as_codes(site, capfd, monkeypatch, asked):
    """Here in what a node does for all its clients at once; the text is nobody's but one's."""

    def fail(paths):
        raise OSError(CANARY)

    site.prepare([0, 1])
    monkeypatch.setattr("clients.app.settled", fail)
    assert site.refusals(asked) == dict.fromkeys(asked, Reason.client_error)
    out, err = capfd.readouterr()
    crossed = b"".join(message_to_proto(reply).SerializeToString() for reply in site.replies)
    for place in (out.encode(), err.encode(), crossed, repr(site.replies).encode()):
        assert CANARY.encode() not in place
        assert b"Traceback" not in place
    log = (site.folder / "clients" / "0" / "log.txt").read_text()
    assert "_answering" in log
    assert log.endswith("OSError\n")
    files = [path for path in site.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if CANARY.encode() in path.read_bytes()]


def test_a_node_notes_a_failure_in_no_log_but_its_own_clients(provisioned, monkeypatch):
    def fail(paths):
        raise OSError(CANARY)

    site = Site(provisioned, partition=0, nodes=2)
    site.prepare([0])
    monkeypatch.setattr("clients.app.settled", fail)
    assert site.refusals([0, 1]) == dict.fromkeys([0, 1], Reason.client_error)
    assert (provisioned / "clients" / "0" / "log.txt").exists()
    assert not (provisioned / "clients" / "1" / "log.txt").exists()


def test_even_a_node_that_cannot_find_its_stores_lets_no_text_out(site, monkeypatch):
    def fail(token):
        raise RuntimeError(CANARY)

    monkeypatch.setattr("clients.app.find", fail)
    assert site.status(ENCODE, [0, 1]) == dict.fromkeys([0, 1], Reason.client_error)


def test_an_interrupt_passes_the_outer_guard_too(site, monkeypatch):
    def interrupt(paths):
        raise KeyboardInterrupt

    site.prepare([0])
    monkeypatch.setattr("clients.app.settled", interrupt)
    with pytest.raises(KeyboardInterrupt):
        site.answers([0])


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        (Reason.wrong_binding, {"binding": bytes(32)}),
        (Reason.wrong_round, {"round": 2}),
        (Reason.wrong_field, {"schema": 2}),
    ],
)
def test_no_client_answers_what_was_not_agreed_on(site, reason, changes):
    site.prepare([0, 1])
    assert site.refusals([0, 1], **changes) == {0: reason, 1: reason}


def test_terms_that_were_changed_after_the_store_was_made_are_not_accepted(site):
    """Not even if everything in them agrees with itself: the client pinned the old ones."""
    site.prepare([0])
    path = site.folder / "terms.json"
    was = path.read_text()
    path.write_text(was.replace('"disclosed": [', '"disclosed": ["num_examples", '))
    assert path.read_text() != was
    assert site.refusals([0]) == {0: Reason.wrong_binding}
    path.write_text(was)
    assert list(site.answers([0])) == ["0"]


def test_changed_texts_are_not_answered(site):
    site.prepare([0])
    path = site.folder / "transfer.jsonl"
    rows = read_lines(path)
    write_lines(path, [rows[0] | {"text": "probe"}, *rows[1:]])
    assert site.refusals([0]) == {0: Reason.refused}
    assert Store(site.folder / "clients" / "0").release(1) is None


def test_a_site_without_stores_of_the_run_refuses(site):
    forget(site.terms.site)
    assert site.status(ENCODE, [0, 1]) == dict.fromkeys([0, 1], Reason.refused)
    assert site.refusals([0, 1]) == dict.fromkeys([0, 1], Reason.refused)
    assert site.status(ENCODE, [0], site="a" * 400) == {0: Reason.refused}
    assert site.status(ENCODE, [0], site="../..") == {0: Reason.refused}


def test_a_node_may_say_itself_where_its_stores_are(provisioned, tmp_path):
    shutil.move(provisioned / "clients", tmp_path / "mine")
    site = Site(provisioned, store=str(tmp_path / "mine"))
    assert site.status(ENCODE, [0]) == {0: Reason.accepted}
    assert (tmp_path / "mine" / "0" / "features.npy").exists()


@pytest.mark.parametrize(
    "content",
    [
        RecordDict(),
        RecordDict({"question": MetricRecord({"round": 1})}),
        RecordDict({"question": ConfigRecord({"texts": ["one", "two"]})}),
        RecordDict({"question": ConfigRecord({"round": 1}), "model": ArrayRecord()}),
    ],
)
@pytest.mark.parametrize("kind", [ENCODE, TEACHER, PREDICT])
def test_a_message_that_is_no_question_is_not_looked_into(provisioned, kind, content):
    reply = app(instruction(content, kind), context())
    assert unpack_status(reply.content) == {}
    assert not (provisioned / "clients" / "0" / "features.npy").exists()


def test_the_inline_loop_uses_the_same_guard(provisioned):
    assert guarded(provisioned / "clients" / "0", Client.encode) is Reason.accepted
    assert guarded(provisioned / "clients" / "0", Client.train) is Reason.accepted
    assert guarded(provisioned / "clients" / "1", Client.train) is Reason.refused
