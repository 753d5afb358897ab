"""Noise that nobody can subtract: drawn from the operating system's randomness."""

import hashlib
import os
from typing import Protocol

import numpy as np
from scipy.special import ndtri

from common.arrays import Floats

_BITS = 52  # one less than a double has, so that the largest is still below 1


class Noise(Protocol):
    """A source of standard normal numbers.

    Attributes:
        private: whether nobody else can draw the same numbers.
    """

    @property
    def private(self) -> bool:
        """Whether what is noised with it may be called private."""

    def uniform(self, *shape: int) -> Floats:
        """Independent numbers between 0 and 1, float64."""

    def normal(self, *shape: int) -> Floats:
        """Independent standard normal numbers, float64."""


class SystemNoise:
    """From ``os.urandom``, by the inverse of the normal distribution function.

    Uniform numbers are odd multiples of 2^-53, so the largest normal is 8.2 in size; what lies
    beyond has a probability below 10^-15 a draw, which no delta in use notices. Like any
    Gaussian noise in floating point it is not the mathematical one to the last bit (Mironov,
    *On Significance of the Least Significant Bits for Differential Privacy*, CCS 2012); no
    noised number is released as it is, only what a whole training or a coarse grid makes of it.
    """

    private = True

    def uniform(self, *shape: int) -> Floats:
        """Independent numbers between 0 and 1, neither of which occurs; float64."""
        return _uniform(os.urandom(8 * int(np.prod(shape))), shape)

    def normal(self, *shape: int) -> Floats:
        """Independent standard normal numbers, float64."""
        made: Floats = ndtri(self.uniform(*shape))
        return made


class KeyedNoise:
    """The same numbers for the same key, and nobody without the key can tell them from others.

    For what is said more than once: fresh noise every time could be averaged away. The key comes
    from the operating system and stays where it was drawn. Numbers are SHAKE-256 of the key and
    a counter (FIPS 202), made normal as those of :class:`SystemNoise` are.
    """

    private = True

    def __init__(self, key: bytes) -> None:
        self._key, self._drawn = key, 0

    def uniform(self, *shape: int) -> Floats:
        """Independent numbers between 0 and 1, neither of which occurs; float64."""
        self._drawn += 1
        stream = hashlib.shake_256(self._key + self._drawn.to_bytes(8, "little"))
        return _uniform(stream.digest(8 * int(np.prod(shape))), shape)

    def normal(self, *shape: int) -> Floats:
        """Independent standard normal numbers, float64."""
        made: Floats = ndtri(self.uniform(*shape))
        return made


class SeededNoise:
    """Repeatable, for tests: who knows the seed can subtract it, so it protects nothing."""

    private = False

    def __init__(self, seed: int, *path: int) -> None:
        self._rng = np.random.default_rng([seed, *path])

    def uniform(self, *shape: int) -> Floats:
        """Independent numbers between 0 and 1, float64."""
        return self._rng.random(size=shape)

    def normal(self, *shape: int) -> Floats:
        """Independent standard normal numbers, float64."""
        return self._rng.normal(size=shape)


def _uniform(data: bytes, shape: tuple[int, ...]) -> Floats:
    words = np.frombuffer(data, dtype="<u8") >> np.uint64(64 - _BITS)
    made: Floats = ((words.astype(np.float64) + 0.5) * 2.0**-_BITS).reshape(shape)
    return made
