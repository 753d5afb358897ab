"""The privacy promise: soft predictions cross, nothing else."""

import base64
import copy
import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from clients.client import Client
from clients.store import Store
from common.files import read_lines, write_lines
from common.messages import Answer, Consensus, Question
from common.records import DISCLOSURES, HEADER, Flags, Record
from common.rosters import Roster
from common.terms import Terms
from common.wire import (
    REFINE,
    pack_answers,
    pack_consensus,
    pack_keys,
    pack_question,
    pack_roster,
)
from server.app import serve
from simulations.events import silent
from simulations.experiment_file import to_toml
from simulations.folder import keep_call
from simulations.observe import observe
from tests.local_grid import LocalGrid
from tests.worlds import stocked, tiny_with

ROOT = Path(__file__).parents[1]
CANARIES = (
    "CANARY one",
    'CANARY "two" \\ with ä, \U0001f600 and \u2028',
    "CANARY three\nin two lines",
)

HIDING = """
import importlib, pkgutil, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in HIDE:
            raise ImportError(name + " is hidden")

sys.meta_path.insert(0, Hidden())

def everything(package, but=()):
    yield importlib.import_module(package)
    for info in pkgutil.walk_packages(sys.modules[package].__path__, package + "."):
        if not info.name.startswith(but):
            yield importlib.import_module(info.name)
"""


def python(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, **kwargs
    )


def test_imports_keep_to_the_contracts():
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-cache"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_the_server_works_where_the_clients_code_is_not():
    hide = "HIDE = {'clients', 'ray'}" + HIDING
    done = python(f"{hide}\nprint(len(list(everything('server'))))\nimport clients")
    assert int(done.stdout) > 15
    assert done.stderr.strip().endswith("ImportError: clients is hidden")


def test_the_clients_work_where_the_servers_code_is_not():
    hide = "HIDE = {'server', 'simulations', 'ray'}" + HIDING
    done = python(f"{hide}\nprint(len(list(everything('clients'))))\nimport server.app")
    assert int(done.stdout) > 5
    assert done.stderr.strip().endswith("ImportError: server is hidden")


def test_what_crosses_the_wire_needs_no_model_library():
    hide = "HIDE = {'torch', 'transformers', 'sklearn', 'clients', 'server', 'ray'}" + HIDING
    made = "[m.__name__ for m in everything('common', but='common.encoders')]"
    done = python(f"{hide}\nprint(*{made})\nimport torch")
    assert {"common.records", "common.wire", "common.terms"} <= set(done.stdout.split())
    assert done.stderr.strip().endswith("ImportError: torch is hidden")


def names(kind):
    return [field.name for field in dataclasses.fields(kind)]


def test_exactly_these_fields_cross():
    assert names(Question) == ["round", "schema", "binding"]
    assert names(Consensus) == ["question", "payload"]
    assert names(Answer) == ["client", "payload"]
    assert names(Record) == ["round", "client", "codes", "bias", "scalar", "num_examples"]
    assert [flag.name for flag in Flags] == ["bias", "scalar", "num_examples"]
    declared = {"bias": "bias", "familiarity": "scalar", "num_examples": "num_examples"}
    assert {name: flag.name for name, flag in DISCLOSURES.items()} == declared
    assert HEADER.size == 56
    question = pack_question(Question(1, 1, bytes(32)), "site", [0])
    assert {n: list(r) for n, r in question.items()} == {
        "question": ["schema", "round", "binding", "site", "clients"]
    }
    consensus = pack_consensus(Consensus(Question(2, 4, bytes(32)), b""), "site", [0])
    assert {n: list(r) for n, r in consensus.items()} == {
        "question": ["schema", "round", "binding", "site", "clients"],
        "consensus": ["record"],
    }
    answer = pack_answers([Answer(0, b"")], 1)
    assert {n: list(r) for n, r in answer.items()} == {"pred": ["0"], "meta": ["schema", "round"]}
    assert names(Roster) == ["round", "attempt", "binding", "members"]
    roster = pack_roster(Roster(1, 1, bytes(32)), "site", [0])
    assert {n: list(r) for n, r in roster.items()} == {
        "question": ["schema", "round", "binding", "site", "clients"],
        "roster": ["record"],
    }
    keys = pack_keys({0: bytes(32)}, 1, 1)
    assert {n: list(r) for n, r in keys.items()} == {
        "keys": ["0"],
        "meta": ["schema", "round", "attempt"],
    }


