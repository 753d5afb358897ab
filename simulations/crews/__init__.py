"""Processes that do orders side by side for one that gives them; sweeps and leagues have some."""
