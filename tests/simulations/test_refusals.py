"""A client that refuses the shared texts: a code to the server, on both back ends, no more."""

from pathlib import Path

import pytest
from flwr.common.serde import recorddict_to_proto

from clients.app import app
from common.files import read_lines, write_lines
from common.messages import Question
from common.reasons import Reason
from common.terms import Terms
from common.wire import ENCODE, PREDICT, TEACHER, pack_question, unpack_status
from server.app import serve
from simulations.events import silent
from simulations.loop import federate
from tests.local_grid import LocalGrid, context, instruction
from tests.offers import offer
from tests.worlds import hashes, stocked, tallies, tiny_with

# The name of the record, the client's id, and the code 13, doubled by the way Flower writes it.
REFUSED = b"\n\x13\n\x06status" + b"\x1a\x09\n\x07" + b"\n\x011" + b"\x12\x02\x10\x1a"


def shared(folder):
    return [row["text"] for row in read_lines(folder / "transfer.jsonl")]


def shard(folder, client):
    return folder / "clients" / str(client) / "shard.jsonl"


def overlapping(folder):
    """The shared texts are the first client's own."""
    offer(folder, [*shared(folder)[:30], *(row["text"] for row in read_lines(shard(folder, 1)))])


def probing(folder):
    offer(folder, ["", *(word for text in shared(folder)[:5] for word in text.split())])


def copied(folder):
    offer(folder, shared(folder)[:1] * 40)


def swapped(folder):
    write_lines(folder / "transfer.jsonl", [{"id": 0, "text": "another"}])


def replies(folder, kinds=(ENCODE, TEACHER, PREDICT)):
    """All that a node with this client says, as Flower sends it."""
    terms = Terms.read(folder / "terms.json")
    content = pack_question(Question(1, 1, terms.binding), terms.site, [1])
    made = [app(instruction(content, kind), context()).content for kind in kinds]
    assert [unpack_status(reply) for reply in made] == [{1: Reason.refused}] * len(kinds)
    return [recorddict_to_proto(reply).SerializeToString() for reply in made]


@pytest.mark.parametrize("reason", [overlapping, probing, copied, swapped])
@pytest.mark.parametrize("private", [False, True])
def test_a_refusal_is_the_same_bytes_whatever_the_reason_and_the_private_texts(
    tmp_path, reason, private
):
    folder = stocked(tiny_with(), tmp_path / "run")
    if private:
        rows = read_lines(shard(folder, 1))
        write_lines(shard(folder, 1), [row | {"text": f"{row['text']} CANARY"} for row in rows])
    reason(folder)
    assert replies(folder) == [REFUSED] * 3
    assert "refused the transfer set" in (folder / "clients" / "1" / "log.txt").read_text()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The same refusal by the loop and by Flower, and a run in which the client is not there."""
    made = []
    for name in ("inline", "served", "without"):
        folder = stocked(tiny_with(), tmp_path_factory.mktemp(name) / "run")
        overlapping(folder)
        if name == "without":
            shard(folder, 1).unlink()
        if name == "served":
            serve(LocalGrid(3), folder, silent)
        else:
            federate(folder, silent)
        made.append(folder)
    return made


def test_both_back_ends_say_refused_and_go_on_without(both):
    inline, served, without = both
    assert tallies(inline) == tallies(served)
    assert tallies(inline)[1][1] == "refused"
    assert {tallies(inline)[k] for k in (0, 2, 3)} == {("answered", "accepted")}
    assert hashes(inline) == hashes(served) == hashes(without)


def test_the_reason_stands_nowhere_but_in_the_clients_log(both):
    for folder in both[:2]:
        log = folder / "clients" / "1" / "log.txt"
        assert "texts of my own" in log.read_text()
        holding = [p for p in folder.rglob("*") if p.is_file() and b"of my own" in p.read_bytes()]
        assert set(map(Path, holding)) == {log, log.with_name("vetting.json")}
