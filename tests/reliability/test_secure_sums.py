"""Masked sums that lose a party, or have one that lies (R26); nothing unmasked anywhere."""

import gc
import hashlib
import types

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message

from clients.client import Client
from clients.masking import mask
from clients.store import Store
from common.audit import verified
from common.failures import TooFewClients
from common.files import read_json, write_json
from common.fixed_point import from_words
from common.reasons import Reason, Refused
from common.records import HEADER
from common.rosters import KEYS, Roster
from common.terms import Terms
from common.transfer import TransferSet
from common.wire import KEY, MASK, PREDICT, framed, pack_status, unpack_roster
from server.checkpoint import newest
from server.patience import PatientGrid
from server.plan import open_coordinator
from server.strategy import FederatedDistillation
from simulations.events import silent
from simulations.loop import federate
from tests.local_grid import LocalGrid, failed
from tests.reliability.test_workers import command
from tests.secure import SECURE, invitation, listed, plain, ready, secure_with
from tests.worlds import hashes, outcome, stocked, tallies

CLIENTS = 6
WORLD = (
    f"data.num_clients = {CLIENTS}",
    "data.dataset.size = 240",
    "server.schedule = { steps = 30, learning_rate = 0.02 }",
    "server.timeouts = { predict = 2.0 }",
)


class Served:
    """A run whose server can be looked into afterwards."""

    def __init__(self, folder, *settings, tamper=None, nodes=CLIENTS, fresh=True):
        self.folder = stocked(secure_with(*WORLD, *settings), folder) if fresh else folder
        self.grid = LocalGrid(nodes, tamper)
        self.coordinator, self.terms = open_coordinator(self.folder, silent)
        done = self.coordinator.resume(newest(self.folder, self.terms.run)[0])
        self.strategy = FederatedDistillation(self.coordinator, silent, committed=done)
        self.patient = PatientGrid(self.grid)

    def go(self):
        left, seconds = self.terms.num_rounds, self.coordinator.timeouts.predict
        self.strategy.start(self.patient, ArrayRecord(), left, timeout=seconds)
        self.strategy.finish()
        self.coordinator.finish({})
        return self


def lists(folder):
    """The members of every list that was sent, by round and attempt."""
    found = {}
    for path in (folder / "sums").glob("*.roster"):
        found[path.stem] = set(Roster.read(path.read_bytes()).clients)
    return found


def total(folder, server_round=1):
    terms = Terms.read(folder / "terms.json")
    data = (folder / "sums" / f"{server_round}.sum").read_bytes()
    return np.frombuffer(data, "<u4").reshape(terms.rows, -1)


def exact(folder, clients, server_round=1):
    parts = [plain(folder, c, len(clients), server_round) for c in sorted(clients)]
    return sum(part.astype(np.int64) for part in parts)


def up(folder):
    entries = verified(folder / "audit" / "server.jsonl")
    return [
        (e["client"], e["verdict"])
        for e in entries
        if e["direction"] == "up" and e["schema"] != KEYS
    ]


def loses(*victims, kind=MASK, attempts=(1, 2), reply=None):
    """Clients that are not heard of again after this kind of message, in these attempts."""

    def tamper(message, answer):
        if message.metadata.message_type != kind:
            return answer
        roster, _, clients = unpack_roster(message.content)
        gone = roster.attempt in attempts and set(clients) <= set(victims)
        return (reply(message, clients) if reply else None) if gone else answer

    return tamper


def refuses(message, clients):
    return Message(pack_status(dict.fromkeys(clients, Reason.refused)), reply_to=message)


def without_traces(folder):
    """Nothing was learned and no sum is known."""
    assert not list((folder / "sums").glob("*.sum"))
    assert not list((folder / "releases").rglob("*.bin"))
    assert not (folder / "student").exists()


