"""Messages to Flower records and back. Strict: whatever is not expected is refused.

Every private matter of flwr 1.41 that both sides touch is in this file.
"""

from collections.abc import Mapping
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.common.serde import recorddict_to_proto

from common.messages import Answer, Question
from common.reasons import SAID_BY_CLIENTS, Reason, Refused
from common.records import PREDICTIONS

HELLO = "query.hello"
ENCODE = "train.encode"
TEACHER = "train.teacher"
PREDICT = "query.predict"

_RAW = "fedknot.record"


def pack_question(question: Question, site: str, clients: list[int]) -> RecordDict:
    """A question for the logical clients of one node.

    Args:
        question: what is asked.
        site: the token under which the node's site files its stores of this run.
        clients: ids of the logical clients that are to answer.
    """
    fields: dict[str, Any] = {
        "schema": question.schema,
        "round": question.round,
        "binding": question.binding,
        "site": site,
        "clients": clients,
    }
    return RecordDict({"question": ConfigRecord(fields)})


def unpack_question(record: RecordDict) -> tuple[Question, str, list[int]]:
    """Question, site token and client ids; :class:`Refused` if the record is any different."""
    fields = _only(record, "question", ConfigRecord)
    if set(fields) != {"schema", "round", "binding", "site", "clients"}:
        raise Refused(Reason.wrong_field)
    schema, server_round, binding = fields["schema"], fields["round"], fields["binding"]
    site, clients = fields["site"], fields["clients"]
    good = type(schema) is int and type(server_round) is int and type(binding) is bytes
    good = good and type(site) is str and isinstance(clients, list)
    if not good or not all(type(client) is int for client in clients):
        raise Refused(Reason.wrong_field)
    if not (0 <= schema < 2**16 and 0 <= server_round < 2**32):
        raise Refused(Reason.wrong_field)
    return Question(server_round, schema, binding), site, list(clients)


def pack_answers(answers: list[Answer], server_round: int) -> RecordDict:
    """The answers of the logical clients of one node; raw bytes, no ``.npy`` framing."""
    arrays = {
        str(answer.client): Array("uint8", (len(answer.payload),), _RAW, answer.payload)
        for answer in answers
    }
    meta = MetricRecord({"schema": PREDICTIONS, "round": server_round})
    return RecordDict({"pred": ArrayRecord(arrays), "meta": meta})


def unpack_answers(record: RecordDict, server_round: int) -> dict[str, bytes]:
    """Names and bytes of the answers in a reply; nothing is parsed here.

    Raises:
        Refused: ``wrong_field`` if the reply holds anything else or other types,
            ``wrong_length`` if an array contradicts its own size, ``wrong_round``.
    """
    if set(record) != {"pred", "meta"}:
        raise Refused(Reason.wrong_field)
    arrays, meta = record["pred"], record["meta"]
    if not isinstance(arrays, ArrayRecord) or not isinstance(meta, MetricRecord):
        raise Refused(Reason.wrong_field)
    if set(meta) != {"schema", "round"} or not all(type(v) is int for v in meta.values()):
        raise Refused(Reason.wrong_field)
    if meta["schema"] != PREDICTIONS:
        raise Refused(Reason.wrong_field)
    if meta["round"] != server_round:
        raise Refused(Reason.wrong_round)
    return {name: _raw(array) for name, array in arrays.items()}


def pack_status(status: Mapping[int, Reason]) -> RecordDict:
    """How a task went for each logical client: a reason code and nothing else."""
    return RecordDict({"status": MetricRecord({str(k): int(v) for k, v in status.items()})})


def unpack_status(record: RecordDict) -> dict[int, Reason]:
    """The reason codes in a reply; :class:`Refused` if it holds anything else."""
    fields = _only(record, "status", MetricRecord)
    try:
        return {client_id(name): Reason(_integer(code)) for name, code in fields.items()}
    except ValueError as error:
        raise Refused(Reason.wrong_field) from error


def unpack_refusal(record: RecordDict) -> dict[int, Reason]:
    """Why nobody on a node answered: the codes, if the reply is a status and no answer.

    Returns:
        Empty if the reply is anything but a status.

    Raises:
        Refused: it is a status, but says of nobody, or of somebody, what a client that did
            not answer cannot say.
    """
    if "status" not in record:
        return {}
    said = unpack_status(record)
    if not said or not SAID_BY_CLIENTS.issuperset(said.values()):
        raise Refused(Reason.wrong_field)
    return said


def pack_hello(partition: int) -> RecordDict:
    """Which partition a node is."""
    return RecordDict({"hello": MetricRecord({"partition": partition})})


def unpack_hello(record: RecordDict) -> int:
    """The partition a node says it is; :class:`Refused` if the reply holds anything else."""
    fields = _only(record, "hello", MetricRecord)
    if set(fields) != {"partition"}:
        raise Refused(Reason.wrong_field)
    return _integer(fields["partition"])


def client_id(name: str) -> int:
    """The id that ``name`` is the decimal form of; :class:`Refused` if it is not."""
    if not (name.isascii() and name.isdecimal() and len(name) < 10 and str(int(name)) == name):
        raise Refused(Reason.wrong_field)
    return int(name)


def framed(record: RecordDict) -> bytes:
    """A reply as Flower serialises it, payloads included; the same bytes for the same reply."""
    return bytes(recorddict_to_proto(record).SerializeToString(deterministic=True))


def _only(record: RecordDict, name: str, kind: type) -> Any:
    if set(record) != {name} or not isinstance(record[name], kind):
        raise Refused(Reason.wrong_field)
    return record[name]


def _integer(value: object) -> int:
    if type(value) is not int:
        raise Refused(Reason.wrong_field)
    return value


def _raw(array: Array) -> bytes:
    if (array.dtype, array.stype) != ("uint8", _RAW) or type(array.data) is not bytes:
        raise Refused(Reason.wrong_field)
    if tuple(array.shape) != (len(array.data),):
        raise Refused(Reason.wrong_length)
    return array.data
