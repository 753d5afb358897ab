"""The fuzzer, in small: nothing gets in, and what would get in is found."""

import json
from random import Random

import pytest

from common.failures import CheckFailed
from common.reasons import Reason
from common.records import decode
from common.wire import pack_answers, pack_hello, unpack_answers
from simulations import cli
from simulations.benches import envelopes
from simulations.benches.canonical import codes, fault, header, length
from simulations.benches.fuzz import MOST_MB, WITHIN, _resident_mb, check, found_after, fuzz, lines
from simulations.benches.fuzzer import Findings, Fuzzer
from simulations.benches.mutations import CLIENTS, MUTATIONS, ROUND, STRANGER, worlds
from simulations.benches.weakened import WEAKENED
from simulations.benches.weakened_parts import WEAK_PARTS
from simulations.events import silent


@pytest.fixture(scope="module")
def made():
    return fuzz(20_000, 7, silent)


def test_nothing_gets_in(made):
    assert made["broken"] == {}
    assert made["examples"] == []
    assert made["inputs"] == 20_000
    assert max(made["memory"].values()) < MOST_MB
    check(made)


def test_every_verdict_of_the_gate_is_met(made):
    never = {"timeout", "crashed", "client_error", "refused", "aborted"}
    assert set(made["reasons"]) == {reason.name for reason in Reason} - never
    assert min(made["reasons"].values()) > 100
    assert made["replies"].keys() >= {"accepted", "wrong_field", "wrong_round", "wrong_length"}
    assert min(made["reasons"]["accepted"], made["replies"]["accepted"]) > 100


def test_every_other_kind_is_fed_and_met(made):
    met = {
        "consensus": {"wrong_sum", "wrong_binding", "wrong_round", "wrong_field", "not_canonical"},
        "lists": {"wrong_length", "wrong_field", "not_canonical"},
        "keys": {"wrong_length", "wrong_client", "duplicate"},
        "masked words": {"wrong_binding", "wrong_client", "duplicate", "not_canonical"},
    }
    assert made["parts"].keys() == met.keys()
    for kind, reasons in met.items():
        verdicts = made["parts"][kind]
        assert sum(verdicts.values()) == 1000
        assert verdicts.keys() >= {"accepted", *reasons}, kind


@pytest.mark.parametrize("name", [*WEAKENED, *WEAK_PARTS])
def test_the_fuzzer_finds_what_is_broken_on_purpose(name):
    assert found_after(name, seed=7) <= 1000 < WITHIN


def test_the_same_seed_gives_the_same_verdicts():
    one, two, other = Fuzzer(1), Fuzzer(1), Fuzzer(2)
    for fuzzer in (one, two, other):
        fuzzer.feed(2000)
    assert one.findings.decisions == two.findings.decisions != other.findings.decisions


def test_a_decoder_that_cannot_make_up_its_mind_is_found():
    calls = iter(range(10**6))

    def fickle(data, *asked):
        return decode(data + b"\0" * (next(calls) % 3 == 0), *asked)

    fuzzer = Fuzzer(7, fickle)
    fuzzer.feed(5000)
    assert fuzzer.findings.broken["not the same verdict"] > 0


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_mutation_does_something(name):
    """Most of what it makes differs from what it is made of, and much of that is bad."""
    random, changed, bad = Random(0), 0, 0
    for world in worlds(0) * 20:
        good = world.good[CLIENTS[0]][0]
        data = MUTATIONS[name](random, world, good)
        changed += data != good
        bad += fault(data, world.layout, ROUND, CLIENTS[0]) is not None
    if name == "untouched":
        assert changed == bad == 0
    else:
        assert changed > 150
        assert bad > (0 if name == "mass" else 50)  # which moves mass, and may leave it good


def test_the_oracle_knows_good_messages():
    for world in worlds(1):
        assert length(world.layout) == world.layout.length
        for client, messages in world.good.items():
            for message in messages:
                assert fault(message, world.layout, ROUND, client) is None
                assert fault(message, world.layout, ROUND, client + 1) == "header"
                assert fault(message, world.layout, ROUND + 1, client) == "header"
                assert fault(message + b"\0", world.layout, ROUND, client) == "length"
        assert all(fault(m, world.layout, ROUND, CLIENTS[0]) for m in world.strays if m)
        assert STRANGER not in CLIENTS


def test_the_oracle_by_hand():
    """The record of which tests/common/test_records.py gives the bytes."""
    (world,) = [w for w in worlds(0) if (w.layout.bits, w.layout.rows) == (4, 5)]
    assert header(world.layout, 2, 258).hex().startswith("464b4e31010004070200000002010000")
    assert codes(bytes.fromhex("0f5055"), 0, 6, 4) == ([15, 0, 0, 5, 5, 5], 0)
    assert codes(bytes.fromhex("210c"), 0, 3, 4) == ([1, 2, 12], 0)
    assert codes(bytes.fromhex("211c"), 0, 3, 4) == ([1, 2, 12], 1)


def lenient_hello(reply):
    return pack_hello(int(reply["hello"]["partition"])) if "hello" in reply else None


def lenient_answers(reply):
    """Takes what it knows and leaves the rest: what stock strategies do."""
    kept = {name: reply[name] for name in ("pred", "meta") if name in reply}
    unpack_answers(type(reply)(kept), ROUND)
    return pack_answers([], ROUND)


@pytest.mark.parametrize(
    ("reader", "rule"),
    [
        (lenient_hello, "a reply held something else"),
        (lenient_hello, "raised: error"),
        (lenient_answers, "a reply held something else"),
    ],
)
def test_a_lenient_reader_of_replies_is_found(reader, rule):
    findings = Findings()
    envelopes.feed(Random(0), 500, findings, (reader,))
    assert findings.broken[rule] > 0


def test_the_command_prints_and_fails_where_it_must(monkeypatch, capsys):
    arguments = ["bench", "fuzz", "--inputs", "500", "--seed", "3"]
    assert cli.app([*arguments, "--json"], standalone_mode=False) in (None, 0)
    assert json.loads(capsys.readouterr().out)["broken"] == {}
    monkeypatch.setitem(WEAKENED, "does nothing wrong", (decode, "accepted: sum"))
    monkeypatch.setattr("simulations.benches.fuzz.WITHIN", 1000)
    with pytest.raises(CheckFailed, match="misses a reader that does nothing wrong"):
        cli.app(arguments, standalone_mode=False)
    shown = capsys.readouterr().out
    assert "no rule broken" in shown
    assert shown.count("NOT FOUND") == 1


def test_memory_is_seen_to_grow():
    before = _resident_mb()
    held = bytes(bytearray(b"\1") * 60_000_000)
    assert 40 < _resident_mb() - before < 200
    assert len(held) == 60_000_000


def test_a_broken_rule_fails_the_command(made):
    bad = made | {"broken": {"gate": 2}, "examples": [("gate", "bits", "00ff")]}
    assert "gate by bits: 00ff" in lines(bad)
    with pytest.raises(CheckFailed, match="1 rule"):
        check(bad)
