import hashlib
import json
import shutil

import numpy as np
import pytest

from common.failures import CheckFailed, ConfigError, FolderError, TooFewClients
from common.quantise import to_codes, to_probs
from common.records import Record, decode, encode
from common.terms import Terms
from simulations.events import silent
from simulations.inspection import inspect, table
from simulations.loop import federate
from tests.worlds import stocked, tiny_with


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two rounds of the tiny experiment; only to be read."""
    overrides = ("num_rounds = 2", "disclose = ['num_examples']")
    folder = stocked(tiny_with(*overrides), tmp_path_factory.mktemp("inspection") / "run")
    federate(folder, silent)
    return folder


@pytest.fixture
def run(finished, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(finished, tmp_path / "copy")


def log(folder, name="server"):
    return folder / "audit" / f"{name}.jsonl"


def test_every_message_is_shown_with_what_it_says(finished):
    found = inspect(finished, None, None)
    terms = Terms.read(finished / "terms.json")
    assert found["chains"] == "verified"
    assert found["sides_agree"] is True
    assert found["run"] == terms.run
    assert found["log_lines"] == {"server": 16, "clients": 16}
    assert [(m["round"], m["client"]) for m in found["messages"]] == [
        (r, c) for r in (1, 2) for c in range(4)
    ]
    for m in found["messages"]:
        payload = (finished / "releases" / str(m["round"]) / f"{m['client']}.bin").read_bytes()
        probs = to_probs(decode(payload, terms.layout, m["round"], m["client"]).codes, 8)
        each = [-sum(p * np.log(p) for p in row if p > 0) for row in probs.astype(float)]
        assert m["mean_entropy"] == pytest.approx(np.mean(each), abs=1e-6)
        assert (m["bytes"], m["sha256"]) == (len(payload), hashlib.sha256(payload).hexdigest())
        assert (m["verdict"], m["attempts"]) == ("accepted", 1)
    json.dumps(found, allow_nan=False)


def test_the_fields_are_those_of_the_layout(finished):
    fields = inspect(finished, None, None)["fields"]
    assert list(fields) == ["header", "predictions", "bias", "num_examples"]
    assert fields["predictions"] == "40 x 3 codes of 8 bits"


@pytest.mark.parametrize(
    ("client", "server_round", "shown"), [(2, None, 2), (None, 2, 4), (2, 1, 1), (0, None, 2)]
)
def test_a_part_may_be_chosen(finished, client, server_round, shown):
    messages = inspect(finished, client, server_round)["messages"]
    assert len(messages) == shown
    assert all(client in (None, m["client"]) for m in messages)
    assert all(server_round in (None, m["round"]) for m in messages)


@pytest.mark.parametrize(
    ("client", "server_round", "says"),
    [
        (9, None, "of client 9 in any round"),
        (None, 3, "any client in round 3"),
        (0, 0, "client 0 in round 0"),
    ],
)
def test_a_choice_of_nothing_is_a_mistake(finished, client, server_round, says):
    with pytest.raises(ConfigError, match=says):
        inspect(finished, client, server_round)


def test_a_run_in_which_nobody_answered_can_be_inspected(provisioned):
    for client in range(4):
        (provisioned / "clients" / str(client) / "shard.jsonl").write_text("{}\n")
    with pytest.raises(TooFewClients):
        federate(provisioned, silent)
    found = inspect(provisioned, None, None)
    assert found["messages"] == []
    assert found["log_lines"] == {"server": 0, "clients": 0}
    assert table(found)


def test_the_same_for_a_person(finished):
    found = inspect(finished, None, None)
    lines = table(found)
    assert "chains verified" in lines[0]
    assert "agree" in lines[1]
    assert sum(m["sha256"][:16] in line for m in found["messages"] for line in lines) == 8


def test_what_was_refused_is_shown_without_content(run):
    with log(run).open() as file:
        lines = file.read().splitlines()
    entry = json.loads(lines[-1]) | {"verdict": "wrong_sum"}
    log(run).write_text("\n".join([*lines[:-1], json.dumps(entry)]) + "\n")
    forget_head(run)
    found = inspect(run, 3, 2)
    assert found["messages"][0]["verdict"] == "wrong_sum"
    assert found["messages"][0]["mean_entropy"] is None
    assert found["sides_agree"] is False
    assert any("wrong_sum" in line for line in table(found))


@pytest.mark.parametrize("name", ["server", "client-2"])
@pytest.mark.parametrize("line", [0, 1, 2])
def test_a_changed_line_is_found(run, name, line):
    lines = log(run, name).read_text().splitlines()
    lines[line] = lines[line].replace('"bytes": ', '"bytes": 1')
    log(run, name).write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckFailed, match=rf"{name}\.jsonl is broken at line {line + 2}"):
        inspect(run, None, None)


def cut_last(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def forget_head(run):
    """As in a run that was killed: nobody but the log itself knows where it ended."""
    (run / "checkpoint" / "server.json").unlink()


def test_a_line_missing_at_the_servers_end_is_found(run):
    cut_last(log(run))
    with pytest.raises(CheckFailed, match=r"server\.jsonl is broken at line 15"):
        inspect(run, None, None)


def test_a_changed_last_line_of_the_server_is_found(run):
    lines = log(run).read_text().splitlines()
    lines[-1] = lines[-1].replace('"bytes": ', '"bytes": 1')
    log(run).write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckFailed, match=r"server\.jsonl is broken at line 16"):
        inspect(run, None, None)


def test_a_line_missing_at_the_end_of_a_killed_run_shows_as_disagreement(run):
    cut_last(log(run))
    forget_head(run)
    found = inspect(run, None, None)
    assert found["sides_agree"] is False
    assert "differ" in table(found)[1]


def test_a_line_missing_at_a_clients_end_is_an_invented_release(run):
    cut_last(log(run, "client-1"))
    with pytest.raises(CheckFailed, match=r"1 release\(s\) that no client logged") as failure:
        inspect(run, None, None)
    assert failure.value.exit_code == 7


def test_a_missing_log_is_found(run):
    log(run, "client-1").unlink()
    with pytest.raises(CheckFailed, match=r"2 release\(s\) that no client logged"):
        inspect(run, None, None)


def test_a_last_line_of_the_server_that_names_other_bytes_is_found(run):
    lines = log(run).read_text().splitlines()
    lines[-1] = json.dumps(json.loads(lines[-1]) | {"sha256": "0" * 64})
    log(run).write_text("\n".join(lines) + "\n")
    forget_head(run)
    with pytest.raises(CheckFailed, match="no client logged"):
        inspect(run, None, None)


def test_kept_bytes_are_those_that_were_logged(run):
    """Another record of the same client and round, canonical in every way."""
    layout = Terms.read(run / "terms.json").layout
    path = run / "releases" / "2" / "1.bin"
    was = decode(path.read_bytes(), layout, 2, 1)
    codes = to_codes(np.full((40, 3), 1 / 3), 8)
    path.write_bytes(encode(Record(2, 1, codes, was.bias, num_examples=1), layout))
    with pytest.raises(CheckFailed, match=r"releases/2/1\.bin is missing or damaged"):
        inspect(run, None, None)


@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(b"short")])
def test_missing_or_damaged_bytes_are_found(run, damage):
    damage(run / "releases" / "1" / "0.bin")
    with pytest.raises(CheckFailed, match=r"releases/1/0\.bin is missing or damaged"):
        inspect(run, None, None)


def test_what_is_no_run_folder_is_refused(tmp_path, run):
    with pytest.raises(FolderError, match="not a run folder") as failure:
        inspect(tmp_path, None, None)
    assert failure.value.exit_code == 6
    for content in ("{}", "[]", "", '{"labels": 3}', '{"labels": [], "disclosed": [], "x": 1}'):
        (run / "terms.json").write_text(content)
        with pytest.raises(FolderError, match="not a run folder"):
            inspect(run, None, None)


def test_a_run_that_has_not_been_served_has_nothing_to_show(provisioned):
    with pytest.raises(FolderError, match="not a run folder"):
        inspect(provisioned, None, None)
