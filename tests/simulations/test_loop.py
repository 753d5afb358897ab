import json
import shutil

import numpy as np
import pytest
from scipy import special

from clients.store import Store
from common.audit import verified
from common.failures import TooFewClients
from common.files import read_lines
from common.records import Flags, decode
from common.terms import Terms
from server.archive import open_weights
from simulations.events import silent
from simulations.inspection import inspect
from simulations.loop import federate
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with


@pytest.fixture
def run(tmp_path):
    """Federates the tiny experiment with overrides; gives the run folder."""
    count = iter(range(100))

    def made(*overrides, before=lambda folder: None):
        folder = stocked(tiny_with(*overrides), tmp_path / str(next(count)))
        before(folder)
        federate(folder, silent)
        return folder

    return made


def test_two_runs_give_equal_bits_and_another_seed_others(run):
    first, second, other = run(), run(), run("seed = 8")
    assert hashes(first) == hashes(second)
    assert hashes(first)[0] != hashes(other)[0]
    assert hashes(first)[1] != hashes(other)[1]
    for client in range(4):
        one, two = (f / "releases" / "1" / f"{client}.bin" for f in (first, second))
        assert one.read_bytes() == two.read_bytes()
    one, two = (f / "student" / "head.safetensors" for f in (first, second))
    assert one.read_bytes() == two.read_bytes()


def test_both_sides_keep_the_same_bytes(run):
    folder = run()
    for client in range(4):
        name = f"{client}.bin"
        kept = (folder / "releases" / "1" / name).read_bytes()
        assert Store(folder / "clients" / str(client)).release(1) == kept


def test_two_rounds(run):
    one, two = run(), run("num_rounds = 2")
    lines = read_lines(two / "rounds.jsonl")
    assert [line["round"] for line in lines] == [1, 2]
    assert [line["answered"] for line in lines] == [4, 4]
    assert {path.name for path in (two / "releases").iterdir()} == {"1", "2"}
    assert outcome(two)["messages"] == 8
    assert outcome(two)["bytes_up"] == 2 * outcome(one)["bytes_up"]
    assert outcome(two)["clients"]["answered"] == 4
    assert hashes(one)[0] != hashes(two)[0]
    assert len(verified(two / "audit" / "server.jsonl")) == 16
    terms = Terms.read(two / "terms.json")
    for server_round in (1, 2):
        payload = (two / "releases" / str(server_round) / "3.bin").read_bytes()
        assert decode(payload, terms.layout, server_round, 3).round == server_round


def test_the_second_round_starts_from_the_student_of_the_first(run):
    """With the same answers, two short rounds are not one, and improve on it."""
    long = "server.schedule = { steps = 40, learning_rate = 0.02 }"
    losses = [line["loss"] for line in read_lines(run(long, "num_rounds = 2") / "rounds.jsonl")]
    assert losses[1] < losses[0]


def test_without_need_for_a_bias_none_is_sent(run):
    knot, uniform = run(), run("server.weighting = 'uniform'")
    sizes = [len((f / "releases" / "1" / "0.bin").read_bytes()) for f in (knot, uniform)]
    assert sizes[0] - sizes[1] == 3  # one row of three codes
    terms = Terms.read(uniform / "terms.json")
    assert terms.layout.flags == Flags.none
    payload = (uniform / "releases" / "1" / "0.bin").read_bytes()
    assert payload[7] == 0
    assert decode(payload, terms.layout, 1, 0).bias is None
    assert outcome(knot)["bytes_up"] - outcome(uniform)["bytes_up"] == 4 * 3


def test_shard_sizes_cross_only_if_disclosed(run):
    silent_, open_ = run(), run("disclose = ['num_examples']")
    assert outcome(open_)["bytes_up"] - outcome(silent_)["bytes_up"] == 4 * 4
    layout = Terms.read(open_ / "terms.json").layout
    split = json.loads((open_ / "split.json").read_text())
    for client in range(4):
        payload = (open_ / "releases" / "1" / f"{client}.bin").read_bytes()
        assert decode(payload, layout, 1, client).num_examples == len(split["clients"][str(client)])


