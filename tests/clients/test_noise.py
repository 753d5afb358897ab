"""Noise: normal, from the operating system, and repeatable only where that is asked for."""

import hashlib
import os

import numpy as np
from scipy import stats

from clients.noise import KeyedNoise, SeededNoise, SystemNoise


def test_it_is_normal():
    drawn = SystemNoise().normal(200, 500)
    assert drawn.shape == (200, 500)
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-6
    assert np.all(np.isfinite(drawn))


def test_every_bit_comes_from_the_operating_system(monkeypatch):
    """With the system's bytes fixed, so is the noise: nothing else is drawn from."""
    monkeypatch.setattr(os, "urandom", lambda count: bytes(range(256)) * (count // 256))
    first, second = SystemNoise().normal(64), SystemNoise().normal(64)
    assert np.array_equal(first, second)
    words = np.frombuffer(bytes(range(256)) * 2, dtype="<u8") >> np.uint64(12)
    wanted = stats.norm.ppf((words.astype(float) + 0.5) / 2**52)
    assert np.allclose(first, wanted, rtol=1e-12)


def test_seeds_of_numpy_do_not_touch_it():
    np.random.seed(0)  # noqa: NPY002 - that is the point
    first = SystemNoise().normal(8)
    np.random.seed(0)  # noqa: NPY002
    assert not np.array_equal(first, SystemNoise().normal(8))


def test_the_extremes_are_finite(monkeypatch):
    for byte in (b"\x00", b"\xff"):
        monkeypatch.setattr(os, "urandom", lambda count, byte=byte: byte * count)
        assert 8 < abs(SystemNoise().normal(1)[0]) < 9


def test_only_the_systems_is_private():
    assert SystemNoise().private
    seeded = SeededNoise(3, 1)
    assert not seeded.private
    assert np.array_equal(seeded.normal(2, 3), SeededNoise(3, 1).normal(2, 3))
    assert not np.array_equal(SeededNoise(3, 1).normal(5), SeededNoise(3, 2).normal(5))


def test_a_key_gives_the_same_numbers_and_another_key_others():
    first, again = KeyedNoise(b"a" * 32), KeyedNoise(b"a" * 32)
    assert first.private
    assert np.array_equal(first.normal(3, 4), again.normal(3, 4))
    assert np.array_equal(first.uniform(5), again.uniform(5))
    assert not np.array_equal(KeyedNoise(b"a" * 32).normal(9), KeyedNoise(b"b" * 32).normal(9))
    drawn = KeyedNoise(b"c" * 32)
    assert not np.array_equal(drawn.uniform(8), drawn.uniform(8))


def test_keyed_numbers_are_those_of_the_hash():
    data = hashlib.shake_256(b"key" + (1).to_bytes(8, "little")).digest(8 * 100)
    words = np.frombuffer(data, dtype="<u8") >> np.uint64(12)
    wanted = (words.astype(float) + 0.5) / 2**52
    assert np.array_equal(KeyedNoise(b"key").uniform(100), wanted)
    assert stats.kstest(KeyedNoise(b"k").uniform(50_000), "uniform").pvalue > 1e-6
    assert stats.kstest(KeyedNoise(b"k").normal(50_000), "norm").pvalue > 1e-6
