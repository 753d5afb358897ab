"""Benchmarks: what our parts cost beside those of others, measured on this machine."""
