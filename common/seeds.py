"""Named, independent random streams: same name, same numbers, in any process and order."""

import hashlib

import numpy as np


def stream(seed: int, *path: str | int) -> np.random.Generator:
    """The generator for one purpose, e.g. ``stream(seed, "fit")``."""
    return np.random.default_rng(np.random.SeedSequence([seed, *_words(path)]))


def derive(seed: int, *path: str | int) -> int:
    """A 63-bit seed for one party.

    The server and every client are handed such a seed and never the experiment's, from
    which they could rebuild the split of the data (PRIVACY C8). It is one-way, but a small
    experiment seed can be found by trying them all: this separates honest parties only.
    """
    text = "/".join(map(str, (seed, *path)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def _words(path: tuple[str | int, ...]) -> list[int]:
    digest = hashlib.sha256("/".join(map(str, path)).encode()).digest()
    return [int(word) for word in np.frombuffer(digest[:16], dtype="<u4")]
