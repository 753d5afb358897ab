"""Flower's nodes: which clients live on which, and the messages that are addressed to them."""

import time
from collections.abc import Callable
from contextlib import suppress

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from common.messages import Question
from common.reasons import Refused
from common.wire import HELLO, pack_question, unpack_hello
from server.patience import TTL_SECONDS, PatientGrid

_CONNECT_SECONDS = 300.0
_LOOK_SECONDS = 0.1


class Nodes:
    """Clients are addressed by their own ids, many to a message.

    Client k lives on the node of partition k mod n.
    """

    def __init__(self, clients: range) -> None:
        """Start with no node known.

        Args:
            clients: the ids of all clients of the federation.
        """
        self._clients = clients
        self._nodes: dict[int, int] = {}
        self._partitions = 0

    def greet(self, grid: PatientGrid) -> None:
        """Learn which of Flower's random node ids is which partition, unless that is known.

        The silent are left out. Once all have answered the workers are up, and the clocks of the
        phases may start.
        """
        if self._nodes:
            return
        nodes = _connected(grid)
        known: dict[int, int] = {}

        def note(reply: Message) -> None:
            with suppress(Refused):
                known[unpack_hello(reply.content)] = reply.metadata.src_node_id

        empty = pack_question(Question(0, 0, bytes(32)), "", [])
        messages = [Message(empty, node, HELLO, ttl=TTL_SECONDS) for node in nodes]
        grid.exchange(messages, _CONNECT_SECONDS, note)
        self._partitions = len(nodes)
        self._nodes = {p: node for p, node in sorted(known.items()) if 0 <= p < len(nodes)}

    def messages(
        self,
        kind: str,
        server_round: int,
        clients: set[int],
        content: Callable[[list[int]], RecordDict],
    ) -> list[Message]:
        """One message a node, naming the clients there that are to act.

        Args:
            kind: Flower's type of the message.
            server_round: that it belongs to.
            clients: on whichever nodes.
            content: of a message that names these ids.
        """
        group, made = str(server_round), []
        for node in self._nodes.values():
            own = sorted(clients & self._owned(node))
            if own:
                made.append(Message(content(own), node, kind, ttl=TTL_SECONDS, group_id=group))
        return made

    def _owned(self, node: int) -> set[int]:
        mine = [partition for partition, other in self._nodes.items() if other == node]
        return {c for c in self._clients if c % self._partitions in mine}


def _connected(grid: Grid) -> list[int]:
    """The nodes, once there are some and no more come."""
    nodes: list[int] = []
    end = time.monotonic() + _CONNECT_SECONDS
    while time.monotonic() < end:
        before, nodes = nodes, list(grid.get_node_ids())
        if nodes and len(nodes) == len(before):
            break
        time.sleep(_LOOK_SECONDS)
    return nodes
