import stat

import numpy as np
import pytest

from clients.client import Client
from clients.secure_sum import contribution
from clients.store import Store
from common.audit import verified
from common.fixed_point import MOST_PARTIES, from_words
from common.masked import MaskedLayout, decode_masked
from common.messages import Question
from common.reasons import Reason, Refused
from common.rosters import KEYS, MASKED, Roster
from common.terms import Terms
from tests.secure import invitation, listed, plain, ready, secure_with
from tests.worlds import stocked, tiny_with


@pytest.fixture
def folder(tmp_path):
    return stocked(secure_with("data.num_clients = 6", "num_rounds = 2"), tmp_path / "run")


@pytest.fixture
def six(folder):
    return ready(folder, range(6))


def refusal(act, *given):
    with pytest.raises(Refused) as refused:
        act(*given)
    return refused.value.reason


def words(folder, roster, answers):
    terms = Terms.read(folder / "terms.json")
    layout = MaskedLayout(terms.rows, len(terms.labels), roster.context, roster.round)
    return {a.client: decode_masked(a.payload, layout, a.client) for a in answers}


def test_the_sum_is_that_of_what_each_would_have_said(folder, six):
    roster = listed(invitation(folder), six)
    masked = words(folder, roster, [client.contribute(roster) for client in six])
    exact = {client: plain(folder, client, 6) for client in range(6)}
    total = sum(part.astype(np.int64) for part in exact.values())
    assert np.array_equal(sum(part.astype(np.int64) for part in masked.values()) % 2**32, total)
    for client in range(6):
        assert np.mean(masked[client] == exact[client]) < 0.05
    assert (from_words(total.astype(np.uint32)).contributors == 6).all()


def test_asked_twice_it_says_the_same_and_forgets_its_key(folder, six):
    asked = invitation(folder)
    roster = listed(asked, six)
    first = six[2].contribute(roster)
    again = Client(Store(folder / "clients" / "2"))
    assert again.name_key(asked) == roster.keys[2]
    assert again.contribute(roster) == first
    home = folder / "clients" / "2" / "sums"
    assert {path.name for path in home.iterdir()} == {"1-1.public", "1-1.roster", "1-1.masked"}
    assert (folder / "clients" / "3" / "sums" / "1-1.secret").stat().st_size == 32
    entries = verified(folder / "audit" / "client-2.jsonl")
    ups = [(e["schema"], e["bytes"], e["attempts"]) for e in entries if e["direction"] == "up"]
    assert ups == [
        (KEYS, 32, 1),
        (MASKED, len(first.payload), 1),
        (KEYS, 32, 2),
        (MASKED, len(first.payload), 2),
    ]


def test_a_kill_before_the_key_is_forgotten_leaves_it_no_longer_than_to_the_next_opening(
    folder, six
):
    home = folder / "clients" / "2" / "sums"
    roster = listed(invitation(folder), six)
    secret = (home / "1-1.secret").read_bytes()
    six[2].contribute(roster)
    (home / "1-1.secret").write_bytes(secret)  # as if killed between the record and the key
    later = Client(Store(folder / "clients" / "2"))
    assert not (home / "1-1.secret").exists()
    waiting = later.name_key(invitation(folder, 1, 2))
    assert Client(Store(folder / "clients" / "2")).name_key(invitation(folder, 1, 2)) == waiting
    assert (home / "1-2.secret").exists()  # one that is still needed stays


def test_what_is_kept_is_nobody_elses_to_read(folder, six):
    roster = listed(invitation(folder), six)
    six[0].contribute(roster)
    for client in (0, 1):
        home = folder / "clients" / str(client) / "sums"
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}


def test_keys_are_fresh_in_every_attempt_and_round(folder, six):
    calls = [(1, 1), (1, 2), (2, 1), (2, 2)]
    keys = {client.name_key(invitation(folder, *call)) for call in calls for client in six}
    assert len(keys) == 24


def test_it_answers_nothing_in_clear(folder, six):
    terms = Terms.read(folder / "terms.json")
    for schema in (1, 2, MASKED):
        assert refusal(six[0].answer, Question(1, schema, terms.binding)) is Reason.wrong_field
    assert not (folder / "clients" / "0" / "releases").exists()


def test_a_run_in_clear_has_no_sums(tmp_path):
    folder = stocked(tiny_with(), tmp_path / "run")
    (client,) = ready(folder, [0])
    asked = invitation(folder)
    assert refusal(client.name_key, asked) is Reason.wrong_field
    roster = Roster(1, 1, asked.binding, ((0, bytes(32)), (1, bytes([1]) * 32)))
    assert refusal(client.contribute, roster) is Reason.wrong_field
    assert not (folder / "clients" / "0" / "sums").exists()


