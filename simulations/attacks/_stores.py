"""A finished run as the observer finds it: for each client a game about its own shard.

Only the observer may open the stores, and does so for the truth; the attacker has what crossed,
the transfer set and shadow models of its own. Members are rows of a client's shard, non-members
test rows of the same natural group and label, pair by pair, as far as there are enough of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clients.store import Store
from common.arrays import Floats, Ints
from common.configure import load
from common.encoders import Encoder, encode_cached
from common.failures import DataError, FolderError
from common.places import cache_dir
from common.reasons import Refused
from common.records import decode
from common.seeds import derive
from common.terms import Terms
from common.transfer import TransferSet
from server.admission import predictions
from simulations.attacks._game import Game, Rows, Size, view_of
from simulations.datasets import Corpus
from simulations.examination import private_shelf
from simulations.experiment import Experiment
from simulations.experiment_file import read
from simulations.folder import summary_of
from simulations.redivided import divide_again
from simulations.split import Split

LEAST = 8
"""Fewest members of a client."""


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run as the observer finds it.

    Attributes:
        folder: of the run.
        experiment: that was run.
        terms: of the run.
        corpus: the data.
        parts: who held what.
        texts: the N transfer texts.
        size: of the games.
    """

    folder: Path
    experiment: Experiment
    terms: Terms
    corpus: Corpus
    parts: Split
    texts: tuple[str, ...]
    size: Size

    def store(self, client: int) -> Store:
        """What a client holds."""
        return Store(self.folder / "clients" / str(client))

    def release(self, client: int) -> Path:
        """What a client said in the first round."""
        return self.folder / "releases" / "1" / f"{client}.bin"

    @property
    def places(self) -> Ints:
        """The transfer texts that an attacker works with; all, if there are not too many."""
        rng = np.random.default_rng(derive(self.experiment.seed, "attack", "places"))
        return np.sort(rng.permutation(len(self.texts))[: self.size.shared])

    @property
    def encoder(self) -> Encoder:
        """Of the run, resolved."""
        told = dict(self.terms.encoder)
        made: Encoder = load(Encoder, told, "encoder")  # type: ignore[type-abstract]
        return made


def open_run(folder: Path, size: Size) -> FinishedRun:
    """Read a complete run.

    Raises:
        FolderError: it is not complete.
        DataError: its clients answered about a part of the texts only.
    """
    if (status := summary_of(folder)["status"]) != "complete":
        raise FolderError(f"{folder} holds a run that is {status}; resume it first")
    experiment = read(str(folder / "experiment.toml"))
    if experiment.server.cache is not None:
        raise DataError(
            "the clients of this run said in every round something of a part of the texts only; "
            "attack a run with server.cache = 'none'"
        )
    terms = Terms.read(folder / "terms.json")
    texts = TransferSet.read(folder / "transfer.jsonl", terms.transfer_sha256).texts
    return FinishedRun(folder, experiment, terms, *divide_again(folder, experiment), texts, size)


@dataclass(frozen=True, eq=False)
class Chosen:
    """Whom an attacker is asked about.

    Attributes:
        members: places in each client's shard, all of one number.
        others: by client, as many test rows.
        alike: whether every member has a counterpart of its own group and label, and all of the
            data is as the split has it; only then are members and others told apart by what was
            learned, and a figure can be held against a guarantee.
    """

    members: dict[int, Ints]
    others: dict[int, Ints]
    alike: bool


