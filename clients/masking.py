"""Masks that cancel: what each pair of clients agrees on, one adds and the other subtracts.

X25519 gives a pair a shared secret, HKDF-SHA256 a key that is good for one roster only, ChaCha20
a mask as long as the words. All are those of the package ``cryptography``; private keys come from
the operating system, and no run can be told otherwise.

Reference: Bonawitz, Ivanov, Kreuter et al. *Practical Secure Aggregation for Privacy-Preserving
Machine Learning*, CCS 2017, section 4.0.1 (pairwise masks), https://eprint.iacr.org/2017/281.
Departures: no second mask and no shared secrets, so nothing can be undone for a party that drops
out; the attempt is given up instead.
"""

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.fixed_point import Words
from common.rosters import Roster

_NONCE = bytes(16)  # the key is used once: it is bound to pair, round, attempt and roster


def new_secret() -> bytes:
    """A private key, 32 bytes, from the operating system."""
    return X25519PrivateKey.generate().private_bytes_raw()


def public_key(secret: bytes) -> bytes:
    """The public key of a private one, 32 bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def mask(words: Words, secret: bytes, client: int, roster: Roster) -> Words:
    """``words`` behind the masks that ``client`` shares with every other member.

    Args:
        words: any shape; the same for all members.
        secret: the private key to the public one in the roster.
        client: who masks.
        roster: who takes part.

    Returns:
        The same shape. Over all members the masks sum to 0 modulo 2^32.

    Raises:
        ValueError: a member's public key is none that a client would choose.
    """
    masked = words.copy()
    for other, key in roster.members:
        if other == client:
            continue
        pad = _pad(words.size, _agreed(secret, key, (client, other), roster.context))
        pad = pad.reshape(words.shape)
        if client < other:
            np.add(masked, pad, out=masked)
        else:
            np.subtract(masked, pad, out=masked)
    return masked


def _agreed(secret: bytes, public: bytes, pair: tuple[int, int], context: bytes) -> bytes:
    """The key of two members for one roster; both get the same."""
    exchanged = X25519PrivateKey.from_private_bytes(secret).exchange(
        X25519PublicKey.from_public_bytes(public)
    )
    low, high = sorted(pair)
    info = b"fedknot mask 1" + context + low.to_bytes(4, "little") + high.to_bytes(4, "little")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(exchanged)


def _pad(count: int, key: bytes) -> Words:
    stream = Cipher(ChaCha20(key, _NONCE), mode=None).encryptor().update(bytes(4 * count))
    return np.frombuffer(stream, dtype="<u4").astype(np.uint32)
