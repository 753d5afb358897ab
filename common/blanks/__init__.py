"""Blanks: fixed, public texts that say nothing, on which a teacher shows its bias.

They belong to the project and are pinned by hash: a list chosen by the server could ask
about a client's data.
"""

import hashlib
import json
from functools import lru_cache
from importlib.resources import files
from typing import Literal

from common.failures import ConfigError, DataError

_PINNED = {
    "content_free": "edc55895ac789f06ddf64473f78da3c98f287af4e00ed0eeff47cbc66e8eb4b0",
    "random_tokens": "0548adbbeb3d2d0f7d589e67adb7298e38cb47b4c34e79290cf80ace49ee66ee",
}


@lru_cache(maxsize=len(_PINNED))
def blanks(name: Literal["content_free", "random_tokens"]) -> tuple[str, ...]:
    """The R texts of a list, in their fixed order.

    ``content_free`` holds empty and neutral fillers (after Zhao et al., "Calibrate Before
    Use", ICML 2021, section 5, who ask a model about "N/A", "[MASK]" and ""); ``random_tokens``
    whole words drawn once at random (after KNOT, Bhardwaj et al. 2022, who draw random
    sequences of vocabulary tokens).

    Raises:
        ConfigError: there is no such list.
        DataError: the file is not the one that was pinned.
    """
    sha256 = blanks_sha256(name)
    return _checked(name, (files(__package__) / f"{name}.json").read_bytes(), sha256)


def blanks_sha256(name: str) -> str:
    """The pinned SHA-256 in hex of a list: over its texts and their order."""
    if name not in _PINNED:
        raise ConfigError(f"unknown blanks {name!r}; write one of: {', '.join(sorted(_PINNED))}")
    return _PINNED[name]


def _checked(name: str, data: bytes, sha256: str) -> tuple[str, ...]:
    damaged = DataError(f"the list of blanks {name!r} is damaged; install the package again")
    try:
        texts = json.loads(data)
    except ValueError as error:
        raise damaged from error
    # Over the texts, not the file: its line ends may differ from system to system.
    if hashlib.sha256(json.dumps(texts).encode()).hexdigest() != sha256:
        raise damaged
    return tuple(texts)
