"""Flower without Ray: its messages and a grid that runs the clients' app in this process.

Every private matter of flwr that the tests touch is in this file.
"""

import copy
import time
import uuid

from flwr.app import Context, Error, Message, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from clients.app import app


def instruction(content, kind, node=1000):
    """A message to a node; flwr makes one only inside a run."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, SUPERLINK_NODE_ID, 1
    made = Message(content, node, kind)
    made.metadata.__dict__["_message_id"] = str(uuid.uuid4())
    return made


def context(partition=0, nodes=1, **config):
    """What Flower tells the app of the node it runs on."""
    about = {"partition-id": partition, "num-partitions": nodes} | config
    return Context(1, 1000 + partition, about, RecordDict(), {})


def failed(message):
    """What the engine replies where the app raised."""
    code = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    return Message(Error(code, "a reason that the server must not read"), reply_to=message)


class LocalGrid(Grid):
    """Runs the clients' app for one node after the other; keeps all that was sent.

    Attributes:
        sent: copies of all messages to nodes, as they crossed.
        received: copies of all replies.
        contexts: one per node, as the app left it.
    """

    def __init__(self, nodes, tamper=None, backwards=False, hold=None):
        """Start the nodes.

        Args:
            nodes: how many.
            tamper: from the message to a node and its reply to the reply that arrives, None
                for none.
            backwards: whether replies arrive, and nodes are listed, last first.
            hold: from a message to the seconds after which its reply is there; 0 if None.
        """
        TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, SUPERLINK_NODE_ID, 1
        self.contexts = {1000 + p: context(p, nodes) for p in range(nodes)}
        self.sent, self.received = [], []
        self._tamper = tamper or (lambda message, reply: reply)
        self._backwards, self._waiting, self._due = backwards, {}, {}
        self._hold = hold or (lambda message: 0.0)

    def set_run(self, run):
        raise NotImplementedError

    @property
    def run(self):
        return Run.create_empty(run_id=1)

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        raise NotImplementedError

    def get_node_ids(self):
        return sorted(self.contexts, reverse=self._backwards)

    def push_messages(self, messages):
        return [self._handle(message) for message in messages]

    def pull_messages(self, message_ids):
        asked, now = set(message_ids), time.monotonic()
        wanted = [n for n in self._waiting if n in asked and self._due[n] <= now]
        arrived = [self._waiting.pop(name) for name in wanted]
        ordered = arrived[::-1] if self._backwards else arrived
        return [reply for reply in ordered if reply is not None]

    def send_and_receive(self, messages, *, timeout=None):
        return self.pull_messages(self.push_messages(messages))

    def _handle(self, message):
        message.metadata.__dict__["_message_id"] = name = str(uuid.uuid4())
        self.sent.append(_crossed(message))
        node = self.contexts[message.metadata.dst_node_id]
        reply = self._tamper(message, app(_crossed(message), node))
        if reply is not None:
            reply = _crossed(reply)
            self.received.append(copy.deepcopy(reply))
        self._waiting[name] = reply
        self._due[name] = time.monotonic() + self._hold(message)
        return name


def _crossed(message):
    """As it is after Flower has serialised it and read it again."""
    return message_from_proto(message_to_proto(message))
