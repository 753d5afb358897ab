"""Damages to whole messages of Flower: other records, types, names, shapes, values."""

from collections.abc import Callable
from random import Random
from typing import Any, Final

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from common.messages import Answer
from common.wire import pack_answers
from simulations.benches.mutations import ROUND

_RAW: Final = str(dict(pack_answers([Answer(0, b"")], ROUND).array_records["pred"])["0"].stype)
_NAMES: Final = (
    "0",
    "1",
    "01",
    "-1",
    "",
    "pred",
    "meta",
    "status",
    "hello",
    "partition",
    "round",
    "record",
)
_DTYPES: Final = ("uint8", "int8", "float32", "float64", "object", "uint8 ", "|u1", "")
_STYPES: Final = (_RAW, "numpy.ndarray", "", "pickle")


def damaged(random: Random, records: dict[str, Any]) -> tuple[str, RecordDict]:
    """The records after up to three damages, and their names."""
    damages = random.sample(list(_DAMAGES), random.choice((0, 1, 1, 1, 2, 3)))
    for name in damages:
        _DAMAGES[name](random, records)
    return "+".join(damages) or "untouched", RecordDict(records)


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
