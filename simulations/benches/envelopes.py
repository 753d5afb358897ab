"""Whole replies of Flower, damaged: other records, types, names, shapes, values.

The oracle: what :mod:`common.wire` takes out of a reply, packed again, is the reply, byte for
byte as Flower serialises it. Whatever is not refused therefore held nothing else.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from common.messages import Answer
from common.reasons import SAID_BY_CLIENTS, Reason, Refused
from common.wire import (
    client_id,
    framed,
    pack_answers,
    pack_hello,
    pack_status,
    unpack_answers,
    unpack_hello,
    unpack_refusal,
    unpack_status,
)
from simulations.benches.fuzzer import ERRORS, Findings
from simulations.benches.mutations import ROUND

Reader = Callable[[RecordDict], RecordDict | None]

_RAW: Final = str(dict(pack_answers([Answer(0, b"")], ROUND).array_records["pred"])["0"].stype)
_NAMES: Final = ("0", "1", "01", "-1", "", "pred", "meta", "status", "hello", "partition", "round")
_DTYPES: Final = ("uint8", "int8", "float32", "float64", "object", "uint8 ", "|u1", "")
_STYPES: Final = (_RAW, "numpy.ndarray", "", "pickle")


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
        name, reply = _reply(random)
        reader = random.choice(readers or READERS)
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


READERS: Final = (_answers, _status, _refusal, _hello)


def _reply(random: Random) -> tuple[str, RecordDict]:
    """A good reply of some kind after up to three damages, and their names."""
    records = dict(_good(random).items())
    damages = random.sample(list(_DAMAGES), random.choice((0, 1, 1, 1, 2, 3)))
    for name in damages:
        _DAMAGES[name](random, records)
    return "+".join(damages) or "untouched", RecordDict(records)


def _good(random: Random) -> RecordDict:
    clients = random.sample((0, 1, 5, 31, 999_999_999), random.randint(0, 3))
    kind = random.randrange(4)
    if kind == 0:
        return pack_hello(random.choice((0, 3, 2**31)))
    if kind == 1:
        said = random.choice((sorted(SAID_BY_CLIENTS), list(Reason)))
        return pack_status({client: random.choice(said) for client in clients})
    answers = [Answer(k, random.randbytes(random.randint(0, 90))) for k in clients]
    return pack_answers(answers, random.choice((ROUND, ROUND, ROUND, ROUND + 1)))


def _extra(random: Random, records: dict[str, Any]) -> None:
    name = random.choice((*_NAMES, "extra", "\u0661", "a private text"))
    records[name] = random.choice((_arrays, _metrics, _configs))(random)


def _missing(random: Random, records: dict[str, Any]) -> None:
    if records:
        del records[random.choice(list(records))]


def _wrong_kind(random: Random, records: dict[str, Any]) -> None:
    for name in records:
        if random.random() < 0.5:
            records[name] = random.choice((_arrays, _metrics, _configs))(random)


def _more_metrics(random: Random, records: dict[str, Any]) -> None:
    for record in records.values():
        if isinstance(record, MetricRecord):
            record[random.choice((*_NAMES, "schema", "0", "loss", "1" * 5000))] = _number(random)


def _more_arrays(random: Random, records: dict[str, Any]) -> None:
    for record in records.values():
        if isinstance(record, ArrayRecord):
            record[random.choice((*_NAMES, "7", "\uff11", "9" * 10, " 1"))] = _array(random)


_DAMAGES: Final[dict[str, Callable[[Random, dict[str, Any]], None]]] = {
    "extra record": _extra,
    "missing record": _missing,
    "wrong kind": _wrong_kind,
    "more metrics": _more_metrics,
    "more arrays": _more_arrays,
}


def _array(random: Random) -> Array:
    """Types, shapes and bytes that need not agree."""
    data = random.randbytes(random.choice((0, 1, 8, 64)))
    shapes: tuple[tuple[int, ...], ...] = (
        (len(data),),
        (2**31 - 1,),
        (10**6, 10**6),
        (),
        (len(data), 1),
        (-1,),
        (0,),
    )
    return Array(
        random.choice(("uint8", random.choice(_DTYPES))),
        random.choice(((len(data),), random.choice(shapes))),
        random.choice((_RAW, random.choice(_STYPES))),
        data,
    )


def _arrays(random: Random) -> ArrayRecord:
    return ArrayRecord({name: _array(random) for name in random.sample(_NAMES, 2)})


def _number(random: Random) -> Any:
    odd: tuple[Any, ...] = (0.0, float(ROUND), float("nan"), [1], [1.0], [], -1, 2**40)
    return random.choice((0, 1, ROUND, 13, *odd))


def _metrics(random: Random) -> MetricRecord:
    names = random.sample((*_NAMES, "schema"), random.randint(0, 3))
    return MetricRecord({name: _number(random) for name in names})


def _configs(random: Random) -> ConfigRecord:
    values = ("a private text", b"bytes", True, 1, [b"bytes"], ["text"], 0.5)
    return ConfigRecord({random.choice(_NAMES): random.choice(values)})
