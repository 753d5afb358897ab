"""``fedknot compare``: every arm on one set of predictions; :mod:`.comparison` is the way in."""
