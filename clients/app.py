"""Flower adapter: a node looks after some logical clients and runs their tasks."""

import contextlib
import os
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

# A privacy tool must not phone home; flwr reads this when it is imported.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from clients import faults
from clients.apart import runner
from clients.side_by_side import SideBySide
from clients.store import Store
from clients.tasks import Argument, Said, guarded, here
from common.failures import FolderError
from common.flushing import settled
from common.messages import Answer
from common.reasons import Reason
from common.sites import find
from common.wire import (
    HELLO,
    pack_answers,
    pack_hello,
    pack_keys,
    pack_status,
    unpack_asked,
    unpack_consensus,
    unpack_roster,
)


def _stores(context: Context, site: str) -> Path | None:
    """The folder of this site's stores, or None if the site has none for this run."""
    if "store" in context.node_config:
        return Path(str(context.node_config["store"]))
    try:
        return find(site)
    except FolderError:
        return None


def _silent(message: Message, context: Context, act: ClientAppCallable) -> Message:
    """Have what fails outside any client's own guard leave as codes, too, and never as a text.

    Only ``hello`` goes without, which opens no store. Nobody is named where the message is none.
    """
    if message.metadata.message_type == HELLO:
        return act(message, context)
    try:
        return act(message, context)
    except Exception as error:
        asked: list[int] = []
        # Whatever is broken here, too, must not let out what the other error holds back.
        with contextlib.suppress(Exception):
            _, site, asked = unpack_asked(message.content)
            _note(context, site, asked, error)
        codes = dict.fromkeys(asked, Reason.client_error)
        return Message(pack_status(codes), reply_to=message)


def _note(context: Context, site: str, clients: list[int], error: Exception) -> None:
    """Write into the logs of this node's clients where it failed, and nobody's text."""
    where = "".join([*traceback.format_tb(error.__traceback__), type(error).__name__, "\n"])
    if (stores := _stores(context, site)) is not None:
        for client in filter(partial(_owns, context), clients):
            with contextlib.suppress(OSError):  # as in clients.tasks.guarded
                Store(stores / str(client)).note(where)


def _owns(context: Context, client: int) -> bool:
    """Client k lives on the node of partition k mod n."""
    nodes, node = context.node_config["num-partitions"], context.node_config["partition-id"]
    return client % int(nodes) == int(node)


app = ClientApp(mods=[*faults.outer_mods(), _silent, *faults.mods(_stores)])


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Say which partition this node is; Flower's own node ids are random."""
    return Message(pack_hello(int(context.node_config["partition-id"])), reply_to=message)


@app.train("encode")
def encode(message: Message, context: Context) -> Message:
    """Have every logical client compute the features of its private texts."""
    tasks = _Tasks(message, context)
    return Message(pack_status(tasks.run("encode")), reply_to=message)


@app.train("teacher")
def teacher(message: Message, context: Context) -> Message:
    """Have every logical client train its teacher, alone or side by side with others."""
    tasks = _Tasks(message, context)
    if tasks.isolated:
        return Message(pack_status(tasks.run("train")), reply_to=message)
    room = SideBySide(guarded)
    done = tasks.each(lambda folder, _: guarded(folder, room.train))
    return Message(pack_status(done | room.finished()), reply_to=message)


@app.train("refine")
def refine(message: Message, context: Context) -> Message:
    """Have every logical client go on from its teacher with what the server says back."""
    consensus, _, _ = unpack_consensus(message.content)
    done = _Tasks(message, context).run("refine", consensus)
    return Message(pack_status(done), reply_to=message)


@app.query("predict")
def predict(message: Message, context: Context) -> Message:
    """Bring the answers of the logical clients; one that fails is simply not among them.

    Where nobody answers, the reply is a status: one reason code for each.
    """
    tasks = _Tasks(message, context)
    done = tasks.run("predict", tasks.question)
    return _answering(message, tasks, done)


@app.query("key")
def key(message: Message, context: Context) -> Message:
    """Bring the public keys of the logical clients for one attempt at a secure sum."""
    invitation, _, _ = unpack_roster(message.content)
    tasks = _Tasks(message, context)
    done = tasks.run("key", invitation)
    if done and not tasks.said:
        return Message(pack_status(done), reply_to=message)
    keys = {client: said.payload for client, said in tasks.said.items()}
    return Message(pack_keys(keys, invitation.round, invitation.attempt), reply_to=message)


@app.query("mask")
def mask(message: Message, context: Context) -> Message:
    """Bring the masked words of the logical clients; all is on disk before anything leaves."""
    roster, _, _ = unpack_roster(message.content)
    tasks = _Tasks(message, context)
    done = tasks.run("mask", roster)
    return _answering(message, tasks, done)


def _answering(message: Message, tasks: "_Tasks", done: dict[int, Reason]) -> Message:
    settled([path for said in tasks.said.values() for path in said.written])
    if done and not tasks.said:
        return Message(pack_status(done), reply_to=message)
    answers = [Answer(client, said.payload) for client, said in tasks.said.items()]
    question = tasks.question
    return Message(pack_answers(answers, question.round, question.schema), reply_to=message)


class _Tasks:
    """What a message asks of the logical clients that it names and this node owns."""

    def __init__(self, message: Message, context: Context) -> None:
        torch.set_num_threads(1)  # the number of threads changes the bits
        self.question, site, self._clients = unpack_asked(message.content)
        self._stores = _stores(context, site)
        self._run = here if self._stores is None else runner(self._stores)
        self._context = context
        self.said: dict[int, Said] = {}

    @property
    def isolated(self) -> bool:
        """Whether every task has a process of its own."""
        return self._run is not here

    def run(self, task: str, argument: Argument = None) -> dict[int, Reason]:
        """Run a task of every client; what they say is in ``said``."""

        def act(folder: Path, client: int) -> Reason:
            outcome = self._run(folder, task, argument)
            if outcome.said is not None:
                self.said[client] = outcome.said
            return outcome.reason

        return self.each(act)

    def each(self, act: Callable[[Path, int], Reason]) -> dict[int, Reason]:
        """Call ``act`` with the store of every client, in the order of the message."""
        if self._stores is None:
            return dict.fromkeys(self._clients, Reason.refused)
        done = {}
        for client in self._clients:
            if not _owns(self._context, client):
                done[client] = Reason.wrong_client
            else:
                done[client] = act(self._stores / str(client), client)
        return done
