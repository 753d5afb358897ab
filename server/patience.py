"""A grid that waits by a clock of its own, and finds out which client breaks its node."""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from typing_extensions import override

from common.wire import for_one, unpack_asked

_POLL_SECONDS = 0.05
_SHARE_SECONDS = 0.002

# Flower's own time-out goes by the wall clock, which may be set; ours is monotonic, so
# Flower's lies far out.
TTL_SECONDS = 30 * 24 * 3600.0


@dataclass
class PatientGrid(Grid):
    """Any of Flower's grids, with the promises of ``docs/reliability.md``.

    A message that comes back as an error names several clients of which one may have broken
    the node: each is asked again in a message of its own, so that an error that
    :meth:`exchange` returns names one client. A message that is not answered in time is
    remembered; what comes later is never taken for an answer, but can be looked at.

    Attributes:
        grid: the one that carries the messages.
        pushed: told of messages once they are in its hands.
    """

    grid: Grid
    pushed: Callable[[list[Message]], None] = lambda messages: None
    _sent: dict[str, Message] = field(default_factory=dict)
    _clients: dict[str, list[int]] = field(default_factory=dict)
    _waiting: set[str] = field(default_factory=set)
    _late: set[str] = field(default_factory=set)
    _overdue: list[Message] = field(default_factory=list)

    def exchange(
        self,
        messages: Iterable[Message],
        seconds: float,
        note: Callable[[Message], None] = lambda reply: None,
    ) -> list[Message]:
        """Send, and wait until all have replied or ``seconds`` are over.

        Args:
            messages: questions for nodes.
            seconds: from now.
            note: told every good reply as it arrives.

        Returns:
            The replies in the order of arrival; one that comes twice is in it twice.
        """
        replies = []
        for reply in self._arriving(messages, seconds):
            replies.append(reply)
            if not reply.has_error():
                note(reply)
        return replies

    def in_turn(self, messages: Iterable[Message], seconds: float) -> Iterator[Message]:
        """As :meth:`exchange`, but each reply as soon as it is its turn: by the ids of its clients.

        So equal runs do the same with them in the same order, and do it while others are still
        waited for.

        Args:
            messages: questions for nodes, no two for the same client.
            seconds: from now. What is done between two replies takes of them; what has come by
                the end of that is not late.
        """
        held: list[tuple[int, int, Message]] = []
        for count, reply in enumerate(self._arriving(messages, seconds)):
            heapq.heappush(held, (self._turn(reply.metadata.reply_to_message_id), count, reply))
            turn = min(map(self._turn, self._waiting), default=held[0][0])
            while held and held[0][0] <= turn:
                yield heapq.heappop(held)[-1]
        while held:
            yield heapq.heappop(held)[-1]

    def _arriving(self, messages: Iterable[Message], seconds: float) -> Iterator[Message]:
        """The replies in the order of arrival; who breaks a node is looked for on the way."""
        kept = self._late | {reply.metadata.reply_to_message_id for reply in self._overdue}
        self._sent = {name: self._sent[name] for name in kept}
        self._clients = {name: self._clients[name] for name in kept}
        self._waiting = self._push(messages)
        started, over = time.monotonic(), False
        try:
            while self._waiting and not over:
                over = time.monotonic() >= started + seconds
                for reply in self._pull(self._waiting):
                    name = reply.metadata.reply_to_message_id
                    broken = reply.has_error() and name in self._waiting
                    alone = self._alone(reply) if broken else []
                    self._waiting |= self._push(alone)
                    self._waiting.discard(name)
                    if not alone:
                        yield reply
                if self._waiting and not over:
                    time.sleep(self._pause(time.monotonic() - started))
        finally:
            self._late |= self._waiting
            self._waiting = set()

    def asked(self, reply: Message) -> Message:
        """The message that this is the reply to."""
        return self._sent[reply.metadata.reply_to_message_id]

    def named(self, reply: Message) -> set[int]:
        """The logical clients that the message of this reply was for, which it may speak for."""
        return set(self._clients[reply.metadata.reply_to_message_id])

    def overdue(self) -> list[tuple[Message, Message]]:
        """What came too late since the last call: pairs of message and reply."""
        self._pull(set())
        late, self._overdue = self._overdue, []
        return [(self.asked(reply), reply) for reply in late]

    @property
    def owed(self) -> bool:
        """Whether a reply is still missing that is not waited for any more."""
        return bool(self._late or self._waiting)

    @override
    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> Iterable[Message]:
        return self.exchange(messages, TTL_SECONDS if timeout is None else timeout)

    @override
    def set_run(self, run: Run) -> None:
        self.grid.set_run(run)

    @property
    @override
    def run(self) -> Run:
        return self.grid.run

    @override
    def create_message(
        self,
        content: RecordDict,
        message_type: str,
        dst_node_id: int,
        group_id: str,
        ttl: float | None = None,
    ) -> Message:
        return self.grid.create_message(content, message_type, dst_node_id, group_id, ttl)

    @override
    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return self.grid.push_messages(messages)

    @override
    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return self.grid.pull_messages(message_ids)

    @override
    def get_node_ids(self) -> Iterable[int]:
        return self.grid.get_node_ids()

    def _push(self, messages: Iterable[Message]) -> set[str]:
        listed = list(messages)
        names = list(self.push_messages(listed)) if listed else []
        self.pushed(listed)
        for name, message in zip(names, listed, strict=True):
            self._sent[name] = message
            self._clients[name] = unpack_asked(message.content)[2]
        return set(names)

    def _pause(self, elapsed: float) -> float:
        """Seconds until the next look, which costs the more the more is waited for.

        The last replies of a short exchange are not waited for longer than they take.
        """
        return min(_POLL_SECONDS, _SHARE_SECONDS * len(self._waiting) + elapsed / 100)

    def _turn(self, name: str) -> int:
        """When a message is judged: no two name the same client."""
        return min(self._clients[name], default=-1)

    def _pull(self, waiting: set[str]) -> list[Message]:
        """Replies to what is waited for; what is late is put aside."""
        wanted = waiting | self._late
        replies = list(self.pull_messages(wanted)) if wanted else []
        tardy = [r for r in replies if r.metadata.reply_to_message_id in self._late]
        timely = [r for r in replies if r.metadata.reply_to_message_id not in self._late]
        self._overdue += tardy
        self._late -= {reply.metadata.reply_to_message_id for reply in tardy}
        return timely

    def _alone(self, reply: Message) -> list[Message]:
        """The same question again, once for each client, if there were several."""
        asked = self.asked(reply)
        _, _, clients = unpack_asked(asked.content)
        about = asked.metadata
        return [
            Message(
                for_one(asked.content, client),
                about.dst_node_id,
                about.message_type,
                ttl=TTL_SECONDS,
                group_id=about.group_id,
            )
            for client in clients[: len(clients) if len(clients) > 1 else 0]
        ]