def test_r26_a_party_that_drops_out_after_its_key_costs_one_more_attempt(tmp_path):
    served = Served(tmp_path / "run", tamper=loses(2, reply=refuses)).go()
    folder = served.folder
    assert lists(folder) == {"1-1": set(range(6)), "1-2": {0, 1, 3, 4}}
    assert np.array_equal(total(folder), exact(folder, {0, 1, 3, 4}))
    table = tallies(folder)
    assert table[2] == ("lost", "refused")
    assert table[5] == ("lost", "aborted")
    assert {table[k] for k in (0, 1, 3, 4)} == {("answered", "accepted")}
    aborted = [client for client, verdict in up(folder) if verdict == "aborted"]
    assert sorted(aborted) == [0, 1, 3, 4, 5]
    keys = [
        Roster.read((folder / "sums" / f"1-{n}.roster").read_bytes()).keys.values() for n in (1, 2)
    ]
    assert not set(keys[0]) & set(keys[1])


def test_r26_who_says_nothing_at_all_is_waited_for_and_left_out(tmp_path):
    served = Served(tmp_path / "run", tamper=loses(0)).go()
    assert lists(served.folder)["1-2"] == {1, 2, 3, 4}
    assert tallies(served.folder)[0] == ("lost", "timeout")


def test_r26_a_party_that_breaks_its_node_is_left_out(tmp_path):
    tamper = loses(0, attempts=(1,), reply=lambda message, clients: failed(message))
    served = Served(tmp_path / "run", tamper=tamper).go()
    assert lists(served.folder)["1-2"] == {1, 2, 3, 4}
    assert tallies(served.folder)[0] == ("quarantined", "crashed")


def test_r26_a_party_that_drops_out_before_the_list_is_not_on_it(tmp_path):
    served = Served(tmp_path / "run", tamper=loses(4, kind=KEY, reply=refuses)).go()
    assert lists(served.folder) == {"1-1": {0, 1, 2, 3, 5}}
    assert np.array_equal(total(served.folder), exact(served.folder, {0, 1, 2, 3, 5}))


def test_r26_who_names_a_key_that_fails_everybody_is_refused_alone(tmp_path):
    """With zeros for a public key no other member could mask, and those would be blamed."""

    def tamper(message, answer):
        if message.metadata.message_type != KEY or unpack_roster(message.content)[2] != [2]:
            return answer
        record = answer.content["keys"]
        record["2"] = Array("uint8", (32,), record["2"].stype, bytes(32))
        return answer

    served = Served(tmp_path / "run", tamper=tamper).go()
    assert lists(served.folder) == {"1-1": {0, 1, 3, 4, 5}}
    assert np.array_equal(total(served.folder), exact(served.folder, {0, 1, 3, 4, 5}))
    assert tallies(served.folder)[2] == ("quarantined", "wrong_field")
    assert {tallies(served.folder)[k] for k in (0, 1, 3, 4, 5)} == {("answered", "accepted")}


def test_r26_a_moment_of_silence_costs_no_attempt(tmp_path):
    asked = []

    def tamper(message, answer):
        if message.metadata.message_type not in (KEY, MASK):
            return answer
        _, _, clients = unpack_roster(message.content)
        if clients != [3]:
            return answer
        asked.append(message.metadata.message_type)
        return refuses(message, clients) if asked.count(asked[-1]) == 1 else answer

    served = Served(tmp_path / "run", tamper=tamper).go()
    assert asked == [KEY, KEY, MASK, MASK]
    assert lists(served.folder) == {"1-1": set(range(6))}
    assert tallies(served.folder)[3] == ("answered", "accepted")


def test_r26_there_is_no_third_attempt(tmp_path):
    """One is lost in each of the two."""
    first, second = loses(1, attempts=(1,), reply=refuses), loses(3, attempts=(2,), reply=refuses)
    served = Served(tmp_path / "run", tamper=lambda m, a: second(m, first(m, a)))
    with pytest.raises(TooFewClients, match="aborted"):
        served.go()
    assert lists(served.folder) == {"1-1": set(range(6)), "1-2": {0, 2, 3, 4}}
    without_traces(served.folder)