def test_what_was_not_agreed_on_is_refused(folder, six):
    good = listed(invitation(folder), six)
    other = Roster(1, 1, bytes(32))
    assert refusal(six[0].name_key, other) is Reason.wrong_binding
    assert refusal(six[0].name_key, good) is Reason.wrong_field
    for server_round, attempt in ((0, 1), (3, 1), (1, 0), (1, 3)):
        asked = invitation(folder, server_round, attempt)
        assert refusal(six[0].name_key, asked) is Reason.wrong_round
    assert refusal(six[0].contribute, Roster(1, 1, bytes(32), good.members)) is Reason.wrong_binding
    assert (
        refusal(six[0].contribute, Roster(1, 3, good.binding, good.members)) is Reason.wrong_round
    )


def test_it_adds_up_only_with_a_list_that_has_its_own_key(folder, six):
    asked = invitation(folder)
    good = listed(asked, six)
    without = Roster(1, 1, asked.binding, good.members[1:])
    swapped = list(good.members)
    swapped[0] = (0, bytes([7]) * 32)
    assert refusal(six[0].contribute, without) is Reason.wrong_client
    assert refusal(six[0].contribute, Roster(1, 1, asked.binding, tuple(swapped))) is (
        Reason.wrong_client
    )
    assert refusal(six[0].contribute, Roster(1, 2, asked.binding, good.members)) is (
        Reason.wrong_client
    )


def test_it_adds_up_with_one_list_only_in_an_attempt(folder, six):
    asked = invitation(folder)
    good = listed(asked, six)
    six[0].contribute(good)
    for fewer in (good.members[:4], good.members[:5]):
        assert refusal(six[0].contribute, Roster(1, 1, asked.binding, fewer)) is Reason.refused
    assert six[0].contribute(good)


def test_it_agrees_before_it_computes(folder, six):
    """Killed in between, it is bound to the list that it began with."""
    asked = invitation(folder)
    good = listed(asked, six)
    (folder / "clients" / "0" / "vetting.json").write_text(
        '{"sha256": "other", "objection": null}\n'
    )
    assert refusal(six[0].contribute, good) is Reason.refused
    other = Roster(1, 1, asked.binding, good.members[:4])
    assert (folder / "clients" / "0" / "sums" / "1-1.roster").read_bytes() == good.payload
    assert refusal(six[0].contribute, other) is Reason.refused


def test_a_list_may_not_be_too_short(tmp_path):
    folder = stocked(secure_with("k_min = 3"), tmp_path / "run")
    four = ready(folder, range(4))
    asked = invitation(folder)
    short = listed(asked, four[:2])
    assert refusal(four[0].contribute, short) is Reason.refused
    assert four[0].contribute(listed(asked, four[:3]))


def test_no_two_sums_may_differ_by_one_client(folder, six):
    """In another attempt, and in another round: what is said there is the same."""
    six[0].contribute(listed(invitation(folder), six))
    for call in ((1, 2), (2, 1)):
        asked = invitation(folder, *call)
        one_less = listed(asked, six[:5])
        assert refusal(six[0].contribute, one_less) is Reason.refused
    asked = invitation(folder, 1, 2)
    assert six[0].contribute(listed(asked, six[:4]))
    asked = invitation(folder, 2, 1)
    assert refusal(six[0].contribute, listed(asked, six[:3])) is Reason.refused
    assert six[0].contribute(listed(asked, six[:2]))


def test_more_may_be_asked_for_at_a_time(tmp_path):
    folder = stocked(
        secure_with("data.num_clients = 6; wire.contributors = 3; k_min = 3"), tmp_path / "run"
    )
    six = ready(folder, range(6))
    six[0].contribute(listed(invitation(folder), six))
    asked = invitation(folder, 1, 2)
    assert refusal(six[0].contribute, listed(asked, six[:4])) is Reason.refused
    assert six[0].contribute(listed(asked, six[:3]))


def test_a_stranger_on_the_list_is_refused(folder, six):
    asked = invitation(folder)
    members = (*listed(asked, six[:3]).members, (6, bytes([9]) * 32))
    assert refusal(six[0].contribute, Roster(1, 1, asked.binding, members)) is Reason.refused


def test_what_might_not_fit_is_not_sent(folder, six):
    terms = Terms.read(folder / "terms.json")
    record = six[0]._speaker.record(1)
    assert contribution(record, terms, MOST_PARTIES).shape == (terms.rows, 5)
    with pytest.raises(OverflowError):
        contribution(record, terms, 2**22)


def test_the_bias_and_the_size_stay_with_the_client(tmp_path):
    """They decide weights, and are in no byte string of their own."""
    for weighting, wanted in (("knot", "bias"), ("size", "num_examples")):
        folder = stocked(secure_with(f"server.weighting = '{weighting}'"), tmp_path / weighting)
        terms = Terms.read(folder / "terms.json")
        assert (terms.disclosed, terms.secure.needs) == ((), {wanted})
        (client,) = ready(folder, [0])
        assert getattr(client._speaker.record(1), wanted) is not None