def test_clients_with_other_texts_and_the_same_teacher_say_the_same(tmp_path):
    """What they hold, how much of it, in which order: none of it is in the bytes."""
    folder = stocked(tiny_with("clients.teacher = 'constant'"), tmp_path / "run")
    terms = Terms.read(folder / "terms.json")
    payloads = []
    for client in (1, 2):
        store = Store(folder / "clients" / str(client))
        rows = [{"text": f"CANARY {client} {n}", "label": n % 3} for n in range(3 + client * 27)]
        write_lines(store.root / "shard.jsonl", rows)
        if client == 2:
            store.keep_teacher(Store(folder / "clients" / "1").teacher())
        made = Client(store)
        made.encode()
        made.train()
        payloads.append(made.answer(Question(1, 1, terms.binding)).payload)
    one, two = payloads
    assert one[:12] == two[:12]
    assert (one[12:16], two[12:16]) == (b"\1\0\0\0", b"\2\0\0\0")
    assert one[16:] == two[16:]


def test_a_declared_familiarity_changes_its_own_block_of_bytes_and_nothing_else(tmp_path):
    """Constant teachers, other texts: what differs is one code per text, where it was declared."""
    told = ("disclose = ['familiarity']", "clients.teacher = 'constant'")
    folder = stocked(tiny_with(*told), tmp_path / "run")
    terms, payloads = Terms.read(folder / "terms.json"), []
    for client in (1, 2):
        made = Client(Store(folder / "clients" / str(client)))
        made.encode()
        made.train()
        payloads.append(made.answer(Question(1, 1, terms.binding)).payload)
    one, two = payloads
    block = slice(HEADER.size + terms.rows * 3 + 3, HEADER.size + terms.rows * 3 + 3 + terms.rows)
    assert block.stop == len(one) == len(two) == terms.layout.length
    assert one[block] != two[block]
    predictions = slice(HEADER.size, HEADER.size + terms.rows * 3)
    for payload in payloads:  # each client's constant is its own
        rows = [payload[predictions][i : i + 3] for i in range(0, terms.rows * 3, 3)]
        assert len(set(rows)) == 1


def spellings(text):
    """A text as it may stand in a file."""
    raw = text.encode()
    yield raw
    yield json.dumps(text)[1:-1].encode()
    yield json.dumps(text, ensure_ascii=False)[1:-1].encode()
    yield repr(text)[1:-1].encode()
    yield text.encode("utf-16-le")
    yield raw.hex().encode()
    for shift in range(3):  # base64 depends on what stands before
        yield base64.b64encode(b"\0" * shift + raw)[4:-4]


def leaks(folder, texts):
    """Files that hold one of these texts, but for the clients' own."""
    wanted = {spelling for text in texts for spelling in spellings(text)}
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder)
        if path.is_file() and place.parts[0] != "clients":
            data = path.read_bytes() + str(place).encode()
            found += [str(place)] * any(spelling in data for spelling in wanted)
    return found


FEEDBACK = (
    "num_rounds = 2; bounds = true; server.feedback = 'consensus'",
    "clients.refinement = 'digest_revisit'",
)


DISCLOSED = ("bounds = true; disclose = ['familiarity']", "server.weighting = 'familiarity'")


SUMMED = ("bounds = true; wire.secure_sum = true; k_min = 2", "server.aggregator = 'mean'")


@pytest.fixture(scope="module", params=["one round", "feedback", "familiarity", "secure sum"])
def canary(request, tmp_path_factory):
    """A whole run, observer and report included, in which client 0 holds canaries."""
    more = {"feedback": FEEDBACK, "familiarity": DISCLOSED, "secure sum": SUMMED}
    made = tiny_with(*more.get(request.param, ("bounds = true",)))
    folder = stocked(made, tmp_path_factory.mktemp("canary") / "run")
    shard = folder / "clients" / "0" / "shard.jsonl"
    rows = read_lines(shard)
    private = {row["text"] for k in range(4) for row in read_lines(_shard(folder, k))}
    held = [row | {"text": text} for row, text in zip(rows, CANARIES, strict=False)]
    write_lines(shard, held + rows, mode=0o600)
    broken = _shard(folder, 1)
    bad = {"text": CANARIES[0], "label": CANARIES[1]}
    write_lines(broken, [*read_lines(broken), bad], mode=0o600)
    shared = {row["text"] for name in ("transfer", "validation") for row in _public(folder, name)}
    grid = LocalGrid(2)
    serve(grid, folder, silent)
    keep_call(folder, experiment="canary", backend="inline", started=0.0)
    (folder / "experiment.toml").write_text(to_toml(made))
    observe(folder, silent)
    return folder, grid, private - shared


