"""Two different ids with one hash, made and not found.

A 16-byte id has two words. The state after the first is `s`, after the second mix((s xor word) + golden), and mix is a
bijection: ids collide if s xor word is the same. So choose the first words freely, and solve for the second one.
"""

from __future__ import annotations

import functools

import numpy as np

from mr_als.records.ids import Ids, _key, _mix, hash_id

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:;!#$%&()*+<=>?@[]^{|}~ "


@functools.cache
def collision(salt: int = 0) -> tuple[str, str]:
    """Find two ids of 16 printable characters with equal hashes under `salt`."""
    rng = np.random.default_rng(0)
    words = rng.choice(np.frombuffer(LETTERS, np.uint8), (200_000, 8)).copy().view("<u8").ravel()
    states = _mix((_mix(np.uint64(_key(salt)) ^ np.full(1, 16, np.uint64)) ^ words) + GOLDEN)
    second = np.frombuffer(b"-collide", "<u8")
    solved = second ^ states[0] ^ states[1:]
    printable = np.isin(solved.view(np.uint8).reshape(-1, 8), list(LETTERS)).all(axis=1)
    found = int(np.flatnonzero(printable)[0])
    one = words[:1].tobytes() + second.tobytes()
    other = words[found + 1 : found + 2].tobytes() + solved[found : found + 1].tobytes()
    assert one != other
    assert hash_id(one, salt) == hash_id(other, salt)
    assert Ids.of([one]).lengths[0] == 16
    return one.decode(), other.decode()
