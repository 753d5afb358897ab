"""The first process: put every party's data into its own folder, and exit.

Afterwards the server finds public terms, public texts and its own settings; each client
finds its own shard; the rows that only the observer may use are not on disk at all, but
in ``split.json`` by number.
"""

import contextlib
import secrets
import shutil
from pathlib import Path
from typing import Any

from clients.apart import mark
from clients.store import Store
from common.arrays import Ints
from common.blanks import blanks, blanks_sha256
from common.configure import dump, kind_of, load
from common.encoders import Encoder, encode_cached, resolve
from common.failures import ConfigError
from common.files import read_json, read_lines, write_json, write_lines
from common.labels import LabelGeometry
from common.places import cache_dir
from common.seeds import derive, stream
from common.sites import forget, register
from common.terms import Terms
from common.transfer import TransferSet
from server.plan import LABELS, ServerPlan
from server.subclasses import fine
from simulations.caching import kept
from simulations.corruptions import Shard
from simulations.datasets import Corpus
from simulations.events import Progress
from simulations.experiment import Experiment
from simulations.provisioned import is_sealed, reopen, seal
from simulations.saved_split import hashes
from simulations.secure_sum import agreed
from simulations.shards import shards
from simulations.split import Split, split


def provision(experiment: Experiment, folder: Path, progress: Progress) -> None:
    """Fill a run folder; what an interrupted attempt left is made anew, what is whole is kept.

    Raises:
        DataError: the data set is missing or damaged.
        ConfigError: the split cannot be had from this data.
        FolderError: what was provisioned has been changed since.
    """
    if is_sealed(folder):
        reopen(folder)
    else:
        _clear(folder)
        _fill(experiment, folder)
        seal(folder)
    readers = experiment.clients.reads_features or "familiarity" in experiment.disclosed
    if readers or experiment.server.student.reads == "features":
        _warm(folder, progress)


def _clear(folder: Path) -> None:
    """Undo what an attempt did before it was cut short; nobody has acted on it yet."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        forget(read_json(folder / "terms.json")["site"])
    for entry in (folder / "clients").iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _fill(experiment: Experiment, folder: Path) -> None:
    corpus, parts = divide(experiment)
    _check_loss(experiment, corpus.geometry)
    encoder = resolve(experiment.clients.encoder)
    transfer = TransferSet(tuple(corpus.texts[row] for row in parts.transfer))
    terms = terms_of(experiment, corpus, transfer, encoder)
    terms.save(folder / "terms.json")
    transfer.save(folder / "transfer.jsonl")
    ServerPlan(dump(experiment.server), derive(experiment.seed, "server")).save(folder)
    dataset = experiment.data.dataset
    told = hashes(corpus)
    held = parts.to_json(kind_of(dataset), dataset.provenance(), told["corpus_sha256"]) | told
    write_json(folder / "split.json", held, mode=0o600)
    write_lines(folder / "validation.jsonl", _labelled(corpus, parts.validation))
    if experiment.data.labelled_transfer is not None:
        write_lines(folder / LABELS, _public_labels(experiment, corpus, parts))
    for client, shard in enumerate(shards(experiment, corpus, parts)):
        config = dump(experiment.clients.own(client, encoder))
        _stock(experiment.seed, folder, client, shard, config)
    if experiment.isolation == "process":
        mark(folder / "clients")
    register(terms.site, folder / "clients")


def _check_loss(experiment: Experiment, labels: LabelGeometry) -> None:
    """Refuse a ground cost that the loss cannot serve before anything is encoded or trained."""
    cost, subclasses = experiment.server.geometry.build(labels), experiment.clients.num_subclasses
    for one in (cost, *([fine(cost, subclasses)] if subclasses > 1 else [])):
        experiment.server.loss.check(one)


def divide(experiment: Experiment) -> tuple[Corpus, Split]:
    """Load the corpus and say who holds which rows; the same for the same experiment."""
    data, seed = experiment.data, experiment.seed
    corpus = data.dataset.load(stream(seed, "data"))
    parts = split(
        corpus,
        transfer_fraction=data.transfer_fraction,
        test_fraction=data.test_fraction,
        validation_size=data.validation_size,
        partition=data.partition,
        num_clients=data.num_clients,
        seed=seed,
    )
    return corpus, parts


def terms_of(
    experiment: Experiment, corpus: Corpus, transfer: TransferSet, encoder: Encoder
) -> Terms:
    """What the parties of a run agree on; every call draws a site of its own."""
    return Terms(
        run=experiment.run_id,
        site=secrets.token_hex(16),
        num_rounds=experiment.num_rounds,
        num_clients=experiment.data.num_clients,
        k_min=experiment.k_min,
        labels=corpus.geometry.names,
        points=corpus.geometry.points.tolist(),
        cost=corpus.geometry.cost.tolist(),
        rows=len(transfer),
        transfer_sha256=transfer.sha256,
        blanks=experiment.clients.blanks,
        blanks_sha256=blanks_sha256(experiment.clients.blanks),
        bits=experiment.wire.bits,
        disclosed=experiment.disclosed,
        encoder={"kind": kind_of(encoder)} | dump(encoder),
        bits_down=experiment.bits_down,
        subclasses=experiment.clients.num_subclasses,
        secure_sum=agreed(experiment),
        cache=kept(experiment),
        bias=experiment.clients.bias,
    )


def _stock(seed: int, folder: Path, client: int, shard: Shard, config: dict[str, Any]) -> None:
    """Write one client's store."""
    Store.create(
        folder / "clients" / str(client),
        client=client,
        seed=derive(seed, "client", client),
        config=config,
        public=folder,
        texts=shard.texts,
        labels=shard.labels,
    )


def _warm(folder: Path, progress: Progress) -> None:
    """Compute the features of all public texts once, for everybody."""
    terms, shelf = Terms.read(folder / "terms.json"), cache_dir() / "features"
    encoder: Encoder = load(Encoder, dict(terms.encoder), "encoder")  # type: ignore[type-abstract]
    shelf.mkdir(exist_ok=True)
    listed = [
        [row["text"] for row in read_lines(folder / "transfer.jsonl")],
        [row["text"] for row in read_lines(folder / "validation.jsonl")],
        list(blanks(terms.blanks)),
    ]
    total, before = sum(map(len, listed)), 0
    for texts in listed:

        def step(done: int, _: int, before: int = before) -> None:
            progress("encode", before + done, total)

        encode_cached(encoder, texts, shelf, step)
        before += len(texts)


def _public_labels(experiment: Experiment, corpus: Corpus, parts: Split) -> list[dict[str, object]]:
    """Which transfer texts have public labels, by their place in the transfer set."""
    wanted, there = experiment.data.labelled_transfer or 0, len(parts.transfer)
    if wanted > there:
        raise ConfigError(
            f"data.labelled_transfer is {wanted} but there are only {there} transfer texts; "
            f"write data.labelled_transfer = {there} or less"
        )
    places = stream(experiment.seed, "public labels").choice(there, wanted, replace=False)
    rows = sorted(map(int, places))
    return [{"row": row, "label": int(corpus.labels[parts.transfer[row]])} for row in rows]


def _labelled(corpus: Corpus, rows: Ints) -> list[dict[str, object]]:
    return [{"text": corpus.texts[row], "label": int(corpus.labels[row])} for row in rows]
