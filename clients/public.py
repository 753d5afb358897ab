"""What is public and the same for all clients of a process, read once and kept in memory."""

from functools import lru_cache

from common.arrays import Floats
from common.encoders import Encoder, encode_cached
from common.places import cache_dir

_KEPT = 2  # the transfer set and the blanks of one run


def features_of(encoder: Encoder, texts: tuple[str, ...]) -> Floats:
    """Features (N, D) of public texts; not to be written to.

    The key is all that decides the bits, so the memory changes the time and never the result.
    """
    return _features(encoder, encoder.fingerprint(), texts)


@lru_cache(maxsize=_KEPT)
def _features(encoder: Encoder, fingerprint: str, texts: tuple[str, ...]) -> Floats:
    del fingerprint  # it is there as a key: the model of an equal encoder may have changed
    features = encode_cached(encoder, texts, cache_dir() / "features")
    features.setflags(write=False)
    return features
