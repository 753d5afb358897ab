"""``fedknot yardsticks``: what others reach on the same runs; :mod:`.measurement` is the way in."""