def test_r26_below_k_min_nothing_is_summed(tmp_path):
    served = Served(tmp_path / "run", "k_min = 5", tamper=loses(1, 2, reply=refuses))
    with pytest.raises(TooFewClients, match="k_min is 5"):
        served.go()
    assert lists(served.folder) == {"1-1": set(range(6))}
    without_traces(served.folder)


def test_r26_too_few_keys_are_no_list(tmp_path):
    tamper = loses(0, 1, 2, 3, kind=KEY, reply=refuses)
    served = Served(tmp_path / "run", "k_min = 3", tamper=tamper)
    with pytest.raises(TooFewClients):
        served.go()
    assert lists(served.folder) == {}
    without_traces(served.folder)


def elsewhere(folder, client):
    """Give a client another transfer set, as a server would that asks everybody something else."""
    home, store = folder.parent / f"other {client}", folder / "clients" / str(client)
    (home / "audit").mkdir(parents=True)
    texts = Store(store).transfer().texts
    other = TransferSet((*texts[:-1], "this one text is of another set"))
    other.save(home / "transfer.jsonl")
    terms = read_json(folder / "terms.json")
    write_json(home / "terms.json", terms | {"transfer_sha256": other.sha256})
    digest = hashlib.sha256((home / "terms.json").read_bytes()).hexdigest()
    about = read_json(store / "client.json") | {"public": str(home), "terms_sha256": digest}
    write_json(store / "client.json", about)


def test_r26_a_client_with_another_transfer_set_takes_no_part(tmp_path):
    """It differs by one text; the client has a teacher, and names no key for such a sum."""
    folder = stocked(secure_with(*WORLD), tmp_path / "run")
    elsewhere(folder, 2)
    Served(folder, fresh=False).go()
    assert lists(folder) == {"1-1": {0, 1, 3, 4, 5}}
    assert tallies(folder)[2] == ("quarantined", "wrong_binding")
    assert np.array_equal(total(folder), exact(folder, {0, 1, 3, 4, 5}))


def test_r26_who_named_a_key_and_is_then_sent_another_transfer_set_refuses(tmp_path):
    """And whoever would mask for it all the same would send noise."""
    folder = stocked(secure_with(*WORLD), tmp_path / "run")
    members = ready(folder, range(CLIENTS))
    roster = listed(invitation(folder), members)
    other = Roster(1, 1, bytes(32), roster.members)
    with pytest.raises(Refused) as refusal:
        members[0].contribute(other)
    assert refusal.value.reason is Reason.wrong_binding
    secret = (folder / "clients" / "0" / "sums" / "1-1.secret").read_bytes()
    words = plain(folder, 0, CLIENTS)
    masked = [mask(words, secret, 0, one) for one in (roster, other)]
    assert np.mean(masked[0] == masked[1]) < 0.01


@pytest.mark.parametrize("many", [1, 2**20, 2**31])
def test_r26_words_that_overflow_or_lie_make_no_sum(tmp_path, many):
    """The server cannot say who it was; it can say that this is no sum."""

    def tamper(message, answer):
        if message.metadata.message_type != MASK or unpack_roster(message.content)[2] != [1]:
            return answer
        array = answer.content["pred"]["1"]
        words = np.frombuffer(array.data, "<u4", offset=HEADER.size) + np.uint32(many)
        data = array.data[: HEADER.size] + words.astype("<u4").tobytes()
        answer.content["pred"]["1"] = Array("uint8", (len(data),), array.stype, data)
        return answer

    served = Served(tmp_path / "run", tamper=tamper)
    with pytest.raises(TooFewClients, match="do not add up"):
        served.go()
    assert set(tallies(served.folder).values()) == {("quarantined", "wrong_sum")}
    assert not (served.folder / "student").exists()
    assert not list((served.folder / "sums").glob("*.sum"))


