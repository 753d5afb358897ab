import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.seeds import derive, stream

words = st.lists(st.one_of(st.integers(0, 999), st.sampled_from("abc")), max_size=3)


def draw(rng):
    return rng.integers(2**63, size=4).tolist()


@given(seed=st.integers(0, 2**70), path=words)
def test_same_name_same_numbers(seed, path):
    assert draw(stream(seed, *path)) == draw(stream(seed, *path))
    assert derive(seed, *path) == derive(seed, *path)


def test_different_names_or_seeds_different_numbers():
    names = [(), ("fit",), ("split",), ("fit", 1), ("fit", 2), ("fit", 12), (1, "fit")]
    made = [(seed, *name) for seed in (0, 1, 2**32, 2**64) for name in names]
    assert len({tuple(draw(stream(*args))) for args in made}) == len(made)
    assert len({derive(*args) for args in made}) == len(made)


def test_one_stream_does_not_move_another():
    first = stream(7, "a")
    first.random(1000)
    assert draw(stream(7, "b")) == draw(stream(7, "b"))
    assert draw(first) != draw(stream(7, "a"))


def test_streams_of_neighbours_are_uncorrelated():
    table = np.stack([stream(7, "client", k).standard_normal(4000) for k in range(8)])
    assert np.abs(np.corrcoef(table) - np.eye(8)).max() < 0.1


@given(seed=st.integers(0, 2**40), path=words)
def test_derived_seeds_are_seeds(seed, path):
    made = derive(seed, *path)
    assert 0 <= made < 2**63
    assert made != seed
    assert draw(stream(made, "fit")) != draw(stream(seed, "fit"))


def test_the_numbers_are_part_of_the_format():
    """Published results stand and fall with these; another process, whose hashes differ."""
    code = (
        "from common.seeds import derive, stream; "
        "print(derive(7, 'client', 3), stream(7, 'fit').integers(1000, size=5).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split(" ", 1) == [
        str(derive(7, "client", 3)),
        f"{stream(7, 'fit').integers(1000, size=5).tolist()}\n",
    ]
    assert derive(7, "client", 3) == 837613274144761848
    assert stream(7, "fit").integers(1000, size=5).tolist() == [313, 915, 229, 902, 750]
