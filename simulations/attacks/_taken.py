"""A finished run under attack: what crossed, and what the attacker's own models would have said.

Two rows: the run's own release, and beside it the control, where nothing is done to answers and
teachers are trained as usual. Of a run without a mechanism the control's teachers are its own.
"""

from dataclasses import dataclass

import numpy as np

from common.arrays import Floats
from common.predictions import Predictions
from common.seeds import derive
from simulations.attacks._figures import Masks
from simulations.attacks._heard import Heard
from simulations.attacks._part import CONTROL, Part, own_release, part_of
from simulations.attacks._promise import NOTHING, promise_of
from simulations.attacks._scene import Scene, Seen
from simulations.attacks._stores import FinishedRun, choose, said_by
from simulations.attacks._together import together
from simulations.events import Progress


@dataclass(frozen=True, eq=False)
class Taken:
    """A run, as far as an attacker has it, and the truth that the judge knows.

    Attributes:
        run: the rest.
        scenes: of each client that answered, with the control as first row, and the client's own
            release as second where there is one.
        rows: by name of the row, the games in which it is attacked: one for each client, or one
            for what all gave together.
        own: the name of the run's own row.
        shadows: by name of the row, what the attacker's models would have sent in the place of
            each client.
        control: what each client would have sent without any protection.
        alike: whether members differ from others in nothing but membership.
        progress: told (phase, done, all).
    """

    run: FinishedRun
    scenes: dict[int, Scene]
    rows: dict[str, list[tuple[Scene, Seen]]]
    own: str
    shadows: dict[str, dict[int, Heard]]
    control: dict[int, Predictions]
    alike: bool
    progress: Progress

    @property
    def first(self) -> Scene:
        """The game about the first client."""
        return next(iter(self.scenes.values()))

    @property
    def width(self) -> int:
        """P, candidates of each client."""
        return len(self.first.game.pool)

    @property
    def inside(self) -> Masks:
        """Shape (K, P), who is a member."""
        return np.concatenate([scene.inside for scene in self.scenes.values()])

    @property
    def releases(self) -> list[str]:
        """Names of the rows in which single clients are heard."""
        return [seen.defence.name for seen in self.first.rows]

    def said(self, name: str, client: int) -> Floats:
        """What a client released, or would have without protection, shape (N, C)."""
        return self.control[client].probs if name == CONTROL else said_by(self.run, client)

    def rng(self, name: str) -> np.random.Generator:
        """The generator for one purpose."""
        return np.random.default_rng(derive(self.run.experiment.seed, "attack", name))


def take(run: FinishedRun, progress: Progress) -> Taken:
    """Train an attacker's models for every client that answered.

    Raises:
        DataError: a client holds too little.
        FolderError: a release is damaged.
    """
    ids = range(run.terms.num_clients)
    clients = [k for k in ids if run.store(k).teacher() and run.release(k).exists()]
    chosen, promise = choose(run, clients), promise_of(run)
    parts: dict[int, Part] = {}
    for done, client in enumerate(clients):
        progress("clients", done, len(clients))
        parts[client] = part_of(run, client, chosen, promise)
    progress("clients", len(clients), len(clients))
    scenes = {client: part.scene for client, part in parts.items()}
    own = own_release(run).name
    rows = {CONTROL: [(scene, scene.rows[0]) for scene in scenes.values()]}
    shadows = {name: {k: p.shadows[name] for k, p in parts.items()} for name in (CONTROL, own)}
    if run.terms.secure is None:
        rows[own] = [(scene, scene.rows[1]) for scene in scenes.values()]
    else:
        rows[own] = [together(run, scenes, shadows[own], promise if chosen.alike else NOTHING)]
    control = {k: part.control for k, part in parts.items()}
    return Taken(run, scenes, rows, own, shadows, control, chosen.alike, progress)
