"""A secure sum of a finished run as one game: what all clients gave, and nothing of anybody."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from common.arrays import Ints
from simulations.attacks._game import Rows, view_of
from simulations.attacks._heard import Heard, consensus, kept_sum, summed
from simulations.attacks._part import own_release
from simulations.attacks._promise import Promise
from simulations.attacks._release import Said
from simulations.attacks._scene import Scene, Seen
from simulations.attacks._stores import FinishedRun
from simulations.attacks._training import Trained


def together(
    run: FinishedRun, scenes: dict[int, Scene], heard: dict[int, Heard], promise: Promise
) -> tuple[Scene, Seen]:
    """One game about all clients, whose only target is what they gave together.

    Args:
        run: the finished run, with secure sums.
        scenes: of the K clients, for their candidates.
        heard: what shadow models would have sent in the place of each.
        promise: what the sum is held against.

    Returns:
        The game, of K * P candidates, and its only row.
    """
    games = [scene.game for scene in scenes.values()]
    pool = _joined([game.pool for game in games])
    first, places = games[0], run.places
    likewise = first.pool.view.shape[1] == pool.view.shape[1]
    shared, fresh = (
        rows if likewise else replace(rows, view=view_of(rows.texts))
        for rows in (first.shared, first.fresh)
    )
    game = replace(first, pool=pool, shared=shared, fresh=fresh)
    grain = 1.0 / (2**run.experiment.wire.bits - 1) / len(scenes)
    defence = replace(own_release(run), about="the sum of all clients' answers", grain=grain)
    said = consensus(run, kept_sum(run))[None, places]
    models = range(len(next(iter(heard.values())).probs))
    sums = [summed(run, [h.of(m) for h in heard.values()]) for m in models]
    shadowed = np.stack([consensus(run, total)[places] for total in sums])
    nothing = said[:, :0]
    seen = Seen(
        defence,
        Said(nothing, said, nothing),
        Said(nothing, shadowed, nothing),
        Trained([], [], None),
        promise.mu,
        promise.claim,
    )
    inside = np.concatenate([scene.inside for scene in scenes.values()], axis=1)
    known = np.concatenate([scene.inside_shadows for scene in scenes.values()], axis=1)
    return Scene(game, inside, known, (seen,), lambda *_: None), seen


def _joined(parts: Sequence[Rows]) -> Rows:
    """Candidates of several clients; as hashed words where they are not read alike."""
    texts = tuple(text for part in parts for text in part.texts)
    alike = len({part.view.shape[1] for part in parts}) == 1
    alike = alike and len({isinstance(part.inputs, np.ndarray) for part in parts}) == 1
    view = np.concatenate([part.view for part in parts]) if alike else view_of(texts)
    labels: Ints = np.concatenate([part.labels for part in parts])
    return Rows(texts, view, texts, labels, np.concatenate([part.numbers for part in parts]))
