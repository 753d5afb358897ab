"""The privacy report: counted in logs and ledgers, never read off the settings."""

import json
import shutil
from html import unescape

import pytest
from typer.testing import CliRunner

from clients.budget import spent
from clients.mechanisms import Spending
from clients.store import Store
from common.failures import FolderError
from common.files import read_json, read_lines, write_json
from common.gaussian_dp import epsilon_of
from common.terms import Terms
from simulations.attacks import _game
from simulations.attacks._session import Asked
from simulations.attacks._session import run as run_attack
from simulations.cli import app
from simulations.events import silent
from simulations.experiment_file import read
from simulations.privacy_report import UNMEASURED, _accountant, _mu, of_folder, privacy_report
from simulations.reporting.measured import lines as measured_lines
from simulations.reporting.privacy import lines, section
from simulations.reporting.report import build_report
from simulations.runner import execute
from simulations.what_crossed import crossed
from tests.simulations.attacks.scenes import SMALL
from tests.worlds import TINY

LINEAR = "clients.teacher = 'frozen_linear'"
DP = "clients.mechanism = { kind = 'dp_gd', epsilon_target = 4.0, steps = 5 }"
SAYS = "disclose = ['familiarity', 'num_examples']"
BACK = (
    "num_rounds = 2",
    "server.feedback = 'consensus'",
    "clients.refinement = 'digest_revisit'",
)
PLACES = ("overlap", "disjoint", "student")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(_game.SIZES, "quick", SMALL)


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


def ranked(attack, defence, place, auc, **more):
    figures = {
        "auc": auc,
        "auc_interval": [auc - 0.05, auc + 0.05],
        "tpr": {"0.01": 0.2, "0.001": 0.03},
        "tpr_interval": {"0.01": [0.1, 0.3], "0.001": [0.0, 0.05]},
        "decisions": 640,
        "negatives": 320,
        "worst": {"candidates": [4, 8], "auc": 0.9},
        **more,
    }
    return finding(attack, defence, place, figures)


def finding(attack, defence, place, figures, fault=""):
    return {
        "attack": attack,
        "defence": defence,
        "place": place,
        "figures": figures,
        "sentence": "Told elsewhere.",
        "fault": fault,
    }


def attacked():
    """An ``attack.json`` with something of everything."""
    best = {"value": 0.61, "interval": [0.55, 0.67], "attack": "lira"}
    shares = {"tv": 0.25, "tv_blind": 0.57, "correlation": 0.9, "absent_auc": 0.99}
    copies = {"agreement": 0.97, "agreement_blind": 0.3, "weight_error": 0.1, "score_error": 0.02}
    audit = {"epsilon_claimed": 4.0, "epsilon_lower": 5.0}
    broken = "epsilon of at least 5 at a claim of 4"
    return {
        "battery": "quick",
        "game": {"decisions": 640, "targets": 4, "shadows": 64, "alike": True},
        "defences": [
            {"name": "float32", "own": False, "control": True},
            {"name": "8 bits", "own": True, "control": False},
        ],
        "findings": [
            ranked("naive", "8 bits", "overlap", 0.52),
            ranked("lira", "8 bits", "overlap", 0.61, bound={"0.01": 0.04, "0.001": 0.006}),
            ranked("adaptive", "8 bits", "disjoint", 0.58, clients={"0": 0.5, "3": 0.71}),
            ranked("adaptive", "float32", "disjoint", 0.83),
            ranked("adaptive", "hard label", "disjoint", 0.99),
            finding("label_distribution", "8 bits", "disjoint", shares),
            finding("extraction", "8 bits", "disjoint", copies),
            finding("audit", "dp_gd", "canaries", audit, broken),
        ],
        "strongest": {"8 bits": {"auc": best}},
        "not_played": {"inversion": "it draws pictures, and these are texts"},
        "without_protection": 0.597,
        "faults": [broken],
    }


