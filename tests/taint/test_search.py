"""The search of the taint test finds what it is to find, in every form and every wrapping."""

import base64
import gzip
import io
import os
import subprocess
import sys
import zipfile
import zlib

import matplotlib.pyplot as plt
import numpy as np
import pytest

from tests.taint.canaries import Canaries
from tests.taint.search import Find, Searcher, counted, files, memory, numbers

CANARIES = Canaries(3)
SEARCHER = Searcher(CANARIES.needles())


def zipped(data):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.txt", data)
    return made.getvalue()


WRAPPINGS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "fast zlib": lambda data: zlib.compress(data, 1),
    "zip": zipped,
    "base64": base64.b64encode,
    "gzip in base64": lambda data: base64.b64encode(gzip.compress(data)),
    "gzip in zip": lambda data: zipped(gzip.compress(data)),
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_every_form_of_every_secret_is_found_in_every_wrapping(wrap):
    for needle in CANARIES.needles():
        inner = os.urandom(50) + needle.data + b"\0" * 50
        found = SEARCHER.deep(b"before\0" + wrap(inner) + b"\0after")
        assert needle in found, needle
        assert {other.client for other in found} == {needle.client}


def test_a_comment_in_a_picture_is_found():
    made = io.BytesIO()
    plt.imsave(made, np.zeros((2, 2)), format="png", metadata={"Comment": CANARIES.token(2)})
    assert {n.client for n in SEARCHER.deep(made.getvalue())} == {2}


def test_nothing_is_found_where_nothing_is():
    assert SEARCHER.deep(os.urandom(1 << 20) + b"fedknot-canary and nothing more") == set()


def test_names_of_files_count_and_own_folders_do_not(tmp_path):
    (tmp_path / "clients").mkdir()
    (tmp_path / "clients" / "shard").write_text(CANARIES.token(0))
    assert files(tmp_path, SEARCHER, ("clients",)) == set()
    (tmp_path / CANARIES.token(1)).write_text("")
    assert {f.client for f in files(tmp_path, SEARCHER, ("clients",))} == {1}


def test_numbers_of_examples_are_found_as_numbers_only(tmp_path):
    (tmp_path / "a.json").write_text('{"n": 10007, "m": 0.10037, "sha": "a10067"}')
    (tmp_path / "b.bin").write_bytes(b"\xff" + (10037).to_bytes(4, "little"))
    counts = {k: CANARIES.examples(k) for k in range(3)}
    assert numbers(tmp_path, counts) == {
        Find("a.json", 0, "examples", "decimal"),
        Find("b.bin", 1, "examples", "u32"),
    }
    (tmp_path / "logs" / "ray").mkdir(parents=True)
    for name in ("logs/ray/monitor.log", "logs/rays"):
        (tmp_path / name).write_text("10007")
    found = numbers(tmp_path, {0: 10007}, ("a.json", "logs/ray"))
    assert {find.place for find in found} == {"logs/rays"}


def test_numbers_of_examples_are_found_on_a_screen():
    counts = {k: CANARIES.examples(k) for k in range(3)}
    assert counted(b"trained on 10,037 texts, port 110007, 10067.5 s", "screen", counts) == {
        Find("screen", 1, "examples", "with a comma"),
        Find("screen", 2, "examples", "decimal"),
    }


HOLDER = """
import sys, time, numpy
text = sys.stdin.read()
kept = [text[::-1][::-1], numpy.full(9, 1.5), bytes.fromhex("{weight}")]
del text
print("ready", flush=True)
time.sleep(60)
"""


def test_the_memory_of_a_live_process_is_searched():
    """A text comes in by a pipe, as a secret would; a weight stands in an object."""
    code = HOLDER.format(weight="00")
    call = [sys.executable, "-c", code]
    process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        process.stdin.write(CANARIES.token(2).encode())
        process.stdin.close()
        process.stdout.readline()
        found = memory(process.pid, "there", SEARCHER)
    except PermissionError:
        pytest.skip("this machine forbids reading the memory of other processes")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert {(f.place, f.client, f.what) for f in found} == {("there", 2, "text")}
