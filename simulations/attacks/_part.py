"""One client of a finished run: its game, and what others would have sent in its place."""

from dataclasses import dataclass, replace

import numpy as np

from clients.mechanisms import Mechanism
from clients.teachers import FittedTeacher, Inputs
from common.arrays import Floats
from common.encoders import encode_cached
from common.predictions import Predictions
from common.seeds import stream
from simulations.attacks._figures import Masks
from simulations.attacks._game import Game
from simulations.attacks._heard import Heard, Speaker
from simulations.attacks._promise import NOTHING, Promise
from simulations.attacks._release import FLOAT, Defence, Said, at_width
from simulations.attacks._scene import Scene, Seen, noise_seed, repeatable
from simulations.attacks._stores import Chosen, FinishedRun, game_of, said_by
from simulations.attacks._training import Trained, rows_of, train
from simulations.examination import private_shelf

CONTROL = "float32"


@dataclass(frozen=True, eq=False)
class Part:
    """Of one client.

    Attributes:
        scene: its game, with the control as first row; its own release is the second, if there is
            one.
        shadows: by name of the row, what the attacker's models would have sent in its place.
        control: what it would have sent itself without any protection.
    """

    scene: Scene
    shadows: dict[str, Heard]
    control: Predictions


def own_release(run: FinishedRun) -> Defence:
    """What clients of a run do to their answers, before these are summed up, if they are."""
    mechanism, bits = run.experiment.clients.mechanism, run.experiment.wire.bits
    made = at_width(bits, "this run's own release", mechanism)
    return made if run.terms.secure is None else replace(made, name="secure sum")


def _control() -> Defence:
    return Defence(CONTROL, "nothing at all: the control", lambda p, _: p, FLOAT, control=True)


def part_of(run: FinishedRun, client: int, chosen: Chosen, promise: Promise) -> Part:
    """Train the attacker's models for one client, and ask them and the control's teacher.

    Args:
        run: the finished run.
        client: its id.
        chosen: whom the attacker is asked about.
        promise: of the whole run; it is held against figures only if candidates are alike.

    Raises:
        FolderError: the client's release is damaged.
    """
    game, own, bare = game_of(run, client, chosen), own_release(run), _control()
    each = len(chosen.members[client])
    inside = np.arange(2 * each)[None] < each
    shadowed = game.halves(run.size.shadows, "shadows", paired=True)
    size, speaker = len(run.store(client).shard()[1]), Speaker(run, game.recipe)

    def shadow(made: Trained, defence: Defence) -> Heard:
        labels = [game.pool.labels[rows] for rows in made.rows]
        return speaker.heard(made.models, labels, defence, size, game.rng("alter", defence.name))

    mechanism = own.mechanism if own.mechanism is not None and own.mechanism.trains else None
    plain = _shadows(game, shadowed, None)
    likewise = plain
    if mechanism is not None:
        likewise = _shadows(game, shadowed, repeatable(mechanism, noise_seed(game)))
    heard = {CONTROL: shadow(plain, bare), own.name: shadow(likewise, own)}
    teacher, usual = _teacher(run, client, game), _as_usual(run, client, game)
    truth = run.store(client).shard()[1]
    control = speaker.heard([usual], [truth], bare, size, game.rng("control"))
    rows = rows_of(inside)
    seen = [_seen(bare, control.probs, heard[CONTROL], Trained([usual], rows, None), game)]
    if run.terms.secure is None:
        said = said_by(run, client)[None]
        row = _seen(own, said, heard[own.name], Trained([teacher], rows, None), game)
        told = promise if chosen.alike else NOTHING
        seen.append(replace(row, mu=told.mu, claim=told.claim))
    scene = Scene(game, inside, shadowed, tuple(seen), lambda *_: None)
    return Part(scene, _fewer(heard, run), control.of(0))


def _seen(defence: Defence, said: Floats, heard: Heard, trained: Trained, game: Game) -> Seen:
    """A row of a scene: the N texts of the run cut down to those that the attacker works with."""
    places, nothing = game.shared.numbers, said[:, :0]
    targets, shadows = (Said(nothing, p[:, places], nothing) for p in (said, heard.probs))
    return Seen(defence, targets, shadows, trained, None)


def _fewer(heard: dict[str, Heard], run: FinishedRun) -> dict[str, Heard]:
    """Of as many shadows as students are distilled from; of a secure sum of all."""
    count = None if run.terms.secure is not None else run.size.federations[1]
    return {name: Heard(h.probs[:count], h.bias[:count], h.size) for name, h in heard.items()}


def _shadows(game: Game, inside: Masks, mechanism: Mechanism | None) -> Trained:
    return train(game, rows_of(inside), "shadow", mechanism, lambda *_: None)


def _teacher(run: FinishedRun, client: int, game: Game) -> FittedTeacher:
    tensors = run.store(client).teacher()
    assert tensors is not None, "who answered has a teacher"
    return game.recipe.restore(tensors, game.num_labels)


def _as_usual(run: FinishedRun, client: int, game: Game) -> FittedTeacher:
    """The client's own teacher, or one trained anew on its shard where a mechanism trained it."""
    mechanism = run.experiment.clients.mechanism
    if mechanism is None or not mechanism.trains:
        return _teacher(run, client, game)
    texts, labels = run.store(client).shard()
    own: Inputs = texts
    if game.recipe.reads == "features":
        own = encode_cached(run.encoder, texts, private_shelf())
    seed = int(run.store(client).about()["seed"])
    return game.recipe.fit(own, labels, game.num_labels, stream(seed, "fit"))