def test_what_attacks_found_stands_beside_and_not_inside_the_promise(copy):
    write_json(copy / "attack.json", attacked())
    told = "\n".join(lines(of_folder(copy)))
    assert "BROKEN PROMISE: epsilon of at least 5" in told
    assert section(copy)["measured"]["attacked"]
    page = build_report(copy)
    assert "61.0 [56.0, 66.0]" in page
    assert "type fedknot attack DIR" not in page
    (copy / "attack.json").write_text("{")
    with pytest.raises(FolderError, match="damaged"):
        of_folder(copy)


def test_what_was_measured_has_its_control_its_baselines_and_its_size(copy):
    write_json(copy / "attack.json", attacked())
    found = of_folder(copy)
    rows = {(r["release"], r["place"]): r for r in found["measured"]["ranking"]}
    assert set(rows) == {(r, p) for r in ("8 bits", "float32") for p in PLACES}
    assert rows["8 bits", "overlap"]["attack"] == "lira"  # the strongest, and not the first
    assert rows["8 bits", "overlap"]["allowed"] == {"0.01": 0.04, "0.001": 0.006}
    assert rows["float32", "disjoint"]["control"]
    assert rows["8 bits", "student"]["attack"] is None
    told = "\n".join(lines(found))
    for part in (
        "4 attacked and 64 shadow models, 640 decisions",
        "61.0 [56.0, 66.0]   20.0 [10.0, 30.0]   3.0 [0.0, 5.0]      4.0",
        "float32 (control)     other texts  adaptive        83.0 [78.0, 88.0]",
        "a coin",
        "label shares, 8 bits: off by 25% of a shard (a blind guess: 57%)",
        "extraction, 8 bits: a copy decides alike on 97.0% (blind: 30.0%), scores off by 2.0e-02",
        "one-run audit, dp_gd: epsilon >= 5 (95 %), 4 is claimed: FAILED",
        "worst-hit candidates (lira): 4, 8, AUC 90.0",
        "0.1 % of 320 outsiders is not one",
        "not played: inversion, it draws pictures, and these are texts",
        "without protection 0.597",
    ):
        assert part in told
    assert "hard label" not in told  # neither the run's own release nor the control


def test_figures_that_are_held_against_no_guarantee_are_said_to_be(copy):
    made = attacked()
    made["game"]["alike"] = False
    write_json(copy / "attack.json", made)
    assert "no figure is held against the guarantee" in "\n".join(lines(of_folder(copy)))


def test_a_run_that_was_attacked_says_all_of_it(private, tmp_path):
    """The content of a real ``attack.json``, from the run to the page."""
    folder = shutil.copytree(private, tmp_path / "run")
    made, _ = run_attack(Asked(str(folder), "quick"), silent)
    found = of_folder(folder)
    assert found["measured"]["decisions"] == made["game"]["decisions"]
    assert found["cost"]["without_protection"] == made["without_protection"] is not None
    [audit] = found["measured"]["audit"]
    assert audit["epsilon_claimed"] == pytest.approx(4.0, abs=1e-3)
    page = unescape(build_report(folder))
    for line in measured_lines(found["measured"])[-3:]:
        assert line in page


def test_a_store_that_is_not_pinned_is_said(copy):
    """Positive control: a store that holds the hash of other terms."""
    whole = "the transfer set is pinned by its hash in the stores of all 4 clients"
    assert whole in of_folder(copy)["limits"]
    path = copy / "clients" / "2" / "client.json"
    write_json(path, read_json(path) | {"terms_sha256": "0" * 64})
    assert (
        "the transfer set is NOT pinned: 3 of 4 stores hold its hash" in of_folder(copy)["limits"]
    )


def test_what_clients_thought_of_the_texts_is_counted_in_their_stores(copy):
    found = "\n".join(of_folder(copy)["limits"])
    assert "4 of 4 clients looked for probes and their own texts in it" in found
    assert "0 refused it" in found
    store = Store(copy / "clients" / "1")
    store.keep_verdict(store.verdict() | {"objection": "too many probes"})
    (copy / "clients" / "3" / "vetting.json").unlink()
    found = "\n".join(of_folder(copy)["limits"])
    assert "3 of 4 clients looked" in found
    assert "1 refused it" in found


def test_stores_that_others_may_open_are_said(copy):
    (copy / "clients" / "0").chmod(0o755)
    assert any("1 are open to other users" in line for line in of_folder(copy)["limits"])


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
