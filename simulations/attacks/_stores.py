"""A finished run as the observer finds it: for each client a game with its own release.

Only the observer may open the stores, and does so for the truth; the attacker has the releases,
the transfer set and shadow models of its own. Members are rows of a client's shard, non-members
test rows of the same natural groups.
"""

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
from simulations.attacks._release import Said, defences
from simulations.attacks._scene import Scene, Seen
from simulations.attacks._training import Trained, listen, rows_of, train
from simulations.datasets import Corpus
from simulations.events import Progress
from simulations.examination import private_shelf
from simulations.experiment import Experiment, read
from simulations.folder import summary_of
from simulations.provision import divide
from simulations.split import Split

_LEAST = 8


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


def open_run(folder: Path, size: Size) -> FinishedRun:
    """Read a complete run.

    Raises:
        FolderError: it is not complete.
        DataError: its clients answered in a secure sum.
    """
    if (status := summary_of(folder)["status"]) != "complete":
        raise FolderError(f"{folder} holds a run that is {status}; resume it first")
    experiment = read(str(folder / "experiment.toml"))
    if experiment.wire.secure_sum:
        raise DataError(
            "the clients of this run answered in a secure sum, so there is no release of one; "
            "attack its experiment instead"
        )
    terms = Terms.read(folder / "terms.json")
    texts = TransferSet.read(folder / "transfer.jsonl", terms.transfer_sha256).texts
    return FinishedRun(folder, experiment, terms, *divide(experiment), texts, size)


def scenes_of(run: FinishedRun, progress: Progress) -> dict[int, Scene]:
    """A game for each client that answered, whose only target is that client.

    Raises:
        DataError: one holds too little.
    """
    stores = {k: Store(run.folder / "clients" / str(k)) for k in range(run.terms.num_clients)}
    there = {k: s for k, s in stores.items() if s.teacher() and _path(run, k).exists()}
    sizes = [len(s.shard()[1]) for s in there.values()]
    each = min([run.size.pool // 2, len(run.parts.test) // 2, *sizes])
    if each < _LEAST:
        raise DataError(
            f"a client of {run.folder} holds {each} examples, too few to attack; run a larger one"
        )
    made = {}
    for done, (client, store) in enumerate(there.items()):
        progress("clients", done, len(there))
        made[client] = _scene(run, client, store, each)
    progress("clients", len(there), len(there))
    return made


def _scene(run: FinishedRun, client: int, store: Store, each: int) -> Scene:
    game = _game(run, client, store, each)
    mechanism = run.experiment.clients.mechanism
    shadowed = game.halves(run.size.shadows, "shadows", paired=True)
    shadows = listen(game, train(game, rows_of(shadowed), "shadow", mechanism, lambda *_: None))
    offered = defences(run.experiment.wire.bits, mechanism, 0, len(game.shared))[1]
    released = shadows.released(offered, game.rng("alter"))
    said = said_by(run, client)[_places(run)]
    tensors = store.teacher()
    assert tensors is not None, "who answered has a teacher"
    teacher = game.recipe.restore(tensors, game.num_labels)
    nothing = np.zeros((1, 0, game.num_labels), dtype=np.float32)
    inside = np.arange(2 * each)[None] < each
    trained = Trained([teacher], rows_of(inside), None)
    seen = Seen(offered, Said(nothing, said[None], nothing), released, trained, None)
    return Scene(game, inside, shadowed, (seen,), lambda *_: None)


def _game(run: FinishedRun, client: int, store: Store, each: int) -> Game:
    """Members first, then as many test rows of the same groups."""
    experiment, corpus = run.experiment, run.corpus
    seed = derive(experiment.seed, "attack", client)
    config = experiment.clients.own(client, _encoder(run))
    recipe = config.of(0)
    rng = np.random.default_rng(seed)
    texts, labels = store.shard()
    mine = np.sort(rng.permutation(len(labels))[:each])
    held = (
        run.parts.clients[client][mine] if len(labels) == len(run.parts.clients[client]) else mine
    )
    others = _others(run, client, each, rng)
    asked = (*(texts[row] for row in mine), *(corpus.texts[row] for row in others))
    truth = np.concatenate([labels[mine], corpus.labels[others]])
    fresh = np.setdiff1d(run.parts.test, others)[: run.size.fresh]

    def rows(chosen: tuple[str, ...], own: Ints, numbers: Ints, public: bool) -> Rows:
        if recipe.reads == "texts":
            return Rows(chosen, view_of(chosen), chosen, own, numbers)
        shelf = cache_dir() / "features" if public else private_shelf()
        features = encode_cached(_encoder(run), chosen, shelf)
        return Rows(features, features, chosen, own, numbers)

    places = _places(run)
    shared = tuple(run.texts[place] for place in places)
    unseen = tuple(corpus.texts[row] for row in fresh)
    numbers = np.concatenate([held, others])
    return Game(
        replace(experiment, clients=config),
        recipe,
        config.encoder,
        corpus.geometry,
        pool=rows(asked, truth, numbers, False),
        shared=rows(shared, np.zeros(len(shared), np.int64), places, True),
        fresh=rows(unseen, corpus.labels[fresh], fresh, False),
        seed=seed,
        size=run.size,
    )


def _encoder(run: FinishedRun) -> Encoder:
    made: Encoder = load(Encoder, dict(run.terms.encoder), "encoder")  # type: ignore[type-abstract]
    return made


def _others(run: FinishedRun, client: int, each: int, rng: np.random.Generator) -> Ints:
    """Test rows as much like the client's own as there are: of its natural groups first."""
    groups, test = run.corpus.groups, rng.permutation(run.parts.test)
    alike = np.isin(groups[test], np.unique(groups[run.parts.clients[client]]))
    return np.sort(np.concatenate([test[alike], test[~alike]])[:each])


def _places(run: FinishedRun) -> Ints:
    """The transfer texts that the attacker works with; all, if there are not too many."""
    rng = np.random.default_rng(derive(run.experiment.seed, "attack", "places"))
    return np.sort(rng.permutation(len(run.texts))[: run.size.shared])


def _path(run: FinishedRun, client: int) -> Path:
    return run.folder / "releases" / "1" / f"{client}.bin"


def said_by(run: FinishedRun, client: int) -> Floats:
    """What a client released in the first round, shape (N, C)."""
    try:
        record = decode(_path(run, client).read_bytes(), run.terms.layout, 1, client)
    except Refused as refusal:
        raise FolderError(f"{run.folder / 'releases'} is damaged; delete {run.folder}") from refusal
    return predictions(record, run.terms.bits, run.terms.subclasses).probs
