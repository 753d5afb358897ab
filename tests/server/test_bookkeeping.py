import pytest

from common.audit import verified
from common.failures import TooFewClients
from common.reasons import Reason
from tests.one_round import Server, released
from tests.worlds import outcome, stocked, tallies, tiny_with


def test_a_stranger_is_logged_and_nothing_else(server, answers):
    assert server.admit([(4, answers[0]), (-1, b"")]) == [Reason.wrong_client] * 2
    server.admit(answers.items())
    server.learn()
    log = verified(server.folder / "audit" / "server.jsonl")
    assert [(e["client"], e["verdict"]) for e in log[4:6]] == [
        (4, "wrong_client"),
        (-1, "wrong_client"),
    ]
    assert outcome(server.folder)["rejected"] == 2
    assert set(tallies(server.folder)) == {0, 1, 2, 3}
    assert {p.name for p in (server.folder / "releases" / "1").iterdir()} == {
        f"{c}.bin" for c in range(4)
    }


def test_too_few_clients_end_the_run_with_their_reasons(tmp_path, answers):
    server = Server(stocked(tiny_with("k_min = 3"), tmp_path / "run"))
    good = released(server.folder, 1)
    assert server.admit([(0, good[0]), (1, good[1]), (2, b"bad")])[2] is Reason.wrong_length
    server.coordinator.books.exclude(3, Reason.crashed)
    with pytest.raises(TooFewClients) as failure:
        server.learn()
    line = str(failure.value)
    assert failure.value.exit_code == 3
    assert "\n" not in line
    assert "only 2 of 4 clients" in line
    assert "k_min is 3" in line
    assert "crashed, wrong_length" in line
    assert "accepted" not in line
    assert tallies(server.folder) == {
        0: ("answered", "accepted"),
        1: ("answered", "accepted"),
        2: ("quarantined", "wrong_length"),
        3: ("lost", "crashed"),
    }
    assert not (server.folder / "student").exists()
    assert not (server.folder / "checkpoint" / "server.json").exists()


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.timeout, "lost"),
        (Reason.crashed, "lost"),
        (Reason.client_error, "lost"),
        (Reason.refused, "lost"),
        (Reason.wrong_field, "quarantined"),
    ],
)
def test_lost_or_quarantined(server, answers, reason, status):
    server.coordinator.books.exclude(3, reason)
    server.admit((client, answers[client]) for client in range(3))
    server.learn()
    assert tallies(server.folder)[3] == (status, reason.name)
    assert outcome(server.folder)["clients"][status] == 1
    assert outcome(server.folder)["rejected"] == (status == "quarantined")


def test_a_good_answer_stands_whatever_comes_after(server, answers):
    server.admit(answers.items())
    server.coordinator.books.exclude(0, Reason.crashed)
    server.learn()
    assert tallies(server.folder)[0] == ("answered", "accepted")
