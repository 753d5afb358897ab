"""Whole messages of Flower, damaged: other records, types, names, shapes, values.

The oracle: what :mod:`common.wire` takes out of a reply, packed again, is the reply, byte for
byte as Flower serialises it. Whatever is not refused therefore held nothing else.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from flwr.app import RecordDict

from common.messages import Answer, Consensus, Question
from common.reasons import SAID_BY_CLIENTS, Reason, Refused
from common.records import CONSENSUS
from common.rosters import Roster
from common.wire import (
    client_id,
    framed,
    pack_answers,
    pack_consensus,
    pack_hello,
    pack_keys,
    pack_roster,
    pack_status,
    unpack_answers,
    unpack_consensus,
    unpack_hello,
    unpack_keys,
    unpack_refusal,
    unpack_roster,
    unpack_status,
)
from simulations.benches.damages import damaged
from simulations.benches.fuzzer import ERRORS, Findings
from simulations.benches.mutations import ROUND

Reader = Callable[[RecordDict], RecordDict | None]


def feed(
    random: Random, replies: int, findings: Findings, readers: tuple[Reader, ...] | None = None
) -> None:
    """Judge so many replies.

    Args:
        random: where the replies come from.
        replies: how many.
        findings: where it is noted.
        readers: what is tested: each makes a reply of what it takes out of one, or None.
    """
    for _ in range(replies):
        reader = random.choice(readers or tuple(READERS))
        name, reply = _message(random, reader)
        findings.verdict(_judge(reader, name, reply, findings))


def _judge(reader: Reader, name: str, reply: RecordDict, findings: Findings) -> Reason:
    try:
        again = reader(reply)
    except Refused as refusal:
        return refusal.reason
    except ERRORS:
        findings.found("raised: error", name, repr(reply).encode())
        return Reason.client_error
    if again is not None and framed(again) != framed(reply):
        findings.found("a reply held something else", name, framed(reply))
    return Reason.accepted


def _answers(reply: RecordDict) -> RecordDict:
    made = unpack_answers(reply, ROUND)
    return pack_answers([Answer(client_id(k), data) for k, data in made.items()], ROUND)


def _status(reply: RecordDict) -> RecordDict:
    return pack_status(unpack_status(reply))


def _refusal(reply: RecordDict) -> RecordDict | None:
    said = unpack_refusal(reply)
    return pack_status(said) if said else None


def _hello(reply: RecordDict) -> RecordDict:
    return pack_hello(unpack_hello(reply))


def _keys(reply: RecordDict) -> RecordDict:
    made = unpack_keys(reply, ROUND, 1)
    return pack_keys({client_id(k): key for k, key in made.items()}, ROUND, 1)


def _consensus(message: RecordDict) -> RecordDict:
    return pack_consensus(*unpack_consensus(message))


def _roster(message: RecordDict) -> RecordDict:
    return pack_roster(*unpack_roster(message))


def _good_hello(random: Random, clients: list[int]) -> RecordDict:
    return pack_hello(random.choice((0, 3, 2**31)))


def _good_status(random: Random, clients: list[int]) -> RecordDict:
    said = random.choice((sorted(SAID_BY_CLIENTS), list(Reason)))
    return pack_status({client: random.choice(said) for client in clients})


def _good_answers(random: Random, clients: list[int]) -> RecordDict:
    answers = [Answer(k, random.randbytes(random.randint(0, 90))) for k in clients]
    return pack_answers(answers, _round(random))


def _good_keys(random: Random, clients: list[int]) -> RecordDict:
    return pack_keys({k: random.randbytes(32) for k in clients}, _round(random), 1)


def _good_consensus(random: Random, clients: list[int]) -> RecordDict:
    question = Question(_round(random), CONSENSUS, random.randbytes(32))
    return pack_consensus(Consensus(question, random.randbytes(60)), "site", clients)


def _good_roster(random: Random, clients: list[int]) -> RecordDict:
    members = tuple((k, random.randbytes(32)) for k in sorted(clients))
    roster = Roster(_round(random), 1, random.randbytes(32), members)
    return pack_roster(roster, "site", clients)


def _round(random: Random) -> int:
    return random.choice((ROUND, ROUND, ROUND, ROUND + 1))


Maker = Callable[[Random, list[int]], RecordDict]
READERS: Final[dict[Reader, Maker]] = {
    _answers: _good_answers,
    _status: _good_status,
    _refusal: _good_status,
    _hello: _good_hello,
    _keys: _good_keys,
    _consensus: _good_consensus,
    _roster: _good_roster,
}
"""Of every reader what it is meant for."""


def _message(random: Random, reader: Reader) -> tuple[str, RecordDict]:
    """A message after up to three damages, and their names; every other one of another kind."""
    maker = READERS.get(reader) if random.random() < 0.5 else None
    maker = maker or random.choice(list(READERS.values()))
    clients = random.sample((0, 1, 5, 31, 999_999_999), random.randint(0, 3))
    return damaged(random, dict(maker(random, clients).items()))
