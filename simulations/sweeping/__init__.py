"""``fedknot sweep``: a grid of experiments, every cell a run, and what comes out over seeds."""
