"""A run whose clients are done, opened for one stage: on the validation slice, or on test.

The observer of an ordinary run grades on test rows as soon as the last round is over. Here it
does not come: clients and server do their part, and what is graded, and on which rows, is the
league's affair. In the stage ``choose`` no test row is ever looked at.
"""

import contextlib
import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clients.config import configured
from clients.store import Store
from common.configure import load
from common.encoders import Encoder, encode_cached
from common.failures import Failure, FolderError
from common.files import read_json, read_lines, write_text
from common.places import cache_dir
from common.predictions import Ensemble
from common.records import Flags, decode
from common.sites import forget
from common.terms import Terms
from common.transfer import TransferSet
from server.admission import predictions
from server.archive import open_reader
from server.plan import open_classroom
from simulations.comparing.replay import Replay
from simulations.events import silent
from simulations.examination import Examination, open_examination
from simulations.experiment import Experiment
from simulations.experiment_file import to_toml
from simulations.folder import create
from simulations.identity import content_changes, contents, keep_identity
from simulations.loop import federate
from simulations.opened import open_stores
from simulations.provision import provision
from simulations.ranking.definition import Stage
from simulations.redivided import divide_again
from simulations.world import World

_OUTCOME = Path("checkpoint") / "server.json"


@dataclass(frozen=True, eq=False)
class Scene:
    """A run without an observer.

    Attributes:
        world: what yardsticks may use; its exam is that of the stage.
        terms: of the run.
        outcome: what the server says of it: bytes, seconds, hashes.
    """

    world: World
    terms: Terms
    outcome: dict[str, Any]

    def replay(self, experiment: Experiment) -> Replay:
        """The predictions of the first round, to be learned from as ``experiment`` says."""
        folder, server = self.world.folder, experiment.server
        shared = TransferSet.read(folder / "transfer.jsonl", self.terms.transfer_sha256).texts
        features = self.world.reader.read(shared, cache_dir() / "features")
        room = open_classroom(folder, server, self.terms, features, self.world.reader)
        return Replay(experiment, self._released(), room, self.world.exam)

    def _released(self) -> Ensemble:
        home, terms = self.world.folder / "releases" / "1", self.terms
        payloads = {int(path.stem): path.read_bytes() for path in home.glob("*.bin")}
        digest = hashlib.sha256(b"".join(payloads[k] for k in sorted(payloads))).hexdigest()
        if digest != self.outcome["predictions_sha256"]:
            raise FolderError(f"{home} has been changed; delete {self.world.folder}")
        records = {k: decode(payloads[k], terms.layout, 1, k) for k in sorted(payloads)}
        return Ensemble.stack(
            {k: predictions(r, terms.bits, terms.subclasses) for k, r in records.items()}
        )

    def bytes_per_client(self, experiment: Experiment) -> float:
        """What crosses up and down for a client if ``experiment`` is run for its own sake."""
        down = float(self.outcome["bytes_down"])
        if experiment.num_rounds > 1:
            return (float(self.outcome["bytes_up"]) + down) / self.terms.num_clients
        alone = replace(self.terms, disclosed=experiment.disclosed)
        return alone.answer_bytes + down / self.terms.num_clients

    @property
    def seconds(self) -> float:
        """Of teachers, predictions, refinement and distillation; encoding is not counted."""
        spent = self.outcome["seconds"].items()
        return float(sum(seconds for phase, seconds in spent if phase != "encode"))


def staged(experiment: Experiment, name: str, home: Path, shelf: Path, stage: Stage) -> Scene:
    """Run clients and server, unless ``home`` holds that already, and open the folder.

    Args:
        experiment: with its seed.
        name: of the league's setting.
        home: the run folder; what was interrupted is done anew.
        shelf: a private folder of features of private texts, which many runs have in common.
        stage: which rows grade.
    """
    if not _is_served(home, experiment):
        shutil.rmtree(home, ignore_errors=True)
        create(home, name, experiment.seed)
        keep_identity(home, experiment)
        provision(experiment, home, silent)
        _lend_features(home, experiment, shelf)
        federate(home, silent)
        write_text(home / "experiment.toml", to_toml(experiment))
    terms = Terms.read(home / "terms.json")
    forget(terms.site)
    return Scene(_world(experiment, home, terms, stage), terms, read_json(home / _OUTCOME))


def _is_served(home: Path, experiment: Experiment) -> bool:
    with contextlib.suppress(OSError, Failure):
        same = (home / "experiment.toml").read_text("utf-8") == to_toml(experiment)
        changed = content_changes(home, contents(experiment))
        return same and not changed and (home / _OUTCOME).is_file()
    return False


def _lend_features(home: Path, experiment: Experiment, shelf: Path) -> None:
    """Give clients the features they would compute, the bits of which depend on the texts only."""
    scalar = Terms.read(home / "terms.json").layout.flags & Flags.scalar
    for client in range(experiment.data.num_clients):
        store = Store(home / "clients" / str(client))
        told = configured(store.about()["config"])
        texts = store.shard()[0]
        if texts and (scalar or told.of(client).reads == "features"):
            store.keep_features(encode_cached(told.encoder, texts, shelf))


def _world(experiment: Experiment, home: Path, terms: Terms, stage: Stage) -> World:
    exam = _on_slice(experiment, home, terms) if stage == "choose" else _on_test(
        experiment, home, terms
    )  # fmt: skip
    encoder: Encoder = load(Encoder, dict(terms.encoder), "encoder")  # type: ignore[type-abstract]
    opened = open_stores(experiment, home, exam, encoder)
    return World(experiment, home, exam, opened, open_reader(home))


def _on_test(experiment: Experiment, home: Path, terms: Terms) -> Examination:
    return open_examination(home, terms, *divide_again(home, experiment), silent)


def _on_slice(experiment: Experiment, home: Path, terms: Terms) -> Examination:
    """The public slice in the place of test rows: temperatures are fitted where they are graded."""
    corpus, parts = divide_again(home, experiment)
    texts = tuple(row["text"] for row in read_lines(home / "validation.jsonl"))
    rows = open_reader(home).read(texts, cache_dir() / "features")
    labels = np.asarray(corpus.labels[parts.validation])
    return Examination(
        geometry=terms.geometry,
        inputs=rows,
        labels=labels,
        gold=None if corpus.gold is None else corpus.gold[parts.validation],
        slice_inputs=rows,
        slice_labels=labels,
        texts=texts,
        slice_texts=texts,
    )