def test_distances_to_private_texts_cross_only_if_disclosed_and_weigh(run):
    silent_, open_ = run(), run("disclose = ['familiarity']")
    assert outcome(open_)["bytes_up"] - outcome(silent_)["bytes_up"] == 4 * 40
    assert hashes(open_)[0] == hashes(silent_)[0]  # disclosed, and not asked for
    weighed = run("disclose = ['familiarity']", "server.weighting = 'familiarity'")
    layout = Terms.read(weighed / "terms.json").layout
    said = np.stack(
        [
            decode((weighed / "releases" / "1" / f"{k}.bin").read_bytes(), layout, 1, k).scalar
            for k in range(4)
        ]
    )
    assert len(np.unique(said)) > 10
    clients, weights = open_weights(weighed)
    assert clients.tolist() == [0, 1, 2, 3]
    expected = special.softmax(-said / 255 / 0.05, axis=0)
    assert weights == pytest.approx(expected, abs=1e-5)
    again = run("disclose = ['familiarity']", "server.weighting = 'familiarity'")
    assert hashes(again) == hashes(weighed) != hashes(silent_)
    fields = inspect(weighed, None, None)["fields"]
    assert fields["familiarity"] == "40 codes: distance of each text to the client's own"


@pytest.mark.parametrize("bits", [1, 2, 4, 16])
def test_every_width_of_codes_runs(run, bits):
    folder = run(f"wire.bits = {bits}")
    expected = 56 + -(-40 * 3 * bits // 8) + -(-3 * bits // 8)
    assert outcome(folder)["bytes_up"] == 4 * expected


def break_shard(folder, client=2):
    (folder / "clients" / str(client) / "shard.jsonl").write_text("{}\n")


def test_a_client_that_fails_might_as_well_not_be_there(run):
    broken = run(before=break_shard)
    gone = run(before=lambda folder: shutil.rmtree(folder / "clients" / "2"))
    assert hashes(broken) == hashes(gone) != hashes(run())
    for folder in (broken, gone):
        assert tallies(folder)[2] == ("lost", "client_error")
        assert outcome(folder)["clients"] == {
            "asked": 4,
            "answered": 3,
            "lost": 1,
            "quarantined": 0,
        }
        assert not (folder / "releases" / "1" / "2.bin").exists()


def test_who_has_failed_is_not_asked_again(run):
    folder = run("num_rounds = 2", before=break_shard)
    assert [line["answered"] for line in read_lines(folder / "rounds.jsonl")] == [3, 3]
    assert tallies(folder)[2] == ("lost", "client_error")
    assert not (folder / "audit" / "client-2.jsonl").exists()


def test_too_few_clients_are_too_few(run):
    with pytest.raises(TooFewClients, match=r"only 3 of 4 .* client_error") as failure:
        run("k_min = 4", before=break_shard)
    assert failure.value.exit_code == 3


def test_a_failure_of_the_server_is_not_a_clients(run):
    """Say the disk is full where releases are kept: no client is to blame, the run ends."""
    folders = []

    def block(folder):
        folders.append(folder)
        (folder / "releases" / "1").write_text("in the way")

    with pytest.raises(FileExistsError):
        run(before=block)
    assert not list((folders[0] / "clients").glob("*/log.txt"))


def test_every_phase_is_told(tmp_path):
    told = []
    folder = stocked(tiny_with(), tmp_path / "run")
    federate(folder, lambda *step: told.append(step))
    for phase, total in (("encode", 4), ("teachers", 4), ("predict", 4), ("distil", 4)):
        assert [step for step in told if step[0] == phase] == [
            (phase, done, total) for done in range(1, 5)
        ]
    assert [step[0] for step in told if step[0] == "aggregate"] == ["aggregate"] * 2
    seconds = outcome(folder)["seconds"]
    assert set(seconds) == {"encode", "teachers", "predict", "aggregate", "distil"}
    assert all(value >= 0 for value in seconds.values())
    assert outcome(folder)["isolated"] is False


def test_nothing_is_printed(run, capfd):
    run(before=break_shard)
    assert capfd.readouterr() == ("", "")
