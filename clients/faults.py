"""A client that breaks its promises, for tests: see :mod:`common.faults`.

A leak gives away the first text of the store that bears the word of a canary. From a store
without one, which is everybody's real store, nothing is given away.
"""

import logging
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord
from flwr.clientapp.typing import ClientAppCallable, Mod

from clients.store import Store
from common import faults
from common.arrays import Ints
from common.files import read_lines
from common.records import HEADER, decode, encode
from common.wire import ENCODE, KEY, MASK, PREDICT, REFINE, TEACHER, unpack_asked

CANARY: Final = "fedknot-canary"
_PHASES: Final = {
    ENCODE: "encode",
    TEACHER: "train",
    REFINE: "refine",
    PREDICT: "predict",
    KEY: "key",
    MASK: "predict",
}
_ROUND, _CLIENT, _SPARE = 8, 12, 22  # where they are in the header; the last, two zero bytes


def mods(stores: Callable[[Context, str], Path | None]) -> list[Mod]:
    """What to put around the client's app: nothing, unless this process is to have faults."""
    if not faults.on():
        return []

    def disturb(message: Message, context: Context, act: ClientAppCallable) -> Message:
        return _disturb(message, context, act, stores)

    return [disturb]


def outer_mods() -> list[Mod]:
    """What to put around all of it, the app's own guard included; likewise."""
    return [_let_out] if faults.on() else []


class _Escape(BaseException):
    """Passes the app's guard as an interrupt would, and bears a text."""


def _let_out(message: Message, context: Context, act: ClientAppCallable) -> Message:
    try:
        return act(message, context)
    except _Escape as escape:
        raise RuntimeError(str(escape)) from None


def _disturb(
    message: Message,
    context: Context,
    act: ClientAppCallable,
    stores: Callable[[Context, str], Path | None],
) -> Message:
    """Let the app act, with the faults of all clients that the message names around it."""
    question, site, clients = unpack_asked(message.content)
    home, phase = stores(context, site), _PHASES.get(message.metadata.message_type)
    if home is None or phase is None:
        return act(message, context)
    for client in clients:
        faults.stamp(home / str(client))
        faults.reach(phase, client=client, server_round=question.round)
    reply = act(message, context)
    for client in clients:
        store = Store(home / str(client))
        if phase == "predict" and "pred" in reply.content:
            scene = _Scene(reply, context, client, store, "")
            _lie(scene, faults.lies(client=client, server_round=question.round), question.round)
            _malform(scene, faults.malformations(client=client, server_round=question.round))
        for name in faults.leaks(phase, client=client, server_round=question.round):
            secret = _secret(store)
            # Who refuses to answer has nothing that could be spoilt.
            if secret is not None and (phase != "predict" or "pred" in reply.content):
                _LEAKS[name](_Scene(reply, context, client, store, secret))
    return reply


@dataclass(frozen=True)
class _Scene:
    """What a leak finds: the reply that is about to leave, and what must not leave."""

    reply: Message
    context: Context
    client: int
    store: Store
    secret: str

    @property
    def meta(self) -> MetricRecord:
        found = self.reply.content["meta"]
        assert isinstance(found, MetricRecord)
        return found

    @property
    def pred(self) -> ArrayRecord:
        found = self.reply.content["pred"]
        assert isinstance(found, ArrayRecord)
        return found

    @property
    def payload(self) -> bytes:
        return self.pred[str(self.client)].data

    @property
    def size(self) -> int:
        return len(self.store.shard()[1])

    def send(self, data: bytes, name: str | None = None, dtype: str = "uint8") -> None:
        """Put an array into the reply, by default in place of the client's own."""
        stype = self.pred[str(self.client)].stype
        self.pred[name or str(self.client)] = Array(dtype, (len(data),), stype, data)


def _lie(scene: _Scene, names: list[str], server_round: int) -> None:
    """Other codes, in the canonical form; in a secure sum there are none that could be replaced."""
    terms = scene.store.terms()
    for name in names if str(scene.client) in scene.pred and terms.secure is None else ():
        layout = terms.layout_of(server_round)
        said = decode(scene.payload, layout, server_round, scene.client)
        scene.send(encode(replace(said, codes=_LIES[name](said.codes)), layout))


def _malform(scene: _Scene, names: list[str]) -> None:
    for name in names if str(scene.client) in scene.pred else ():
        scene.send(_MALFORMED[name](scene.payload))


