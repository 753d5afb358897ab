"""A finished run under attack: what its clients released, against what lies in their stores.

Only the observer may open the stores, and does so for the truth; the attacker has the releases,
the transfer set and shadow models of its own. Members are rows of a client's shard, non-members
test rows of the same natural groups.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clients.store import Store
from common.arrays import Floats, Ints
from common.configure import dump, load
from common.encoders import Encoder, encode_cached
from common.failures import DataError, FolderError
from common.places import cache_dir
from common.reasons import Refused
from common.records import decode
from common.seeds import derive
from common.terms import Terms
from common.transfer import TransferSet
from server.admission import predictions
from simulations.attacks import Finding
from simulations.attacks._adaptive import copied
from simulations.attacks._battery import SCHEMA, USE, about, tabulated
from simulations.attacks._figures import membership
from simulations.attacks._game import SIZES, Game, Rows, Size, view_of
from simulations.attacks._membership import told
from simulations.attacks._release import Said, defences
from simulations.attacks._scene import Scene, Seen
from simulations.attacks._training import Trained, listen, rows_of, train
from simulations.attacks.extraction import Extraction
from simulations.attacks.label_distribution import compared, distribution_finding
from simulations.datasets import Corpus
from simulations.events import Progress
from simulations.examination import private_shelf
from simulations.experiment import Experiment, read
from simulations.finished import one_thread
from simulations.folder import summary_of
from simulations.provision import divide
from simulations.split import Split

_LEAST = 8


@dataclass(frozen=True, eq=False)
class _Run:
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


def attack_run(folder: Path, battery: str, progress: Progress) -> dict[str, Any]:
    """Attack what the clients of a finished run released in its first round.

    Args:
        folder: of a complete run.
        battery: "quick" or "full".
        progress: told where it is.

    Returns:
        The content of ``attack.json``.

    Raises:
        FolderError: the run is not complete, or its releases are damaged.
        DataError: its clients answered in a secure sum, or hold too little.
    """
    started, size = time.monotonic(), SIZES[battery]
    with one_thread():
        run = _open(folder, size)
        scenes = _scenes(run, progress)
        findings = [*_members(scenes, run), *_teachers(scenes), _labels(scenes, run)]
    first = next(iter(scenes.values()))
    game = about(first.game) | {
        "targets": len(scenes),
        "decisions": len(scenes) * len(first.game.pool),
        "candidate_rows": {k: s.game.pool.numbers.tolist() for k, s in scenes.items()},
    }
    return {
        "schema": SCHEMA,
        "experiment": str(summary_of(folder).get("experiment", folder.name)),
        "battery": battery,
        "use": USE,
        "run": folder.name,
        "game": game,
        "defences": [_own(first.rows[0])],
        **tabulated(findings, {}),
        "settings": dump(run.experiment),
        "seconds": round(time.monotonic() - started, 1),
    }


def _open(folder: Path, size: Size) -> _Run:
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
    return _Run(folder, experiment, terms, *divide(experiment), texts, size)


def _scenes(run: _Run, progress: Progress) -> dict[int, Scene]:
    """Client by client, those that answered."""
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


def _scene(run: _Run, client: int, store: Store, each: int) -> Scene:
    game = _game(run, client, store, each)
    mechanism = run.experiment.clients.mechanism
    shadowed = game.halves(run.size.shadows, "shadows", paired=True)
    shadows = listen(game, train(game, rows_of(shadowed), "shadow", mechanism, lambda *_: None))
    offered = defences(run.experiment.wire.bits, mechanism, 0, len(game.shared))[1]
    released = shadows.released(offered, game.rng("alter"))
    said = _said(run, client)[_places(run)]
    tensors = store.teacher()
    assert tensors is not None, "who answered has a teacher"
    teacher = game.recipe.restore(tensors, game.num_labels)
    nothing = np.zeros((1, 0, game.num_labels), dtype=np.float32)
    inside = np.arange(2 * each)[None] < each
    trained = Trained([teacher], rows_of(inside), None)
    seen = Seen(offered, Said(nothing, said[None], nothing), released, trained, None)
    return Scene(game, inside, shadowed, (seen,), lambda *_: None)


def _game(run: _Run, client: int, store: Store, each: int) -> Game:
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


def _encoder(run: _Run) -> Encoder:
    made: Encoder = load(Encoder, dict(run.terms.encoder), "encoder")  # type: ignore[type-abstract]
    return made


def _others(run: _Run, client: int, each: int, rng: np.random.Generator) -> Ints:
    """Test rows as much like the client's own as there are: of its natural groups first."""
    groups, test = run.corpus.groups, rng.permutation(run.parts.test)
    alike = np.isin(groups[test], np.unique(groups[run.parts.clients[client]]))
    return np.sort(np.concatenate([test[alike], test[~alike]])[:each])


def _places(run: _Run) -> Ints:
    """The transfer texts that the attacker works with; all, if there are not too many."""
    rng = np.random.default_rng(derive(run.experiment.seed, "attack", "places"))
    return np.sort(rng.permutation(len(run.texts))[: run.size.shared])


def _path(run: _Run, client: int) -> Path:
    return run.folder / "releases" / "1" / f"{client}.bin"


def _said(run: _Run, client: int) -> Floats:
    """What a client released in the first round, shape (N, C)."""
    try:
        record = decode(_path(run, client).read_bytes(), run.terms.layout, 1, client)
    except Refused as refusal:
        raise FolderError(f"{run.folder / 'releases'} is damaged; delete {run.folder}") from refusal
    return predictions(record, run.terms.bits, run.terms.subclasses).probs


def _members(scenes: dict[int, Scene], run: _Run) -> list[Finding]:
    scores, inside = [], []
    for scene in scenes.values():
        seen = scene.rows[0]
        parts = seen.targets.shared, seen.shadows.shared
        scores.append(copied(scene, *parts, seen.defence.grain).scores[0])
        inside.append(scene.inside[0])
    first = next(iter(scenes.values()))
    rng = np.random.default_rng(derive(run.experiment.seed, "attack", "draws"))
    found = membership(np.stack(scores), np.stack(inside), rng)
    return [told("adaptive", first.rows[0], "disjoint", found)]


def _teachers(scenes: dict[int, Scene]) -> list[Finding]:
    """Extraction from each client; the figures of the one that gives most away."""
    found = [finding for scene in scenes.values() for finding in Extraction().run(scene)]
    return [max(found, key=lambda finding: float(finding.figures["agreement"]))]


def _labels(scenes: dict[int, Scene], run: _Run) -> Finding:
    labels = len(run.terms.labels)
    guess = np.stack([_said(run, client).mean(axis=0) for client in scenes])
    stores = [Store(run.folder / "clients" / str(k)) for k in scenes]
    counts = [np.bincount(s.shard()[1], minlength=labels).astype(float) for s in stores]
    name = next(iter(scenes.values())).rows[0].defence.name
    return distribution_finding(compared(guess, np.stack(counts)), name)


def _own(seen: Seen) -> dict[str, Any]:
    return {
        "name": seen.defence.name,
        "about": seen.defence.about,
        "control": False,
        "own": True,
        "mu": None,
        "accuracy": None,
        "accuracy_together": None,
    }