def choose(run: FinishedRun, clients: Sequence[int]) -> Chosen:
    """Candidates of every client; the same run, the same ones.

    Raises:
        DataError: one holds too little.
    """
    pairs = {client: _pairs(run, client) for client in clients}
    most = min(run.size.pool // 2, len(run.parts.test) // 2)
    each = min([most, *(len(mine) for mine, _ in pairs.values())])
    alike = each >= LEAST and not run.experiment.data.corruptions
    if each < LEAST:
        pairs = {client: _strangers(run, client) for client in clients}
        each = min([most, *(len(mine) for mine, _ in pairs.values())])
    if each < LEAST:
        raise DataError(
            f"a client of {run.folder} holds {each} examples, too few to attack; run a larger one"
        )
    cut = {client: (mine[:each], others[:each]) for client, (mine, others) in pairs.items()}
    return Chosen({k: m for k, (m, _) in cut.items()}, {k: o for k, (_, o) in cut.items()}, alike)


def _pairs(run: FinishedRun, client: int) -> tuple[Ints, Ints]:
    """Members and test rows of the same group and label, pair by pair, in random order."""
    labels, own = run.store(client).shard()[1], run.parts.clients[client]
    nobody = np.empty(0, np.int64)
    if len(labels) != len(own):  # a corruption has changed which row is which
        return nobody, nobody
    rng = _rng(run, client, "pairs")
    corpus, test = run.corpus, rng.permutation(run.parts.test)
    held = corpus.groups[own] * len(run.terms.labels) + labels
    offered = corpus.groups[test] * len(run.terms.labels) + corpus.labels[test]
    mine, others = [nobody], [nobody]
    for cell in np.unique(held):
        inside, outside = rng.permutation(np.flatnonzero(held == cell)), test[offered == cell]
        count = min(len(inside), len(outside))
        mine.append(inside[:count])
        others.append(outside[:count])
    order = rng.permutation(sum(map(len, mine)))
    return np.concatenate(mine)[order], np.concatenate(others)[order]


def _strangers(run: FinishedRun, client: int) -> tuple[Ints, Ints]:
    """Members, and test rows as much like them as there are: of the same groups first."""
    rng, groups = _rng(run, client, "strangers"), run.corpus.groups
    count, test = len(run.store(client).shard()[1]), rng.permutation(run.parts.test)
    alike = np.isin(groups[test], np.unique(groups[run.parts.clients[client]]))
    return rng.permutation(count), np.concatenate([test[alike], test[~alike]])


def _rng(run: FinishedRun, client: int, name: str) -> np.random.Generator:
    return np.random.default_rng(derive(run.experiment.seed, "attack", client, name))


def game_of(run: FinishedRun, client: int, chosen: Chosen) -> Game:
    """The game about a client: members first, then as many test rows."""
    experiment, corpus, encoder = run.experiment, run.corpus, run.encoder
    config = experiment.clients.own(client, encoder)
    recipe = config.of(0)
    texts, labels = run.store(client).shard()
    mine, others = np.sort(chosen.members[client]), np.sort(chosen.others[client])
    whole = len(labels) == len(run.parts.clients[client])
    held = run.parts.clients[client][mine] if whole else mine
    asked = (*(texts[row] for row in mine), *(corpus.texts[row] for row in others))
    truth = np.concatenate([labels[mine], corpus.labels[others]])
    fresh = np.setdiff1d(run.parts.test, others)[: run.size.fresh]

    def rows(picked: tuple[str, ...], own: Ints, numbers: Ints, public: bool) -> Rows:
        if recipe.reads == "texts":
            return Rows(picked, view_of(picked), picked, own, numbers)
        shelf = cache_dir() / "features" if public else private_shelf()
        features = encode_cached(encoder, picked, shelf)
        return Rows(features, features, picked, own, numbers)

    places = run.places
    shared = tuple(run.texts[place] for place in places)
    unseen = tuple(corpus.texts[row] for row in fresh)
    return Game(
        replace(experiment, clients=config),
        recipe,
        config.encoder,
        corpus.geometry,
        pool=rows(asked, truth, np.concatenate([held, others]), False),
        shared=rows(shared, np.zeros(len(shared), np.int64), places, True),
        fresh=rows(unseen, corpus.labels[fresh], fresh, False),
        seed=derive(experiment.seed, "attack", client),
        size=run.size,
    )


def said_by(run: FinishedRun, client: int) -> Floats:
    """What a client released in the first round, shape (N, C)."""
    try:
        record = decode(run.release(client).read_bytes(), run.terms.layout, 1, client)
    except Refused as refusal:
        raise FolderError(f"{run.folder / 'releases'} is damaged; delete {run.folder}") from refusal
    return predictions(record, run.terms.bits, run.terms.subclasses).probs
