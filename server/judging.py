"""What a node replies, judged: answers go before the gate, all else is refused or left out."""

from collections.abc import Callable, Iterable, Mapping

from flwr.app import Message, RecordDict
from flwr.common.constant import ErrorCode

from common.messages import Question
from common.reasons import Reason, Refused
from common.wire import (
    MASK,
    PREDICT,
    client_id,
    framed,
    unpack_answers,
    unpack_asked,
    unpack_keys,
    unpack_refusal,
)
from server.coordinator import Coordinator
from server.patience import PatientGrid

Admit = Callable[[set[int], Message, Question], dict[int, Reason]]
"""Judges a reply to a question for some clients; returns those it passes over, and why."""

_UNREACHED = (
    ErrorCode.MESSAGE_UNAVAILABLE,
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE,
    ErrorCode.NODE_UNAVAILABLE,
)


class Judge:
    """Trusts no reply: it may speak for the clients that its message named, and for no other."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator, self._books = coordinator, coordinator.books
        self._carrier = coordinator.carrier

    def gather(
        self,
        grid: PatientGrid,
        question: Question,
        replies: Iterable[Message],
        asked: set[int],
        admit: Admit,
    ) -> dict[int, Reason]:
        """Judge all replies; return who could have answered and did not, and why.

        Args:
            grid: that brings the replies.
            question: to which they are.
            replies: each in its turn, so that equal runs have equal logs.
            asked: the clients.
            admit: judges what one of them holds.
        """
        unheard, missing = set(asked), dict[int, Reason]()
        for reply in replies:
            named = grid.named(reply)
            unheard -= named
            if reply.has_error():
                self.give_up(named, reply)
            else:
                missing |= admit(named, reply, question)
        self._books.exclude_all(dict.fromkeys(unheard, Reason.timeout))
        return missing

    def answers(self, asked: set[int], reply: Message, question: Question) -> dict[int, Reason]:
        """Judge every answer in a reply; a reply that is not one is dropped whole.

        Returns:
            The clients that the reply passes over, with what it says about them.
        """

        def unpack(record: RecordDict) -> dict[str, bytes]:
            return unpack_answers(record, question.round, question.schema)

        opened = self._opened(asked, reply, question, unpack)
        if opened is None:
            return {}
        named, refusal = opened
        self._carrier.envelope_bytes += len(framed(reply.content)) - sum(map(len, named.values()))
        with self._books.judging():
            self._refuse_strays(asked, named, reply, question)
            for client in sorted(asked & named.keys()):
                self._coordinator.admit(question, client, named[client])
        return {c: refusal.get(c, Reason.client_error) for c in asked - named.keys()}

    def keys(self, asked: set[int], reply: Message, question: Question) -> dict[int, Reason]:
        """Judge every public key in a reply; see :meth:`answers`."""
        summing = self._coordinator.summing
        assert summing is not None, "this run has secure sums"

        def unpack(record: RecordDict) -> dict[str, bytes]:
            return unpack_keys(record, question.round, summing.attempt)

        opened = self._opened(asked, reply, question, unpack)
        if opened is None:
            return {}
        named, refusal = opened
        self._carrier.envelope_bytes += len(framed(reply.content))
        self._refuse_strays(asked, named, reply, question)
        for client in sorted(asked & named.keys()):
            summing.admit_key(client, named[client])
        return {c: refusal.get(c, Reason.client_error) for c in asked - named.keys()}

    def give_up(self, clients: set[int], reply: Message) -> None:
        """Leave out who could not be reached; never again ask who broke its node, alone."""
        if reply.error.code in _UNREACHED:
            self._books.exclude_all(dict.fromkeys(clients, Reason.timeout))
            return
        for client in clients:
            self._books.ban(client)
        self._carrier.drop(clients)

    def log_late(self, grid: PatientGrid) -> None:
        """Log answers to questions of earlier rounds; other replies that come late say nothing."""
        for message, reply in grid.overdue():
            if message.metadata.message_type not in (PREDICT, MASK) or reply.has_error():
                continue
            question, _, asked = unpack_asked(message.content)
            try:
                answers = unpack_answers(reply.content, question.round, question.schema)
                named = {client_id(name): payload for name, payload in answers.items()}
            except Refused:
                continue
            for client in named.keys() & set(asked):
                self._books.late(question, client, named[client])

    def _opened(
        self,
        asked: set[int],
        reply: Message,
        question: Question,
        unpack: Callable[[RecordDict], dict[str, bytes]],
    ) -> tuple[dict[int, bytes], dict[int, Reason]] | None:
        """What a reply holds of whom, or says of who sends nothing; None if it is neither."""
        try:
            refusal = unpack_refusal(reply.content)
            said = {} if refusal else unpack(reply.content)
            return {client_id(name): payload for name, payload in said.items()}, refusal
        except Refused as broken:
            whole = framed(reply.content)
            for client in asked:
                self._books.refuse(question, client, whole, broken.reason)
            return None

    def _refuse_strays(
        self, asked: set[int], named: Mapping[int, bytes], reply: Message, question: Question
    ) -> None:
        """Log what a reply says in the names of others, who are not blamed.

        As many as it may speak for are logged one by one; of more, the whole reply in one line,
        under the id of one of those asked: no reply makes the log grow at will.
        """
        strays = sorted(named.keys() - asked)
        for client in strays[: len(asked)]:
            self._books.refuse(question, client, named[client], Reason.wrong_client)
        if len(strays) > len(asked):
            whole = framed(reply.content)
            self._books.refuse(question, min(asked), whole, Reason.wrong_client)
