"""Planned bytes and messages are those of a finished run, whatever the run says and to whom."""

import pytest

from common.files import read_json
from simulations.estimate import estimate
from simulations.events import silent
from simulations.preview import preview, table
from simulations.provision import divide
from simulations.runner import execute
from simulations.traffic import cohorts
from simulations.what_crossed import crossed
from tests.secure import SECURE
from tests.worlds import tiny_with

REFINED = (
    "server.feedback = 'consensus'; server.loss = 'kl'",
    "clients.refinement = { kind = 'digest_revisit', digest_epochs = 1, revisit_epochs = 1 }",
)
SETTINGS = {
    "one round": (),
    "three rounds": ("num_rounds = 3",),
    "refined": ("num_rounds = 3", *REFINED),
    "refined, said back in few bits": ("num_rounds = 3; wire.bits_down = 2", *REFINED),
    "one round of a refinement": REFINED,
    "a share of the clients": (
        "num_rounds = 3; data.num_clients = 5; data.partition = 'iid'",
        "server.cohort = { kind = 'random_share', share = 0.4 }",
    ),
    "one share after the other, refined": (
        "num_rounds = 3; data.num_clients = 5; data.partition = 'iid'",
        "server.cohort = { kind = 'round_robin', share = 0.4 }",
        *REFINED,
    ),
    "a share that is never everybody": (
        "num_rounds = 2; data.num_clients = 5; data.partition = 'iid'",
        "server.cohort = { kind = 'round_robin', share = 0.2 }",
    ),
    "heads": (
        "clients.subclasses = { count = 3 }; server.loss = 'kl'",
        "data.dataset = { kind = 'synthetic', size = 400, num_labels = 3 }",
    ),
    "heads, matched, refined": (
        "clients.subclasses = { count = 2 }; server.aggregator = 'aligned'; num_rounds = 2",
        "data.dataset = { kind = 'synthetic', size = 400, num_labels = 3 }",
        *REFINED,
    ),
    "secure": SECURE,
    "secure, refined": (*SECURE, "num_rounds = 2", *REFINED),
    "numbers disclosed": ("disclose = ['familiarity', 'num_examples']; wire.bits = 4",),
    "a part of the texts": (
        "num_rounds = 3; server.cache = { kind = 'soft_labels' }; server.aggregator = 'mean'",
        "server.weighting = 'uniform'",
        *REFINED,
    ),
}


@pytest.fixture(scope="module", params=SETTINGS)
def both(request, tmp_path_factory):
    """A plan, and the folder of a finished run."""
    experiment = tiny_with(*SETTINGS[request.param])
    out = tmp_path_factory.mktemp("run") / "r"
    words = {"out": out, "backend": "inline", "address": None, "progress": silent}
    return preview(experiment), execute(experiment, "tiny", **words)


def test_the_bytes_of_a_finished_run_are_those_that_were_planned(both):
    plan, folder = both
    wire = read_json(folder / "summary.json")["wire"]
    for key in ("bytes_up", "bytes_down", "bytes_up_per_client", "messages"):
        assert plan[key] == wire[key], key


def test_every_message_that_both_sides_logged_was_planned(both):
    plan, folder = both
    found, planned = crossed(folder, accounted=False), plan["crossing"]
    assert found["down"] == planned["down"]
    assert found["up"]["clients"] == plan["clients_asked"]
    # The logs know no kinds of what comes up.
    assert found["up"]["messages"] == sum(row["messages"] for row in planned["up"])
    assert found["up"]["bytes"] == sum(row["bytes"] for row in planned["up"]) == plan["bytes_up"]


def test_each_round_adds_up(both):
    plan, _ = both
    for way in ("up", "down"):
        rounds = plan["rounds"]
        assert sum(one["asked"] * one[way] for one in rounds) == plan[f"bytes_{way}"]
        assert max(one[way] for one in rounds) == plan[f"bytes_{way}_per_client_and_round"]


def test_a_person_is_told_what_goes_down_and_who_is_asked():
    lines = table(preview(tiny_with(*SETTINGS["one share after the other, refined"])))
    assert any(line.startswith("each client gets") and "at most" in line for line in lines)
    assert "a round asks 2 of 5 clients, all together 5 of them" in lines
    assert "if nobody drops out, 6 messages come up and 10 go down" in lines
    lines = table(preview(tiny_with(*SETTINGS["secure"])))
    assert "if nobody drops out, 8 messages come up (4 of them answers) and 8 go down" in lines


def guess(*overrides):
    experiment = tiny_with(*overrides)
    return estimate(experiment, *divide(experiment))


def test_phases_are_estimated_where_a_run_has_them():
    assert not {"refine", "mask"} & guess("num_rounds = 2")["seconds"].keys()
    found = guess("num_rounds = 2", *REFINED, *SECURE)["seconds"]
    assert list(found)[:5] == ["fixed", "encode", "teachers", "refine", "mask"]
    told = [value for name, value in found.items() if name != "total"]
    assert found["total"] == pytest.approx(sum(told), abs=0.1)


def test_heads_can_be_rehearsed():
    for aggregator in ("keep_all", "aligned"):
        found = guess(*SETTINGS["heads"], f"server.aggregator = '{aggregator}'")
        assert found["seconds"]["distil"] >= 0


def test_the_server_holds_what_a_round_says():
    world = "data.dataset = { kind = 'synthetic', size = 40000, num_labels = 3 }; num_rounds = 2"
    many = "data.num_clients = 400; data.partition = 'iid'; server.schedule = { steps = 1 }"
    held = []
    for share in (1.0, 0.1):
        cohort = f"server.cohort = {{ kind = 'random_share', share = {share} }}"
        found = guess(world, many, cohort)
        held.append(found["server_mb"] - found["process_mb"])
    # K answers of 10,000 x 3: a code of 2 bytes, a target of 4, and a weight of 4 bytes a text.
    assert held[0] == pytest.approx(400 * 10_000 * (3 * (2 + 4) + 4) / 1e6, rel=0.02)
    assert held[1] == pytest.approx(held[0] / 10, abs=2)


def test_cohorts_are_those_of_the_run(tmp_path):
    experiment = tiny_with(*SETTINGS["a share of the clients"])
    words = {"out": tmp_path / "r", "backend": "inline", "address": None, "progress": silent}
    folder = execute(experiment, "tiny", **words)
    for number, asked in enumerate(cohorts(experiment), start=1):
        answered = {int(path.stem) for path in (folder / "releases" / str(number)).glob("*.bin")}
        assert answered == asked
