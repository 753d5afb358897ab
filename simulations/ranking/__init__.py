"""``fedknot sweep league``: every method on every world, choices apart from the final run."""
