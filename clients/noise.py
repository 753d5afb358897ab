"""Noise of clients: the sources of :mod:`common.noise`, by the name that mechanisms know."""

from common.noise import KeyedNoise, Noise, SeededNoise, SystemNoise

__all__ = ["KeyedNoise", "Noise", "SeededNoise", "SystemNoise"]
