"""The small world in which recovery and long runs are tried: made-up texts, tiny models.

A run of it is nearly all machinery: processes, messages, files. That is what is measured here.
"""

import math
from typing import Final

NAME: Final = "synthetic"

_ROWS: Final = 4  # private texts per client
_VALIDATION: Final = 16
_PRIVATE_SHARE: Final = 0.55  # of all rows; the rest is shared or kept for the test


def overrides(clients: int, rounds: int, seed: int) -> str:
    """What ``--set`` is given, so that the shipped experiment becomes the small world.

    Args:
        clients: K.
        rounds: how often the server asks.
        seed: of the experiment.
    """
    rows = (_ROWS * clients + _VALIDATION) / _PRIVATE_SHARE
    size = max(40, 4 * math.ceil(rows / 4))
    return "; ".join(
        (
            f"data.dataset = {{ kind = 'synthetic', size = {size} }}",
            f"data.num_clients = {clients}",
            "data.partition = { kind = 'iid' }",
            f"data.validation_size = {_VALIDATION}",
            "clients.teacher = { kind = 'frozen_mlp', hidden = 4, epochs = 1, min_steps = 4 }",
            "clients.encoder = { kind = 'hashing', dimensions = 16 }",
            "server.student = { kind = 'frozen_mlp', hidden = 4 }",
            "server.schedule = { steps = 4 }",
            f"num_rounds = {rounds}",
            f"seed = {seed}",
            "bounds = false",
        )
    )