# What a client alone may hold: its words before the mask, and its codes, in rows of this many.
ROWS = 6


def needles(folder):
    """Pieces of what each client said, as the bytes in which it would stand somewhere."""
    found = {}
    for client in range(CLIENTS):
        words = plain(folder, client, CLIENTS)
        own = Client(Store(folder / "clients" / str(client)))
        record = own._speaker.record(1)
        probs = words[:, :3] / words[:, 3:4]
        for name, rows in (
            ("words", words.astype("<u4")),
            ("codes", record.codes.astype(np.uint8)),
            ("float32", probs.astype("<f4")),
        ):
            for start in range(0, len(rows) - ROWS, ROWS):
                found[client, name, start] = rows[start : start + ROWS].tobytes()
    return found


def held(*roots):
    """All bytes and arrays that can be reached from some objects."""
    seen, queue, data = set(), list(roots), []
    skipped = (type, types.ModuleType, types.FunctionType, types.CodeType)
    while queue:
        one = queue.pop()
        if id(one) in seen or isinstance(one, skipped):
            continue
        seen.add(id(one))
        if isinstance(one, bytes | bytearray):
            data.append(bytes(one))
        elif isinstance(one, np.ndarray):
            data.append(np.ascontiguousarray(one).tobytes())
        queue += gc.get_referents(one)
    return data


def found(pieces, places):
    return {key[0] for key, piece in pieces.items() if any(piece in data for data in places)}


def outside(folder):
    """Every file but those of the clients."""
    paths = [p for p in folder.rglob("*") if p.is_file() and "clients" not in p.parts]
    return [path.read_bytes() for path in paths]


@pytest.mark.parametrize("lost", [(), (2,)], ids=["all there", "one lost"])
def test_r26_nothing_of_one_client_is_anywhere(tmp_path, lost):
    """Not in messages, files or the server's memory, also while attempts are given up."""
    looks = []

    def tamper(message, answer):
        looks.append(held(served.coordinator, served.strategy))
        return loses(*lost, reply=refuses)(message, answer) if lost else answer

    served = Served(tmp_path / "run", tamper=tamper)
    served.go()
    pieces = needles(served.folder)
    crossed = [framed(m.content) for m in (*served.grid.sent, *served.grid.received)]
    assert found(pieces, crossed) == set()
    assert found(pieces, outside(served.folder)) == set()
    for data in (*looks, held(served.coordinator, served.strategy)):
        assert found(pieces, data) == set()


def test_r26_that_search_finds_words_that_were_not_masked(tmp_path):
    """The positive control: a client that leaves out its mask is seen in all three places."""

    def tamper(message, answer):
        if message.metadata.message_type != MASK or unpack_roster(message.content)[2] != [4]:
            return answer
        array = answer.content["pred"]["4"]
        data = array.data[: HEADER.size] + plain(served.folder, 4, CLIENTS).tobytes()
        answer.content["pred"]["4"] = Array("uint8", (len(data),), array.stype, data)
        return answer

    served = Served(tmp_path / "run", tamper=tamper)
    with pytest.raises(TooFewClients, match="do not add up"):
        served.go()
    pieces = needles(served.folder)
    assert found(pieces, [framed(m.content) for m in served.grid.received]) == {4}
    assert found(pieces, outside(served.folder)) == {4}
    assert found(pieces, held(served.coordinator, served.strategy)) == {4}


def test_r26_that_search_finds_answers_in_clear(tmp_path):
    served = Served(tmp_path / "run", "wire.secure_sum = false").go()
    pieces = {
        (client, "codes", start): piece
        for (client, start), piece in (
            ((c, s), served_codes(served.folder, c)[s : s + 3 * ROWS])
            for c in range(CLIENTS)
            for s in range(0, 90, 30)
        )
    }
    assert found(pieces, [framed(m.content) for m in served.grid.received]) == set(range(CLIENTS))
    kinds = {m.metadata.message_type for m in served.grid.sent}
    assert PREDICT in kinds
    assert not kinds & {KEY, MASK}


