"""Flower adapter: a node looks after some logical clients and runs their tasks."""

import contextlib
import os
import traceback
from collections.abc import Callable
from pathlib import Path

# A privacy tool must not phone home; flwr reads this when it is imported.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

import torch
from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from clients import faults
from clients.client import Client
from clients.flushing import settled
from clients.side_by_side import SideBySide
from clients.store import Store
from common.failures import FolderError
from common.messages import Answer, Question
from common.reasons import Reason, Refused
from common.sites import find
from common.wire import (
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


app = ClientApp(mods=faults.mods(_stores))


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Say which partition this node is; Flower's own node ids are random."""
    return Message(pack_hello(int(context.node_config["partition-id"])), reply_to=message)


@app.train("encode")
def encode(message: Message, context: Context) -> Message:
    """Have every logical client compute the features of its private texts."""
    _, done = _each(message, context, lambda client, _: client.encode())
    return Message(pack_status(done), reply_to=message)


@app.train("teacher")
def teacher(message: Message, context: Context) -> Message:
    """Have every logical client train its teacher."""
    room = SideBySide(guarded)
    _, done = _each(message, context, lambda client, _: room.train(client))
    return Message(pack_status(done | room.finished()), reply_to=message)


@app.train("refine")
def refine(message: Message, context: Context) -> Message:
    """Have every logical client go on from its teacher with what the server says back."""
    consensus, _, _ = unpack_consensus(message.content)
    _, done = _each(message, context, lambda client, _: client.refine(consensus))
    return Message(pack_status(done), reply_to=message)


@app.query("predict")
def predict(message: Message, context: Context) -> Message:
    """Bring the answers of the logical clients; one that fails is simply not among them.

    Where nobody answers, the reply is a status: one reason code for each.
    """
    answers: list[Answer] = []
    written: list[Path] = []

    def ask(client: Client, question: Question) -> None:
        answer, files = client.draft(question)
        answers.append(answer)
        written.extend(files)

    question, done = _each(message, context, ask)
    settled(written)  # before anything leaves
    if done and not answers:
        return Message(pack_status(done), reply_to=message)
    return Message(pack_answers(answers, question.round, question.schema), reply_to=message)


@app.query("key")
def key(message: Message, context: Context) -> Message:
    """Bring the public keys of the logical clients for one attempt at a secure sum."""
    invitation, _, _ = unpack_roster(message.content)
    keys: dict[int, bytes] = {}

    def ask(client: Client, _: Question) -> None:
        keys[client.id] = client.name_key(invitation)

    _, done = _each(message, context, ask)
    if done and not keys:
        return Message(pack_status(done), reply_to=message)
    return Message(pack_keys(keys, invitation.round, invitation.attempt), reply_to=message)


@app.query("mask")
def mask(message: Message, context: Context) -> Message:
    """Bring the masked words of the logical clients; all is on disk before anything leaves."""
    roster, _, _ = unpack_roster(message.content)
    answers: list[Answer] = []
    question, done = _each(message, context, lambda c, _: answers.append(c.contribute(roster)))
    if done and not answers:
        return Message(pack_status(done), reply_to=message)
    return Message(pack_answers(answers, question.round, question.schema), reply_to=message)


def _each(
    message: Message, context: Context, act: Callable[[Client, Question], None]
) -> tuple[Question, dict[int, Reason]]:
    """Run ``act`` for every logical client that the message names and this node owns."""
    torch.set_num_threads(1)  # the number of threads changes the bits
    question, site, clients = unpack_asked(message.content)
    stores = _stores(context, site)
    if stores is None:
        return question, dict.fromkeys(clients, Reason.refused)
    nodes, node = context.node_config["num-partitions"], context.node_config["partition-id"]
    done = {}
    for client in clients:
        if client % int(nodes) != int(node):
            done[client] = Reason.wrong_client
        else:
            done[client] = guarded(stores / str(client), lambda c: act(c, question))
    return question, done


def guarded(folder: Path, act: Callable[[Client], None]) -> Reason:
    """Run one client's task; what goes wrong stays with the client, a code comes out.

    This is the client side's one boundary handler: no exception text ever crosses.
    """
    try:
        act(Client(Store(folder)))
    except Refused as refusal:
        return refusal.reason
    except Exception:
        # A client that has no folder, or no room in it, keeps no log; it must not sink others.
        with contextlib.suppress(OSError):
            Store(folder).note(traceback.format_exc())
        return Reason.client_error
    return Reason.accepted