def _shard(folder, client):
    return folder / "clients" / str(client) / "shard.jsonl"


def _public(folder, name):
    return read_lines(folder / f"{name}.jsonl")


def test_no_private_text_is_in_any_file_but_the_clients_own(canary):
    folder, _, private = canary
    assert len(private) > 60
    assert (folder / "report.html").exists()
    assert (folder / "clients" / "1" / "log.txt").exists()
    assert leaks(folder, [*CANARIES, *private]) == []


@pytest.mark.parametrize("text", CANARIES)
@pytest.mark.parametrize("spelling", range(9))
def test_the_search_would_find_it(canary, text, spelling):
    folder, _, _ = canary
    planted = folder / "releases" / "1" / "9.bin"
    planted.write_bytes(b"\x00\x01\x02" + list(spellings(text))[spelling] + b"\xff")
    try:
        assert leaks(folder, CANARIES) == ["releases/1/9.bin"]
    finally:
        planted.unlink()


def test_the_search_finds_what_every_client_holds(canary):
    folder, _, private = canary
    assert all(
        any(text in {row["text"] for row in read_lines(_shard(folder, k))} for text in private)
        for k in range(4)
    )
    (folder / "logs" / "leak.txt").write_text("x" + sorted(private)[0])
    try:
        assert leaks(folder, private) == ["logs/leak.txt"]
    finally:
        (folder / "logs" / "leak.txt").unlink()


def crossed(messages):
    """All that messages hold, as a text and as the bytes of their arrays."""
    made = [repr(message.content).encode() for message in messages]
    records = [r for m in messages for r in m.content.array_records.values()]
    return b"\0".join(made + [array.data for record in records for array in record.values()])


def test_no_private_text_crossed(canary):
    _, grid, private = canary
    found = crossed(grid.sent + grid.received)
    wanted = {s for text in [*CANARIES, *private] for s in spellings(text)}
    assert len(found) > 1000
    assert not any(spelling in found for spelling in wanted)


@pytest.mark.parametrize("spelling", range(9))
def test_it_would_be_seen_in_what_goes_down(canary, spelling):
    """The control: a server that hides a text in what it says back is found by the same search."""
    _, grid, _ = canary
    told = [m for m in grid.sent if m.metadata.message_type == REFINE]
    if not told:
        assert grid.contexts is not None  # one round: nothing is said back
        return
    question = Question(2, 4, bytes(32))
    hidden = b"\x00\x01\x02" + list(spellings(CANARIES[1]))[spelling] + b"\xff"
    leak = copy.copy(told[0])
    leak.content = pack_consensus(Consensus(question, hidden), "site", [0])
    wanted = {s for text in CANARIES for s in spellings(text)}
    assert not any(s in crossed(told) for s in wanted)
    assert any(s in crossed([leak]) for s in wanted)


def test_nobody_else_may_open_the_clients_folder(canary):
    folder, _, _ = canary
    assert os.stat(folder / "clients").st_mode & 0o777 == 0o700
    for path in (folder / "clients").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    assert os.stat(folder / "split.json").st_mode & 0o777 == 0o600


def test_every_module_of_common_but_the_encoders_is_under_the_plain_numpy_contract():
    import pkgutil
    import tomllib
    from pathlib import Path

    import common

    table = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    contracts = table["tool"]["importlinter"]["contracts"]
    listed = next(c["source_modules"] for c in contracts if "plain numpy" in c["name"])
    there = {f"common.{module.name}" for module in pkgutil.iter_modules(common.__path__)}
    assert set(listed) == there - {"common.encoders"}