def served_codes(folder, client):
    own = Client(Store(folder / "clients" / str(client)))
    return own._speaker.record(1).codes.astype(np.uint8).tobytes()


def test_r26_a_server_that_dies_in_an_attempt_gets_the_same_bytes_again(tmp_path):
    """And the student of a run that nobody disturbed; one line more with its attempts counted."""

    class Killed(BaseException):
        pass

    def tamper(message, answer):
        if message.metadata.message_type == MASK and unpack_roster(message.content)[2] == [5]:
            raise Killed
        return answer

    folder = tmp_path / "run"
    with pytest.raises(Killed):
        Served(folder, tamper=tamper).go()
    before = {p: p.read_bytes() for p in folder.glob("clients/*/sums/*.masked")}
    assert len(before) == CLIENTS
    Served(folder, fresh=False).go()
    assert {p: p.read_bytes() for p in before} == before
    assert lists(folder) == {"1-1": set(range(6))}
    entries = verified(folder / "audit" / "client-0.jsonl")
    assert [e["attempts"] for e in entries if e["direction"] == "up"] == [1, 1, 2, 2]
    undisturbed = Served(tmp_path / "other").go().folder
    assert hashes(folder) == hashes(undisturbed)


def test_r26_who_was_missing_when_the_server_died_is_no_way_around_the_list(tmp_path):
    """The list of the first attempt was sent; another one is another attempt."""

    class Killed(BaseException):
        pass

    def kill(message, answer):
        if message.metadata.message_type == MASK and unpack_roster(message.content)[2] == [5]:
            raise Killed
        return answer

    folder = tmp_path / "run"
    with pytest.raises(Killed):
        Served(folder, tamper=kill).go()
    tamper = loses(3, kind=KEY, attempts=(1, 2), reply=refuses)
    Served(folder, fresh=False, tamper=tamper).go()
    assert lists(folder) == {"1-1": set(range(6)), "1-2": {0, 1, 2, 4}}
    assert np.array_equal(total(folder), exact(folder, {0, 1, 2, 4}))


def test_r26_the_same_on_both_back_ends(tmp_path):
    """Masks differ, sums and students do not."""
    served = Served(tmp_path / "served", "num_rounds = 2", nodes=4).go().folder
    inline = stocked(secure_with(*WORLD, "num_rounds = 2"), tmp_path / "inline")
    federate(inline, silent)
    assert hashes(served) == hashes(inline)
    for server_round in (1, 2):
        assert np.array_equal(total(served, server_round), total(inline, server_round))
        name = f"releases/{server_round}/0.bin"
        assert (served / name).read_bytes() != (inline / name).read_bytes()
    assert (from_words(total(inline)).contributors == CLIENTS).all()
    assert outcome(inline)["messages"] == 2 * CLIENTS
    assert outcome(inline)["bytes_up"] == outcome(served)["bytes_up"]


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_r26_a_worker_is_killed_while_it_masks(tmp_path):
    """On Ray; its task is run again, and sends what it would have sent."""
    fault = {"kill": "worker", "phase": "predict", "client": 2, "times": 1}
    key = {"kill": "worker", "phase": "key", "client": 1, "times": 1}
    world = [*SECURE, *WORLD[:3]]
    code, error, _ = command(tmp_path / "run", *world, faults=[fault, key])
    assert code == 0, error
    inline = stocked(secure_with(*WORLD[:3]), tmp_path / "inline")
    federate(inline, silent)
    assert hashes(tmp_path / "run") == hashes(inline)
    assert {status for status, _ in tallies(tmp_path / "run").values()} == {"answered"}