def _certain(codes: Ints) -> Ints:
    made = np.zeros_like(codes)
    made[:, 0] = codes.sum(axis=1)
    return made


_LIES: Final[dict[str, Callable[[Ints], Ints]]] = {
    "reversed": lambda codes: codes[:, ::-1],
    "certain": _certain,
}


def _with_byte(payload: bytes, place: int) -> bytes:
    return payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]


_MALFORMED: Final[dict[str, Callable[[bytes], bytes]]] = {
    "wrong_sum": lambda payload: _with_byte(payload, HEADER.size),
    "truncated": lambda payload: payload[:-1],
    "trailing": lambda payload: payload + b"0",
    "other_client": lambda payload: _with_byte(payload, _CLIENT),
    "other_round": lambda payload: _with_byte(payload, _ROUND),
}


def _secret(store: Store) -> str | None:
    return next((text for text in store.shard()[0] if CANARY in text), None)


def _extra_record(scene: _Scene) -> None:
    scene.reply.content["extra"] = ConfigRecord({"text": scene.secret})


def _extra_metric(scene: _Scene) -> None:
    scene.meta["size"] = scene.size


def _metric_name(scene: _Scene) -> None:
    scene.meta[scene.secret] = 1


def _metric_value(scene: _Scene) -> None:
    scene.meta["round"] = scene.size


def _status_name(scene: _Scene) -> None:
    status = scene.reply.content["status"]
    assert isinstance(status, MetricRecord)
    status[scene.secret] = 0


def _array_name(scene: _Scene) -> None:
    scene.send(scene.payload, name=scene.secret)


def _array_type(scene: _Scene) -> None:
    scene.send(scene.payload, dtype=scene.secret)


def _trailing_bytes(scene: _Scene) -> None:
    scene.send(scene.payload + scene.secret.encode())


def _spare_bytes(scene: _Scene) -> None:
    hidden = scene.secret.encode()[:2]
    scene.send(scene.payload[:_SPARE] + hidden + scene.payload[_SPARE + 2 :])


def _wrong_sum(scene: _Scene) -> None:
    first = HEADER.size
    scene.send(
        scene.payload[:first] + bytes([scene.payload[first] ^ 1]) + scene.payload[first + 1 :]
    )


def _stray_answer(scene: _Scene) -> None:
    scene.send(scene.payload + scene.secret.encode(), name=str(scene.client + 1))


def _context_state(scene: _Scene) -> None:
    scene.context.state["kept"] = ConfigRecord({"text": scene.secret})


def _print(scene: _Scene) -> None:
    print(scene.secret, flush=True)


def _stderr(scene: _Scene) -> None:
    print(scene.secret, file=sys.stderr, flush=True)


def _log(scene: _Scene) -> None:
    logging.getLogger("flwr").error(scene.secret)


def _error_text(scene: _Scene) -> None:
    raise RuntimeError(scene.secret)


def _error_outside(scene: _Scene) -> None:
    raise _Escape(scene.secret)


def _teacher_file(scene: _Scene) -> None:
    shutil.copy(scene.store.root / "teacher.safetensors", scene.store.public() / "checkpoint")


def _path_file(scene: _Scene) -> None:
    home = scene.store.root.resolve().name
    if CANARY in home:
        (scene.store.public() / "checkpoint" / "path.txt").write_text(home)


def _label_file(scene: _Scene) -> None:
    rows = read_lines(scene.store.root / "shard.jsonl")
    names = [row["label_name"] for row in rows if CANARY in row.get("label_name", "")]
    (scene.store.public() / "checkpoint" / "label.txt").write_text("".join(names), "utf-8")


def _print_number(scene: _Scene) -> None:
    print(scene.size, flush=True)


_LEAKS: Final[dict[str, Callable[[_Scene], None]]] = {
    "extra_record": _extra_record,
    "extra_metric": _extra_metric,
    "metric_name": _metric_name,
    "metric_value": _metric_value,
    "status_name": _status_name,
    "array_name": _array_name,
    "array_type": _array_type,
    "trailing_bytes": _trailing_bytes,
    "spare_bytes": _spare_bytes,
    "wrong_sum": _wrong_sum,
    "stray_answer": _stray_answer,
    "context_state": _context_state,
    "print": _print,
    "stderr": _stderr,
    "log": _log,
    "error_text": _error_text,
    "error_outside": _error_outside,
    "teacher_file": _teacher_file,
    "path_file": _path_file,
    "label_file": _label_file,
    "print_number": _print_number,
}
