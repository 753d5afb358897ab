import shutil

import pytest

from clients.side_by_side import SideBySide
from clients.tasks import guarded
from common.files import read_lines, write_lines
from common.reasons import Reason
from common.wire import ENCODE, TEACHER
from simulations.events import silent
from simulations.loop import federate
from tests.clients.test_app import CANARY, Site, break_shard
from tests.worlds import hashes, stocked, tallies, tiny_with

EVERYBODY = [0, 1, 2, 3]
ON = "clients.vectorised = true"
MIXED = "clients.teachers = [{ kind = 'frozen_mlp', hidden = 4, min_steps = 5 }, 'constant']"


@pytest.fixture(params=[[], ["data.num_clients = 8", MIXED]], ids=["alike", "mixed"])
def pair(request, tmp_path):
    """The same run with clients one by one and side by side, with features, without teachers."""
    worlds = [
        stocked(tiny_with(*request.param, *more), tmp_path / str(k))
        for k, more in enumerate(([], [ON]))
    ]
    sites = [Site(folder) for folder in worlds]
    for site in sites:
        site.status(ENCODE, clients_of(site))
    return sites


def clients_of(site):
    return sorted(int(path.name) for path in (site.folder / "clients").iterdir())


def teachers(site):
    found = (site.folder / "clients").glob("*/teacher.safetensors")
    return {int(path.parent.name): path.read_bytes() for path in found}


def logs(site):
    return {
        path.parent.name: path.read_text().count("Traceback")
        for path in (site.folder / "clients").glob("*/log.txt")
    }


def assert_alike(pair, clients=None):
    alone, beside = pair
    status = [site.status(TEACHER, clients or clients_of(site)) for site in pair]
    assert list(status[0].items()) == list(status[1].items())
    assert teachers(alone) == teachers(beside)
    assert logs(alone) == logs(beside)
    return status[1]


def test_same_teachers_and_same_status(pair):
    assert set(assert_alike(pair).values()) == {Reason.accepted}
    assert sorted(teachers(pair[1])) == clients_of(pair[1])


def test_more_than_fit_into_memory_at_once(pair, monkeypatch):
    monkeypatch.setattr("clients.side_by_side._AT_ONCE", 2)
    assert_alike(pair)


def test_who_fails_alone_fails_with_the_same_reason(pair):
    for site in pair:
        break_shard(site.folder, 2)
        (site.folder / "clients" / "0" / "features.npy").unlink()
        shutil.rmtree(site.folder / "clients" / "3")
    status = assert_alike(pair, EVERYBODY)
    assert status[2] is status[3] is Reason.client_error
    assert status[0] is Reason.refused
    assert status[1] is Reason.accepted
    assert CANARY in (pair[1].folder / "clients" / "2" / "log.txt").read_text()


def test_who_fails_in_training_takes_nobody_along(pair):
    """A label that no run has: the stack cannot be trained, so each tries alone."""
    for site in pair:
        path = site.folder / "clients" / "2" / "shard.jsonl"
        write_lines(path, [row | {"label": 9} for row in read_lines(path)])
    status = assert_alike(pair)
    assert status.pop(2) is Reason.client_error
    assert set(status.values()) == {Reason.accepted}
    assert logs(pair[1]) == {"2": 1}


def test_teachers_that_are_there_stay_and_the_others_get_the_same_bits(pair):
    assert_alike(pair)
    whole, homes = teachers(pair[1]), pair[1].folder / "clients"
    for client in (1, 2):
        (homes / str(client) / "teacher.safetensors").unlink()
    kept = {c: (homes / str(c) / "teacher.safetensors").stat().st_ino for c in (0, 3)}
    assert_alike(pair)
    assert teachers(pair[1]) == whole
    assert all((homes / str(c) / "teacher.safetensors").stat().st_ino == kept[c] for c in kept)


def test_a_node_trains_its_own_clients_only(pair):
    own = Site(pair[1].folder, partition=1, nodes=2)
    assert own.status(TEACHER, [0, 1]) == {0: Reason.wrong_client, 1: Reason.accepted}
    assert list(teachers(own)) == [1]


def test_nobody_who_waits_is_forgotten(pair):
    room, homes = SideBySide(guarded), pair[1].folder / "clients"
    for client in (0, 2):
        assert guarded(homes / str(client), room.train) is Reason.accepted
    assert teachers(pair[1]) == {}
    assert room.finished() == {0: Reason.accepted, 2: Reason.accepted}
    assert sorted(teachers(pair[1])) == [0, 2]
    assert SideBySide(guarded).finished() == {}


def test_a_run_in_one_process_is_the_same_run(tmp_path):
    made = []
    for name, more in (("alone", ()), ("beside", (ON,))):
        folder = stocked(tiny_with(*more), tmp_path / name)
        path = folder / "clients" / "2" / "shard.jsonl"
        write_lines(path, [row | {"label": 9} for row in read_lines(path)])
        federate(folder, silent)
        made.append((hashes(folder), tallies(folder)))
    assert made[0] == made[1]
    assert made[0][1][2] == ("lost", "client_error")


def test_it_is_off_and_changes_no_run_id():
    assert not tiny_with().clients.vectorised
    assert tiny_with(ON).run_id == tiny_with().run_id
