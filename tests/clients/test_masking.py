import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from scipy import stats

from clients.masking import mask, new_secret, public_key
from common.rosters import Roster

SHAPE = (400, 7)


def secrets(count):
    return {client: bytes([client + 1]) * 32 for client in range(count)}


def roster(held, **changes):
    members = tuple((client, public_key(secret)) for client, secret in held.items())
    fields = {"round": 1, "attempt": 1, "binding": bytes(32), "members": members} | changes
    return Roster(**fields)


def masked(held, words, listed=None):
    listed = listed or roster(held)
    return {k: mask(words[k], secret, k, listed) for k, secret in held.items()}


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    return {k: rng.integers(0, 2**20, SHAPE, dtype=np.uint32) for k in range(count)}


def added(parts):
    total = np.zeros(SHAPE, dtype=np.uint32)
    for part in parts:
        total += part
    return total


@pytest.mark.parametrize("count", [2, 3, 8])
def test_masks_cancel_in_the_sum_and_in_nothing_less(count):
    words = drawn(count)
    hidden = masked(secrets(count), words)
    exact = added(words.values())
    assert np.array_equal(added(hidden.values()), exact)
    assert exact.tolist() == sum(part.astype(np.int64) for part in words.values()).tolist()
    for left in range(count):
        fewer = added(part for k, part in hidden.items() if k != left)
        plain = added(part for k, part in words.items() if k != left)
        assert np.mean(fewer == plain) < 0.01


def uniform(words):
    """p values of bytes against even counts and of words against the even distribution."""
    counts = np.bincount(np.ascontiguousarray(words).view(np.uint8).ravel(), minlength=256)
    return stats.chisquare(counts).pvalue, stats.kstest(words.ravel() / 2**32, "uniform").pvalue


def test_masked_words_look_like_noise_alone_and_in_all_sums_but_the_whole():
    """Zeros are the easiest words to see. Seeded keys, so that the p values are what they are."""
    count = 4
    hidden = masked(secrets(count), {k: np.zeros(SHAPE, np.uint32) for k in range(count)})
    for chosen in range(1, 2**count - 1):
        some = added(part for k, part in hidden.items() if chosen >> k & 1)
        assert min(uniform(some)) > 1e-4, chosen
    assert not added(hidden.values()).any()


def test_words_that_are_not_masked_fail_that_test():
    assert min(uniform(drawn(1)[0])) < 1e-9


def test_any_but_one_of_the_masked_messages_fit_any_secret():
    """For whatever words of the last client there is a mask: what K - 1 sent excludes none."""
    held, words = secrets(3), drawn(3)
    hidden = masked(held, words)
    other = dict(words) | {2: drawn(1, seed=9)[0]}
    again = masked(held, other)
    for client in (0, 1):
        assert np.array_equal(hidden[client], again[client])
    difference = hidden[2] - again[2]
    assert np.array_equal(difference, words[2] - other[2])


@pytest.mark.parametrize(
    "changes",
    [{"round": 2}, {"attempt": 2}, {"binding": b"\1" * 32}],
    ids=["round", "attempt", "terms"],
)
def test_a_client_that_was_given_something_else_makes_garbage(changes):
    """Another transfer set, class order or run is another binding."""
    held, words = secrets(4), drawn(4)
    hidden = masked(held, words)
    hidden[1] = mask(words[1], held[1], 1, roster(held, **changes))
    assert np.mean(added(hidden.values()) == added(words.values())) < 0.01
    assert min(uniform(added(hidden.values()))) > 1e-4


def test_a_client_that_was_given_another_list_makes_garbage():
    held, words = secrets(4), drawn(4)
    hidden = masked(held, words)
    short = {k: secret for k, secret in held.items() if k != 3}
    hidden[0] = mask(words[0], held[0], 0, roster(short))
    assert np.mean(added(hidden.values()) == added(words.values())) < 0.01


def test_the_mask_of_a_pair_by_the_standards_themselves():
    """RFC 7748, RFC 5869 by HMAC, RFC 8439; client 0 adds, client 1 subtracts."""
    held = secrets(2)
    listed = roster(held)
    shared = X25519PrivateKey.from_private_bytes(held[0]).exchange(
        X25519PublicKey.from_public_bytes(public_key(held[1]))
    )
    extracted = hmac.new(bytes(32), shared, hashlib.sha256).digest()
    info = b"fedknot mask 1" + listed.context + b"\0\0\0\0\1\0\0\0"
    key = hmac.new(extracted, info + b"\1", hashlib.sha256).digest()
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor().update(bytes(4 * 2800))
    pad = np.frombuffer(stream, "<u4").reshape(SHAPE)
    zeros = np.zeros(SHAPE, np.uint32)
    assert np.array_equal(mask(zeros, held[0], 0, listed), pad)
    assert np.array_equal(mask(zeros, held[1], 1, listed), (0 - pad).astype(np.uint32))


def test_keys_are_new_every_time_and_whole():
    made = {new_secret() for _ in range(20)}
    assert len(made) == 20
    assert {len(secret) for secret in made} == {32}
    assert len({public_key(secret) for secret in made}) == 20


def test_a_key_that_would_fix_the_secret_is_refused():
    """The point 0 gives the shared secret 0 with everybody."""
    held = secrets(2)
    bad = roster(held, members=((0, public_key(held[0])), (1, bytes(32))))
    with pytest.raises(ValueError, match="shared key"):
        mask(np.zeros(SHAPE, np.uint32), held[0], 0, bad)


def test_the_words_themselves_are_not_touched():
    words = drawn(2)
    before = words[0].copy()
    masked(secrets(2), words)
    assert np.array_equal(words[0], before)
