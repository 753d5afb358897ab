import hashlib
import stat

import numpy as np
import pytest

from clients.store import Store
from common.failures import DataError
from common.files import read_lines, write_lines
from common.reasons import Reason, Refused

TEXTS = ["a text", "", "two\nlines \u2028", "\ud800", "ä\x00"]


@pytest.fixture
def store(tmp_path):
    return Store.create(
        tmp_path / "clients" / "3",
        client=3,
        seed=2**62 + 1,
        config={"teacher": {"kind": "constant"}},
        public=tmp_path / "public" / ".." / "public",
        texts=TEXTS,
        labels=np.array([0, 4, 2, 2, 1]),
    )


def test_what_is_stored_is_found(store, tmp_path):
    texts, labels = store.shard()
    assert texts == TEXTS
    assert labels.tolist() == [0, 4, 2, 2, 1]
    assert labels.dtype == np.int64
    about = store.about()
    assert (about["client"], about["seed"]) == (3, 2**62 + 1)
    assert about["config"] == {"teacher": {"kind": "constant"}}
    assert store.public() == tmp_path / "public"


def test_nobody_but_the_owner_may_look(store):
    store.keep_features(np.zeros((5, 2), np.float32))
    store.keep_teacher({"probs": np.ones(3, np.float32)})
    store.keep_release(1, b"payload")
    store.note("something went wrong")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in store.root.rglob("*")}
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    assert {path.name for path in modes} == {
        "1.bin",
        "client.json",
        "features.npy",
        "log.txt",
        "releases",
        "shard.jsonl",
        "teacher.safetensors",
    }


def test_features_and_teacher_come_back_bit_by_bit(store):
    assert store.features() is None
    assert store.teacher() is None
    features = np.random.default_rng(0).standard_normal((5, 7)).astype(np.float32)
    tensors = {"w": features[:2], "n": np.array([3], np.int64)}
    store.keep_features(features)
    store.keep_teacher(tensors)
    assert np.array_equal(store.features(), features)
    back = store.teacher()
    assert back.keys() == tensors.keys()
    assert all(
        np.array_equal(back[name], tensors[name]) and back[name].dtype == tensors[name].dtype
        for name in tensors
    )


def test_nothing_that_could_run_code_is_loaded(store):
    path = store.root / "features.npy"
    np.save(path, np.array([{"a": 1}]), allow_pickle=True)
    assert store.features() is None
    path.write_bytes(path.read_bytes() + hashlib.sha256(path.read_bytes()).digest())
    with pytest.raises(ValueError, match="allow_pickle"):
        store.features()


@pytest.mark.parametrize("name", ["features.npy", "teacher.safetensors"])
@pytest.mark.parametrize("place", range(0, 100, 7))
def test_what_is_damaged_counts_as_not_there(store, name, place):
    """Cut off or with one bit wrong anywhere: it is made anew, and never used."""
    store.keep_features(np.ones((5, 2), np.float32))
    store.keep_teacher({"w": np.arange(6, dtype=np.float32)})
    path = store.root / name
    good, read = path.read_bytes(), store.features if name[0] == "f" else store.teacher
    assert read() is not None
    at = len(good) * place // 100
    path.write_bytes(good[:at])
    assert read() is None
    path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    found = read()
    assert found is None or np.array_equal(found["w"], np.arange(6))  # a blank of the header


@pytest.mark.parametrize("left", [b"", b"\0" * 60, b'{"sha256": "ab", "obj'])
def test_a_verdict_that_a_power_cut_damaged_is_none(store, left):
    verdict = {"sha256": "ab", "objection": None}
    store.keep_verdict(verdict)
    assert store.verdict() == verdict
    (store.root / "vetting.json").write_bytes(left)
    assert store.verdict() is None


def test_a_store_finds_the_public_files_after_a_move(store, tmp_path):
    about = store.about()
    store.move_public(tmp_path / "elsewhere")
    assert store.public() == tmp_path / "elsewhere"
    assert store.about() | {"public": about["public"]} == about


def test_releases_are_kept_by_round(store):
    assert store.release(1) is None
    store.keep_release(1, b"one")
    store.keep_release(2, b"two")
    assert (store.release(1), store.release(2), store.release(3)) == (b"one", b"two", None)
    assert list(store.releases()) == [(1, b"one"), (2, b"two")]


def test_a_damaged_release_is_neither_sent_nor_made_anew(store):
    """What was said may have arrived: other bytes in its place would be a second answer."""
    store.keep_release(1, b"one")
    store.keep_release(2, b"two")
    path = store.root / "releases" / "1.bin"
    path.write_bytes(b"ono" + path.read_bytes()[3:])
    with pytest.raises(Refused) as refusal:
        store.release(1)
    assert refusal.value.reason is Reason.client_error
    assert list(store.releases()) == [(2, b"two")]


def test_releases_are_read_one_at_a_time(store):
    """A client that looks for the first good one does not read those of all rounds."""
    for server_round in (10, 9, 2):
        store.keep_release(server_round, b"%d" % server_round)
    found = store.releases()
    assert next(found) == (2, b"2")
    store.keep_release(9, b"changed since")
    assert list(found) == [(9, b"changed since"), (10, b"10")]


def test_the_log_takes_any_text_and_grows(store):
    store.note("one \ud800\n")
    store.note("two\n")
    assert (store.root / "log.txt").read_text() == "one \\ud800\ntwo\n"


def test_a_store_is_never_written_over(store, tmp_path):
    with pytest.raises(FileExistsError):
        Store.create(
            store.root, client=0, seed=0, config={}, public=tmp_path, texts=[], labels=np.array([])
        )
    assert store.about()["client"] == 3


def test_a_text_without_a_label_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        Store.create(
            tmp_path / "s",
            client=0,
            seed=0,
            config={},
            public=tmp_path,
            texts=["a", "b"],
            labels=np.array([0]),
        )


def test_a_store_knows_its_terms_and_the_agreed_texts(provisioned):
    store = Store(provisioned / "clients" / "0")
    assert store.terms().num_clients == 4
    assert len(store.transfer()) == store.terms().rows == 40


def test_one_changed_text_is_not_the_agreed_set(provisioned):
    path = provisioned / "transfer.jsonl"
    rows = read_lines(path)
    for changed in (rows[::-1], rows[:-1], [rows[0] | {"text": "?"}, *rows[1:]]):
        write_lines(path, changed)
        with pytest.raises(DataError, match="not the agreed"):
            Store(provisioned / "clients" / "0").transfer()
