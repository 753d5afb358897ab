"""One of Flower's grids whose nodes are functions of this process.

Flower's own strategies run on it unchanged. Its messages are made by Flower, serialised and
read again, so nothing is shared between the sides; what they weigh is counted. Every private
matter of flwr 1.41 that the yardsticks touch is in this file.
"""

import logging
import os
import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

# A privacy tool must not phone home; flwr reads this when it is imported.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

from flwr.app import Message, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from typing_extensions import override

from common.wire import framed
from simulations.yardsticks._traffic import Crossing

App = Callable[[Message], Message]

_FIRST = SUPERLINK_NODE_ID + 1  # client k is node k + _FIRST
_RUN = 1


class LocalGrid(Grid):
    """Asks one client after the other; replies come in the order of the clients.

    Attributes:
        crossings: all that was sent and received, so far.
    """

    def __init__(self, apps: Mapping[int, App]) -> None:
        """Connect the clients.

        Args:
            apps: by client: from a message to its reply.
        """
        self.crossings: list[Crossing] = []
        self._apps = dict(apps)
        self._replies: dict[str, Message] = {}

    @override
    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    @override
    def run(self) -> Run:
        return Run.create_empty(run_id=_RUN)

    @override
    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        raise NotImplementedError

    @override
    def get_node_ids(self) -> list[int]:
        return [client + _FIRST for client in sorted(self._apps)]

    @override
    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        return [self._ask(m) for m in sorted(messages, key=lambda m: m.metadata.dst_node_id)]

    @override
    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self._replies.pop(name) for name in message_ids if name in self._replies]

    @override
    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        return self.pull_messages(self.push_messages(messages))

    def _ask(self, message: Message) -> str:
        message.metadata.__dict__["_message_id"] = name = str(uuid.UUID(int=len(self.crossings)))
        client = message.metadata.dst_node_id - _FIRST
        reply = _crossed(self._apps[client](_crossed(message)))
        self._replies[name] = reply
        down, up = arrays_bytes(message.content), arrays_bytes(reply.content)
        self.crossings.append(
            Crossing(
                round=int(str(message.content.config_records["config"]["server-round"])),
                client=client,
                bytes_down=down,
                bytes_up=up,
                envelope_down=len(framed(message.content)) - down,
                envelope_up=len(framed(reply.content)) - up,
            )
        )
        return name


def arrays_bytes(content: RecordDict) -> int:
    """What a message's arrays weigh as they are serialised, with the header of each."""
    records = content.array_records.values()
    return sum(len(array.data) for record in records for array in record.values())


@contextmanager
def flower(seed: int) -> Iterator[None]:
    """Let Flower's strategies work in this process, quietly; all is put back afterwards.

    Flower makes messages only inside a run, and draws nodes from Python's global generator.

    Args:
        seed: of those draws.
    """
    log, drawn = logging.getLogger("flwr"), random.getstate()
    level, told = log.level, TaskIdentity.__dict__
    before = {name: told[f"_{name}"] for name in ("run_id", "node_id", "task_id")}
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = _RUN, SUPERLINK_NODE_ID, 1
    log.setLevel(logging.ERROR)
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(drawn)
        log.setLevel(level)
        for name, value in before.items():
            setattr(TaskIdentity, name, value)


def _crossed(message: Message) -> Message:
    """As it is after Flower has serialised it and read it again."""
    return message_from_proto(message_to_proto(message))
