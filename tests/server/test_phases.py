import pytest

from common.failures import TooFewClients
from common.wire import ENCODE, PREDICT, TEACHER, unpack_question
from server.app import serve
from tests.local_grid import LocalGrid, failed
from tests.tampering import PHASE_ABUSES, at
from tests.worlds import hashes, outcome, stocked, tallies, tiny_with


@pytest.mark.parametrize("abuse", PHASE_ABUSES)
@pytest.mark.parametrize("kind", [ENCODE, TEACHER])
def test_a_node_that_does_not_do_its_task_is_left_out(run, inline, kind, abuse):
    folder, grid = run(3, tamper=at(kind, PHASE_ABUSES[abuse]))
    assert hashes(folder) == hashes(inline(gone=(1,)))
    fates = {"error": ("quarantined", "crashed"), "no reply": ("lost", "timeout")}
    assert tallies(folder)[1] == fates.get(abuse, ("lost", "client_error"))
    assert outcome(folder)["clients"]["answered"] == 3
    asked = [m.metadata.dst_node_id for m in grid.sent if m.metadata.message_type == PREDICT]
    assert asked == [1000, 1002]


def test_without_teachers_the_run_ends(run):
    def tamper(message, reply):
        return failed(message) if message.metadata.message_type == TEACHER else reply

    with pytest.raises(TooFewClients, match="only 0 of 4 clients answered"):
        run(2, tamper=tamper)


def test_who_could_not_train_is_never_asked(run, inline):
    def break_shard(folder):
        (folder / "clients" / "2" / "shard.jsonl").write_text("{}\n")

    folder, grid = run(2, "num_rounds = 2", before=break_shard)
    assert hashes(folder) == hashes(inline("num_rounds = 2", gone=(2,)))
    assert tallies(folder)[2] == ("lost", "client_error")
    named = [unpack_question(m.content)[2] for m in grid.sent if m.metadata.message_type == PREDICT]
    assert named == [[0], [1, 3]] * 2


def test_phases_are_told_as_they_go(tmp_path, hasty):
    told = []
    folder = stocked(tiny_with(), tmp_path / "run")
    serve(LocalGrid(2), folder, lambda *step: told.append(step))
    for phase in ("encode", "teachers", "predict"):
        steps = [(done, total) for name, done, total in told if name == phase]
        assert steps[0] == (0, 4)
        assert steps[-1] == (4, 4)
    assert set(outcome(folder)["seconds"]) == {
        "encode",
        "teachers",
        "predict",
        "aggregate",
        "distil",
    }
