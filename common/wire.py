"""Messages to Flower records and back. Strict: whatever is not expected is refused.

Every private matter of flwr 1.41 that both sides touch is in this file.
"""

from collections.abc import Mapping
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.common.serde import recorddict_to_proto

from common.messages import Answer, Consensus, Question
from common.reasons import SAID_BY_CLIENTS, Reason, Refused
from common.records import PREDICTIONS
from common.rosters import KEYS, Roster

HELLO = "query.hello"
ENCODE = "train.encode"
TEACHER = "train.teacher"
REFINE = "train.refine"
PREDICT = "query.predict"
KEY = "query.key"
MASK = "query.mask"

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
    return _question(_only(record, "question", ConfigRecord))


def pack_consensus(consensus: Consensus, site: str, clients: list[int]) -> RecordDict:
    """What the server says, for the logical clients of one node; other arguments as of a question.

    One ArrayRecord ``consensus`` with one Array ``record`` beside the question's own record.
    """
    made = pack_question(consensus.question, site, clients)
    made["consensus"] = _arrays({"record": consensus.payload})
    return made


def unpack_consensus(record: RecordDict) -> tuple[Consensus, str, list[int]]:
    """Consensus, site token and client ids; nothing of the bytes is parsed here.

    Raises:
        Refused: ``wrong_field`` if the record is any different, ``wrong_length`` if the array
            contradicts its own size.
    """
    if set(record) != {"question", "consensus"}:
        raise Refused(Reason.wrong_field)
    fields, arrays = record["question"], record["consensus"]
    if not isinstance(fields, ConfigRecord) or not isinstance(arrays, ArrayRecord):
        raise Refused(Reason.wrong_field)
    if set(arrays) != {"record"}:
        raise Refused(Reason.wrong_field)
    question, site, clients = _question(fields)
    return Consensus(question, _raw(arrays["record"])), site, clients


def pack_roster(roster: Roster, site: str, clients: list[int]) -> RecordDict:
    """A list of a secure sum, or an invitation to it; other arguments as of a question.

    One ArrayRecord ``roster`` with one Array ``record`` beside the question's own record.
    """
    made = pack_question(roster.question, site, clients)
    made["roster"] = _arrays({"record": roster.payload})
    return made


def unpack_roster(record: RecordDict) -> tuple[Roster, str, list[int]]:
    """Roster, site token and client ids.

    Raises:
        Refused: the record is any different, the roster's bytes are not canonical, or the question
            beside it means something else.
    """
    if set(record) != {"question", "roster"}:
        raise Refused(Reason.wrong_field)
    fields, arrays = record["question"], record["roster"]
    if not isinstance(fields, ConfigRecord) or not isinstance(arrays, ArrayRecord):
        raise Refused(Reason.wrong_field)
    if set(arrays) != {"record"}:
        raise Refused(Reason.wrong_field)
    question, site, clients = _question(fields)
    roster = Roster.read(_raw(arrays["record"]))
    if question != roster.question:
        raise Refused(Reason.wrong_field)
    return roster, site, clients


def pack_keys(keys: Mapping[int, bytes], server_round: int, attempt: int) -> RecordDict:
    """The public keys of the logical clients of one node, for one attempt."""
    arrays = _arrays({str(client): key for client, key in keys.items()})
    meta = MetricRecord({"schema": KEYS, "round": server_round, "attempt": attempt})
    return RecordDict({"keys": arrays, "meta": meta})


def unpack_keys(record: RecordDict, server_round: int, attempt: int) -> dict[str, bytes]:
    """Names and public keys in a reply.

    Raises:
        Refused: ``wrong_field`` if the reply holds anything else, ``wrong_length`` if an array
            contradicts its own size, ``wrong_round`` if it is of another round or attempt.
    """
    if set(record) != {"keys", "meta"}:
        raise Refused(Reason.wrong_field)
    arrays, meta = record["keys"], record["meta"]
    if not isinstance(arrays, ArrayRecord) or not isinstance(meta, MetricRecord):
        raise Refused(Reason.wrong_field)
    fields = {"schema", "round", "attempt"}
    if set(meta) != fields or not all(type(v) is int for v in meta.values()):
        raise Refused(Reason.wrong_field)
    if meta["schema"] != KEYS:
        raise Refused(Reason.wrong_field)
    if (meta["round"], meta["attempt"]) != (server_round, attempt):
        raise Refused(Reason.wrong_round)
    return {name: _raw(array) for name, array in arrays.items()}


def unpack_asked(record: RecordDict) -> tuple[Question, str, list[int]]:
    """Question, site token and client ids of any message to a node, also of one that says more."""
    if "consensus" in record:
        consensus, site, clients = unpack_consensus(record)
        return consensus.question, site, clients
    if "roster" in record:
        roster, site, clients = unpack_roster(record)
        return roster.question, site, clients
    return unpack_question(record)


def for_one(record: RecordDict, client: int) -> RecordDict:
    """The same message to a node, for one of its clients only."""
    question, site, _ = unpack_asked(record)
    return RecordDict({**record, **pack_question(question, site, [client])})


def pack_answers(answers: list[Answer], server_round: int, schema: int = PREDICTIONS) -> RecordDict:
    """The answers of the logical clients of one node; raw bytes, no ``.npy`` framing."""
    arrays = _arrays({str(answer.client): answer.payload for answer in answers})
    meta = MetricRecord({"schema": schema, "round": server_round})
    return RecordDict({"pred": arrays, "meta": meta})


def unpack_answers(
    record: RecordDict, server_round: int, schema: int = PREDICTIONS
) -> dict[str, bytes]:
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
    if meta["schema"] != schema:
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


def _question(fields: Any) -> tuple[Question, str, list[int]]:
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


def _only(record: RecordDict, name: str, kind: type) -> Any:
    if set(record) != {name} or not isinstance(record[name], kind):
        raise Refused(Reason.wrong_field)
    return record[name]


def _integer(value: object) -> int:
    if type(value) is not int:
        raise Refused(Reason.wrong_field)
    return value


def _arrays(payloads: Mapping[str, bytes]) -> ArrayRecord:
    """One Array a byte string. The constructor of the record would make a copy of each."""
    made = ArrayRecord()
    for name, data in payloads.items():
        made[name] = Array("uint8", (len(data),), _RAW, data)
    return made


def _raw(array: Array) -> bytes:
    if (array.dtype, array.stype) != ("uint8", _RAW) or type(array.data) is not bytes:
        raise Refused(Reason.wrong_field)
    if tuple(array.shape) != (len(array.data),):
        raise Refused(Reason.wrong_length)
    return array.data
