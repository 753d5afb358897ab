"""What clients of several cells have in common is worked out once and lent, client by client.

A teacher depends on its client's texts, seed and recipe, on the encoder and on the labels, and
on nothing else; what the server does with its predictions is not among them. So cells that
differ in the server's settings only have the same teachers, bit for bit, and those say the same of
the same texts. Nothing is lent between clients. On the inline back end only, where all parties are
one process anyway: on Ray the server's process is walled off from stores where they usually lie,
not from a shelf.
"""

import contextlib
import hashlib
import json
import os
import shutil
from pathlib import Path

from clients.store import Store
from common.encoders._shelf import trimmed, used
from common.places import cache_bytes
from common.terms import Terms
from simulations.sweeping._lent_answers import keep_answers, lend_answers
from simulations.sweeping.grading import program

_FILES = ("features.npy", "teacher.safetensors")


def lend(folder: Path, shelf: Path) -> None:
    """Give every client of a provisioned run folder its teacher and answers, if they are there."""
    terms = Terms.read(folder / "terms.json")
    for store, key in _keys(folder, terms):
        for name in _FILES:
            used(shelf / key / name)
            _copy(shelf / key / name, store.root / name)
        lend_answers(store, terms, shelf / key)


def keep(folder: Path, shelf: Path) -> None:
    """Put the teachers of a finished run folder, and what they said, on the shelf.

    The shelf is kept below :func:`common.places.cache_bytes`; what was not lent longest goes first,
    and is worked out again where it is wanted.
    """
    terms = Terms.read(folder / "terms.json")
    shelf.mkdir(mode=0o700, exist_ok=True)
    for store, key in _keys(folder, terms):
        (shelf / key).mkdir(mode=0o700, exist_ok=True)
        for name in _FILES:
            _copy(store.root / name, shelf / key / name)
        keep_answers(store, terms, shelf / key)
    trimmed(shelf, cache_bytes(), shelf, "*/*")


def _keys(folder: Path, terms: Terms) -> list[tuple[Store, str]]:
    common: list[object] = [program(folder), list(terms.labels), terms.points, terms.cost]
    paths = sorted(path for path in (folder / "clients").iterdir() if path.name.isdecimal())
    return [(Store(path), _key(Store(path), common)) for path in paths]


def _key(store: Store, common: list[object]) -> str:
    about = store.about()
    who = [about[key] for key in ("client", "seed", "config")]
    texts = hashlib.sha256((store.root / "shard.jsonl").read_bytes()).hexdigest()
    told = json.dumps([common, who, texts], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _copy(source: Path, target: Path) -> None:
    """The same file under another name where the system can do that: stores replace, never edit."""
    if target.exists() or not source.exists():
        return
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with contextlib.suppress(FileNotFoundError):  # it was dropped from the shelf just now
        try:
            os.link(source, part)
        except OSError:
            shutil.copy2(source, part)
        os.replace(part, target)
    with contextlib.suppress(FileNotFoundError):  # renaming a link onto its like does nothing
        part.unlink()


def clear(shelf: Path) -> None:
    """Remove all that was lent; cells have their own."""
    shutil.rmtree(shelf, ignore_errors=True)
