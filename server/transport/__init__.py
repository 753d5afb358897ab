"""Solvers of optimal transport between label distributions that share one small cost."""
