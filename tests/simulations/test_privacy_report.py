"""The privacy report: counted in logs and ledgers, never read off the settings."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from clients.budget import spent
from clients.mechanisms import Spending
from clients.store import Store
from common.failures import FolderError
from common.files import read_json, read_lines, write_json
from common.gaussian_dp import epsilon_of
from common.terms import Terms
from simulations.cli import app
from simulations.events import silent
from simulations.experiment import read
from simulations.privacy_report import UNMEASURED, _accountant, _mu, of_folder, privacy_report
from simulations.reporting.privacy import lines, section
from simulations.reporting.report import build_report
from simulations.runner import execute
from simulations.what_crossed import crossed
from tests.worlds import TINY

LINEAR = "clients.teacher = 'frozen_linear'"
DP = "clients.mechanism = { kind = 'dp_gd', epsilon_target = 4.0, steps = 5 }"
SAYS = "disclose = ['familiarity', 'num_examples']"
BACK = (
    "num_rounds = 2",
    "server.feedback = 'consensus'",
    "clients.refinement = 'digest_revisit'",
)


def ran(home, *words):
    experiment = read("synthetic", [*TINY, *words])
    settings = {"backend": "inline", "address": None, "progress": silent}
    return execute(experiment, "synthetic", out=home / "run", **settings)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("plain"), SAYS)


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("private"), LINEAR, DP, "bounds = true")


@pytest.fixture
def copy(plain, tmp_path):
    return shutil.copytree(plain, tmp_path / "copy")


def accepted(folder):
    entries = read_lines(folder / "audit" / "server.jsonl")
    return [e for e in entries if e["direction"] == "up" and e["verdict"] == "accepted"]


def test_the_fields_are_all_the_bytes_that_were_accepted(plain, private):
    for folder in (plain, private):
        found = read_json(folder / "privacy.json")["crossed"]
        total = sum(entry["bytes"] for entry in accepted(folder))
        assert sum(row["bytes"] for row in found["fields"]) == total == found["up"]["bytes"]
        kept = (folder / "releases").rglob("*.bin")
        assert total == sum(path.stat().st_size for path in kept)
        assert found["up"]["clients"] == 4
        assert found["audit"]["chains"] == "verified"
        assert found["audit"]["sides"] == "agree"
        assert found["rejected"] == {}


def test_what_is_disclosed_is_a_field_of_its_own(plain):
    rows = {r["field"]: r for r in read_json(plain / "privacy.json")["crossed"]["fields"]}
    terms = Terms.read(plain / "terms.json")
    assert rows["predictions"]["shape"] == f"{terms.rows} x 3"
    assert rows["num_examples"]["bytes_per_message"] == 4
    assert rows["familiarity"]["client_derived"]
    assert {r["in_account"] for r in rows.values()} == {"no", "-"}
    assert rows["header"]["client_derived"] is False


def test_without_a_mechanism_none_is_printed(plain):
    told = lines(of_folder(plain))
    assert "2 GUARANTEE     none" in told
    assert f"3 MEASURED      {UNMEASURED}" in told
    assert any("bounds were not measured" in line for line in told)
    assert any("one process" in line for line in told)


def test_the_guarantee_is_that_of_the_ledgers(private):
    found = read_json(private / "privacy.json")["guarantee"]
    [one] = spent(Store(private / "clients" / "0"))
    assert found["guarantee"] == "dp_gd"
    assert found["trainings"] == 1
    assert found["mu"] == pytest.approx(5**0.5 / one.noise_multiplier, abs=1e-6)
    assert epsilon_of(found["mu"], found["delta"]) == pytest.approx(found["epsilon"], abs=1e-4)
    assert "how many examples a client has" in found["not_covered"]
    fields = read_json(private / "privacy.json")["crossed"]["fields"]
    assert {row["in_account"] for row in fields} == {"yes", "-"}


def test_settings_promise_nothing_that_the_ledgers_do_not_hold(private, tmp_path):
    """Positive control: a teacher without an entry, and the settings unchanged."""
    folder = shutil.copytree(private, tmp_path / "run")
    store = Store(folder / "clients" / "1")
    store.keep_teacher(store.teacher())
    found = of_folder(folder)
    assert found["guarantee"]["guarantee"] == "none"
    assert {row["in_account"] for row in found["crossed"]["fields"]} == {"no", "-"}


def test_the_cost_is_beside_what_could_have_been(private):
    summary, found = read_json(private / "summary.json"), read_json(private / "privacy.json")
    assert found["cost"]["student"] == summary["student"]["accuracy"]
    assert found["cost"]["ensemble"] == summary["bounds"]["ensemble"]["accuracy"]
    assert "centralised" in lines(found)[-9] or any("centralised" in x for x in lines(found))


def test_a_forged_log_is_said_and_not_counted(copy):
    path = copy / "audit" / "client-2.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"accepted"', b'"refused"', 1))
    found = of_folder(copy)["crossed"]
    assert found["audit"]["chains"] == "the audit chain of client-2.jsonl is broken at line 2"
    told = lines(of_folder(copy))
    assert told[0].startswith("1 WHAT CROSSED  not known: the audit chain")


def test_a_release_that_no_client_logged_is_said(copy):
    (copy / "audit" / "client-1.jsonl").write_bytes(b"")
    found = crossed(copy, accounted=False)
    assert found["audit"]["sides"] == "disagree: 1 release(s) that no client logged"


def test_what_was_rejected_is_counted_by_its_reason(copy):
    path, head = copy / "audit" / "server.jsonl", copy / "checkpoint" / "server.json"
    from common.audit import AuditLog
    from common.reasons import Reason

    log = AuditLog(path)
    log.append("up", 3, 1, b"x" * 99, schema=1, verdict=Reason.not_canonical)
    write_json(head, read_json(head) | {"audit_head": log.head})
    before = read_json(copy / "privacy.json")["crossed"]["up"]
    found = crossed(copy, accounted=False)
    assert found["rejected"] == {"not_canonical": 1}
    assert found["up"] == before


def test_what_attacks_found_stands_beside_and_not_inside_the_promise(copy):
    best = {"value": 0.61, "interval": [0.55, 0.67], "attack": "lira"}
    made = {
        "battery": "quick",
        "game": {"decisions": 640},
        "strongest": {"8 bits": {"auc": best}},
        "faults": ["epsilon of at least 5 at a claim of 4"],
    }
    write_json(copy / "attack.json", made)
    told = "\n".join(lines(of_folder(copy)))
    assert "8 bits: auc 0.610 (lira)" in told
    assert "BROKEN PROMISE: epsilon of at least 5" in told
    assert section(copy)["measured"]["attacked"]
    page = build_report(copy)
    assert "auc 0.610 (lira)" in page
    assert "type fedknot attack DIR" not in page
    (copy / "attack.json").write_text("{")
    with pytest.raises(FolderError, match="damaged"):
        of_folder(copy)


def test_the_page_has_the_section_and_older_folders_do_not(plain, copy):
    page = build_report(plain)
    assert "What crossed" in page
    assert "not measured: type fedknot attack DIR" in page
    assert page == (plain / "report.html").read_text("utf-8")
    (copy / "privacy.json").unlink()
    assert "What crossed" not in build_report(copy)


def test_obfuscation_is_no_guarantee_on_the_page(tmp_path):
    folder = ran(tmp_path, LINEAR, "clients.mechanism = 'noisy_answers'")
    page = build_report(folder)
    said = read_json(folder / "summary.json")["privacy"]["guarantee"]
    assert said.startswith("none - obfuscation only; worst-case epsilon of the added noise: ")
    assert f"No formal privacy guarantee: {said}." in page
    assert 'class="box"' in page
    assert f"2 GUARANTEE     {said}" in lines(of_folder(folder))


def test_rounds_and_what_goes_down_are_counted(tmp_path):
    wide = DP.replace("steps", "budget = 7.0, steps")
    folder = ran(tmp_path, LINEAR, wide, *BACK)
    found = of_folder(folder)
    down = {row["what"]: row for row in found["crossed"]["down"]}
    assert down["questions"]["messages"] == 8
    assert down["consensus"]["messages"] == 4
    assert found["guarantee"]["trainings"] == 2
    assert found["crossed"]["up"]["messages"] == 8
    assert 4.0 < found["guarantee"]["epsilon"] < 7.0


def test_masked_words_and_keys_are_counted(tmp_path):
    folder = ran(tmp_path, "wire.secure_sum = true", "k_min = 2", "server.aggregator = 'mean'")
    found = of_folder(folder)["crossed"]
    assert {row["field"] for row in found["fields"]} == {"header", "masked words", "public key"}
    assert sum(row["bytes"] for row in found["fields"]) == found["up"]["bytes"]


def test_a_ledger_of_samples_names_its_accountant():
    pytest.importorskip("dp_accounting")
    one = Spending(2.0, 0.1, 10, True)
    assert _mu([one]) is None
    assert _accountant([one]).startswith("dp-accounting ")
    assert _mu([Spending(2.0, 1.0, 16, True)]) == 2.0


def test_the_command(plain):
    runner = CliRunner()
    shown = runner.invoke(app, ["privacy", str(plain)])
    assert shown.exit_code == 0
    assert "1 WHAT CROSSED  audit chains verified, both sides agree" in shown.output
    bare = runner.invoke(app, ["privacy", str(plain), "--json"])
    assert json.loads(bare.output) == of_folder(plain) == read_json(plain / "privacy.json")


def test_only_a_finished_run_has_one(copy, tmp_path):
    write_json(copy / "summary.json", read_json(copy / "summary.json") | {"status": "failed"})
    with pytest.raises(FolderError, match="failed"):
        of_folder(copy)
    with pytest.raises(FolderError):
        of_folder(tmp_path)
    (copy / "privacy.json").write_text("{")
    with pytest.raises(FolderError, match="damaged"):
        section(copy)


def test_a_broken_log_does_not_stop_the_report(copy):
    summary = read_json(copy / "summary.json")
    (copy / "audit" / "server.jsonl").unlink()
    assert privacy_report(copy, summary)["crossed"]["audit"]["chains"] != "verified"
