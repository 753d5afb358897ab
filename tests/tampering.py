"""Nodes whose replies are not what the clients' app would send."""

from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict

from common.reasons import Reason
from common.wire import pack_hello, pack_status, unpack_question
from tests.local_grid import failed

NODE = 1001  # of three; client 1 lives there alone


def replaced(message, reply, content):
    return Message(content, reply_to=message)


def with_record(message, reply, name, record):
    return replaced(message, reply, RecordDict(dict(reply.content.items()) | {name: record}))


def asked_round(message):
    return unpack_question(message.content)[0].round


def clients_of(message):
    return unpack_question(message.content)[2]


def at(kind, abuse, node=NODE):
    def tamper(message, reply):
        here = message.metadata.message_type == kind and message.metadata.dst_node_id == node
        return abuse(message, reply) if here else reply

    return tamper


PHASE_ABUSES = {
    "error": lambda m, r: failed(m),
    "no reply": lambda m, r: None,
    "empty": lambda m, r: replaced(m, r, RecordDict()),
    "hello": lambda m, r: replaced(m, r, pack_hello(1)),
    "unknown code": lambda m, r: replaced(m, r, RecordDict({"status": MetricRecord({"1": 99})})),
    "text": lambda m, r: with_record(m, r, "log", ConfigRecord({"text": "x"})),
    "failure": lambda m, r: replaced(m, r, pack_status({1: Reason.client_error})),
    "failure of others": lambda m, r: replaced(
        m, r, pack_status(dict.fromkeys([0, 2, 3, 77], Reason.client_error))
    ),
    "success of others": lambda m, r: replaced(
        m, r, pack_status(dict.fromkeys([0, 2, 3, 77], Reason.accepted))
    ),
}
